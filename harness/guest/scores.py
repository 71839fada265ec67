"""Whether scores were squashed before a loss that does so itself, or were not before one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from harness.guest.observations import Observations

CLOSE = 1e-3
SCALES = (1.0, 30.0)  # of random inputs: what is bounded for both is bounded by design
LOOKED_BACK = 6  # operations from the output, among which a sigmoid is looked for


def judge_scores(model: nn.Module, criterion: nn.Module, x: Tensor, seen: Observations) -> None:
    """Look at the scores for real and for random inputs.

    Args:
        model: in any mode; in training mode it is asked for real inputs only.
        criterion: of the loops.
        x: inputs of some rows.
        seen: takes what was found.
    """
    model.train()
    training = model(x)
    if training.dim() != 2 or training.shape[1] < 2:  # noqa: PLR2004  (rows, classes)
        return
    model.eval()
    with torch.no_grad():
        samples = [training.detach(), model(x), *_for_random_inputs(model, x)]
    if isinstance(criterion, nn.CrossEntropyLoss):
        if all(map(_are_shares, samples[:1])) or all(map(_are_shares, samples[1:])):
            seen.add("softmax_before_loss")
        elif all(map(_are_logarithms_of_shares, samples)):
            seen.add("log_softmax_before_loss")
        elif all(map(_are_between_0_and_1, samples)) and _ends_in_sigmoid(training):
            seen.add("sigmoid_before_loss")
    elif isinstance(criterion, nn.NLLLoss) and not any(map(_are_logarithms_of_shares, samples)):
        seen.add("nll_without_log_softmax", {"shares": all(map(_are_shares, samples))})


def _for_random_inputs(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Scores for inputs without sense; none where the model takes no such inputs."""
    if not x.is_floating_point():
        return []
    generator = torch.Generator().manual_seed(0)
    found = []
    for scale in SCALES:
        inputs = scale * torch.randn(x.shape, generator=generator)
        try:
            scores = model(inputs.to(x.device, x.dtype))
        except Exception:  # noqa: BLE001  training will not ask it for these
            return []
        if isinstance(scores, Tensor) and bool(torch.isfinite(scores).all()):
            found.append(scores)
    return found


def _are_shares(scores: Tensor) -> bool:
    sums = scores.sum(1)
    return bool((scores >= 0).all()) and bool(((sums - 1).abs() < CLOSE).all())


def _are_logarithms_of_shares(scores: Tensor) -> bool:
    return bool((scores <= CLOSE).all()) and bool((scores.logsumexp(1).abs() < CLOSE).all())


def _are_between_0_and_1(scores: Tensor) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def _ends_in_sigmoid(scores: Tensor) -> bool:
    node = scores.grad_fn
    for _ in range(LOOKED_BACK):
        if node is None:
            return False
        if "Sigmoid" in node.name():
            return True
        before = [each for each, _ in node.next_functions if each is not None]
        node = before[0] if len(before) == 1 else None
    return False
