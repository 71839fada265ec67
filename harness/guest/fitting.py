"""Short trainings from the same first weights, to see what a model and its settings can do.

A loss alone says little. What it is measured against is the loss of the best answer that is the same for all
rows, and the loss of the right answers: a model that is halfway between these has learnt something.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.guest.tracing import is_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim import Optimizer

    Batch = tuple[Tensor, Tensor]

SPARE = 0.1  # of the steps: the last ones, whose mean is the loss that was come to
EXPLODED = 5.0  # times the first loss
SETTLING = (
    50  # forward passes, after which running statistics with the default momentum have forgotten the first
)
SHARPNESS = (1.0, 3.0, 10.0, 30.0, 100.0)  # of right answers as scores
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """What a loss on some rows is measured against.

    Attributes:
        start: the loss before any training.
        constant: of the best answer that is the same for all rows.
        right: of the right answers.
    """

    start: float
    constant: float
    right: float

    def learnt(self, loss: float) -> float:
        """The share of the way from what needs no inputs to the right answers; below 0 where it got worse."""
        reference = min(self.start, self.constant)
        return (reference - loss) / (reference - self.right) if math.isfinite(loss) else -math.inf


@dataclass(frozen=True, slots=True)
class Trial:
    """What a short training came to.

    Attributes:
        losses: of its steps, in training mode.
        after: the loss on the rows that it is judged by, in evaluation mode.
        is_cut: whether its time was over before its steps were.
    """

    losses: tuple[float, ...]
    after: float
    is_cut: bool = False

    @property
    def final(self) -> float:
        """The loss that it came to: the better one of both modes, since each has a handicap of its own."""
        last = self.losses[-max(1, round(len(self.losses) * SPARE)) :]
        if not last or not all(math.isfinite(loss) for loss in self.losses):
            return math.inf
        mean = sum(last) / len(last)
        return min(mean, self.after) if math.isfinite(self.after) else mean

    @property
    def exploded(self) -> bool:
        """Whether a loss was not finite, or far above the first."""
        first = self.losses[0] if self.losses else math.nan
        return not all(math.isfinite(loss) and loss <= EXPLODED * first for loss in self.losses)


class Bench:
    """Trains one model again and again from its first weights.

    Args:
        model: on its device; afterwards it has its first weights again.
        criterion: of the loops.
        grad_clip: maximum norm of the gradient, or None.
        batch_size: of the training.
        seed: everything before each trial, so that two of them differ in what they are to differ in.

    Attributes:
        first: the model's parameters and buffers as each trial begins with them.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: nn.Module,
        grad_clip: float | None,
        batch_size: int,
        seed: Callable[[], None],
    ) -> None:
        self.model, self._criterion, self._grad_clip = model, criterion, grad_clip
        self._batch_size, self._seed = batch_size, seed
        self.first = {name: tensor.detach().clone() for name, tensor in _state(model).items()}

    def reset(self) -> None:
        """Give the model its first weights and statistics again."""
        with torch.no_grad():
            for name, tensor in _state(self.model).items():
                if name in self.first and tensor.shape == self.first[name].shape:
                    tensor.copy_(self.first[name])
        for parameter in self.model.parameters():
            parameter.grad = None

    def trial(
        self,
        optimizer: Optimizer,
        batches: Sequence[Batch],
        judged: Batch,
        limits: tuple[int, float],
        enough: Callable[[float], bool] = lambda _: False,
    ) -> Trial:
        """Train from the first weights.

        Args:
            optimizer: over the model's parameters.
            batches: over and over again, in this order.
            judged: rows for the loss afterwards.
            limits: steps, and seconds.
            enough: ends the trial early once it holds for a few losses in a row.
        """
        most, seconds = limits
        self._seed()
        self.reset()
        self.model.train()
        losses: list[float] = []
        until = time.monotonic() + seconds
        satisfied, is_cut = 0, False
        for x, y in itertools.islice(itertools.cycle(batches), most):
            losses.append(self.step(optimizer, x, y))
            satisfied = satisfied + 1 if enough(losses[-1]) else 0
            if not math.isfinite(losses[-1]) or satisfied >= 3:  # noqa: PLR2004  not by chance
                break
            is_cut = time.monotonic() > until and len(losses) < most
            if is_cut:
                break
        return Trial(tuple(losses), self.loss(judged), is_cut)

    def step(self, optimizer: Optimizer, x: Tensor, y: Tensor) -> float:
        """One step of the loops; a loss that is not finite moves nothing."""
        optimizer.zero_grad()
        loss = self._criterion(self.model(x), y)
        value = float(loss.detach())
        if math.isfinite(value):
            loss.backward()
            if self._grad_clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self._grad_clip)
            optimizer.step()
        return value

    def settle(self, batch: Batch) -> None:
        """Let running statistics catch up with the weights as they are."""
        self.model.train()
        with torch.no_grad():
            for _ in range(SETTLING):
                self.model(batch[0])

    def loss(self, rows: Batch) -> float:
        """The mean loss of some rows in evaluation mode, as it is now."""
        pred, total = self.outputs(rows[0]), 0.0
        for part, y in zip(pred.split(self._batch_size), rows[1].split(self._batch_size), strict=True):
            total += float(self._criterion(part, y)) * len(y)
        return total / len(pred)

    def outputs(self, x: Tensor) -> Tensor:
        """What the model gives in evaluation mode, in batches no larger than those of the training."""
        self.model.eval()
        with torch.no_grad():
            return torch.cat([self.model(part) for part in x.split(self._batch_size)])

    def scale(self, batch: Batch) -> Scale | None:
        """What losses on these rows are measured against; None where all rows have one answer."""
        self.reset()
        start, outputs = self.loss(batch), self.outputs(batch[0])
        constant, right = (
            min(
                (value for answer in answers if math.isfinite(value := self._value(answer, batch[1]))),
                default=math.nan,
            )
            for answers in (_constants(batch[1], outputs), _right(batch[1], outputs))
        )
        is_usable = math.isfinite(start) and right < min(start, constant)
        return Scale(start, constant, right) if is_usable else None

    def _value(self, answer: Tensor, y: Tensor) -> float:
        with torch.no_grad():
            return float(self._criterion(answer, y))


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _shares(y: Tensor, outputs: Tensor) -> Tensor | None:
    """Class numbers as a share for each class, (B, classes); None where targets are numbers."""
    if y.is_floating_point():
        is_table = y.dim() > 1 and y.shape[1] > 1 and y.shape == outputs.shape
        return y if is_table and bool(((y >= 0) & (y <= 1)).all()) else None
    return functional.one_hot(y.long().clamp(0, outputs.shape[1] - 1), outputs.shape[1]).to(outputs.dtype)


def _constants(y: Tensor, outputs: Tensor) -> list[Tensor]:
    """Answers that are the same for all rows, among them the best one, or nearly so, for the known losses."""
    shares = _shares(y, outputs)
    if shares is not None:
        return [(shares.mean(0) + TINY).log().log_softmax(0).expand(outputs.shape)]
    mean, middle = y.mean(0), y.median(0).values
    return [each.expand(y.shape) for each in (mean, middle, mean.clamp_min(TINY).log())]


def _right(y: Tensor, outputs: Tensor) -> list[Tensor]:
    """The right answers, as a model could give them."""
    shares = _shares(y, outputs)
    if shares is not None:
        exact = [(shares + TINY).log().log_softmax(1)]
        return exact + [(sharpness * shares).log_softmax(1) for sharpness in SHARPNESS]
    return [y, y.clamp_min(TINY).log()]


def same_for_all(outputs: Tensor) -> bool:
    """Whether all rows have one answer."""
    if not (is_finite(outputs) and len(outputs) > 1):
        return False
    flat = outputs.reshape(len(outputs), -1).double()
    return bool((flat.max(0).values - flat.min(0).values <= TINY * (1 + flat.abs().max())).all())
