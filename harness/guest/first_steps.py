"""A model's first batches, forwards and backwards: are numbers finite, does the loss reach the weights."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import torch

from harness.guest.findings import SUBMISSION_FOLDER, Finding, Place, explain
from harness.guest.tracing import first_non_finite, is_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from harness.guest import wiring
    from harness.guest.loops import Training
    from harness.guest.observations import Observations

    Batch = tuple[Tensor, Tensor]


def try_batches(
    training: Training, batches: Sequence[Batch], reached: wiring.Reached, seen: Observations
) -> bool:
    """Run batches forwards and backwards, without a step; say whether there is a gradient to go on with.

    Args:
        training: what the loops work with.
        batches: on the device.
        reached: notes the gradients.
        seen: takes what was found.

    Raises:
        Finding: the output has the wrong shape or type.
    """
    model = training.model
    model.train()
    for number, (x, y) in enumerate(batches, start=1):
        if not data_are_finite((x, y), number, seen):
            return False
        model.zero_grad()
        pred = model(x)
        training.task.check_training_output(pred, y)
        if not is_finite(pred):
            numbers = {"batch": number, "rows": rows_not_finite(pred), "of": len(x)}
            not_finite(model, x, seen, numbers)
            return False
        loss = training.criterion(pred, y)
        if not is_finite(loss):
            seen.add("nan_in_loss", {"batch": number})
            return False
        if not loss.requires_grad:
            if any(parameter.requires_grad for parameter in model.parameters()):
                seen.add("detached_output")
            return False
        loss.backward()
        reached.look()
        if not _gradients_are_finite(training, (x, y), number, seen):
            return False
    return True


def data_are_finite(batch: Batch, number: int, seen: Observations) -> bool:
    """Whether a batch's inputs and targets are finite; if not, that is noted."""
    wrong = [values for values in batch if not is_finite(values)]
    if wrong:
        rows = rows_not_finite(wrong[0])
        seen.add("nan_in_data", {"batch": number, "rows": rows, "of": len(wrong[0])})
    return not wrong


def rows_not_finite(values: Tensor) -> int:
    """How many rows have a number that is not finite."""
    return int((~torch.isfinite(values.reshape(len(values), -1))).any(1).sum())


def not_finite(model: nn.Module, x: Tensor, seen: Observations, numbers: Mapping[str, float]) -> None:
    """Note that a forward pass is not finite, with the operation that made it so."""

    def forward() -> object:
        with torch.no_grad():
            return model(x)

    seen.add_operation("nan_in_forward", first_non_finite(forward), numbers)


def _gradients_are_finite(training: Training, batch: Batch, number: int, seen: Observations) -> bool:
    wrong = [
        name
        for name, parameter in training.model.named_parameters()
        if parameter.grad is not None and not is_finite(parameter.grad)
    ]
    if wrong:
        place, name = _backward_origin(training, batch)
        seen.add("nan_in_backward", {"batch": number}, names=wrong, place=place, text=name)
    return not wrong


def _backward_origin(training: Training, batch: Batch) -> tuple[Place | None, str]:
    """The operation whose derivative is NaN, and the line that called it, as the anomaly mode tells."""
    x, y = batch
    training.model.zero_grad()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # the traceback of the forward pass comes as a warning
        try:
            with torch.autograd.detect_anomaly(check_nan=True):
                training.criterion(training.model(x), y).backward()
        except RuntimeError as error:
            found = re.search(r"Function '(\w+?)Backward\d*'", str(error))
            lines = [line for warning in told for line in str(warning.message).splitlines()]
            return _last_place(lines), found[1].lower() if found else ""
    return None, ""


def _last_place(lines: Sequence[str]) -> Place | None:
    """The innermost line of the submission in a traceback's text."""
    pattern = re.compile(rf'File "{re.escape(SUBMISSION_FOLDER)}/(.+?)", line (\d+)')
    found = [match for line in lines if (match := pattern.search(line))]
    return Place(found[-1][1], int(found[-1][2])) if found else None


def try_size(forward: Callable[[], object], size: int, seen: Observations, *, training: bool) -> None:
    """Try a batch of another size, such as the last one of an epoch.

    Args:
        forward: runs the model on it and checks the output.
        size: rows in it.
        seen: takes what was found.
        training: whether it is one of the training.
    """
    try:
        forward()
    except Exception as error:  # noqa: BLE001  whatever the student's code raises
        finding: Finding = explain(error)
        seen.add("last_batch", {"size": size, "training": training}, text=finding.message)
