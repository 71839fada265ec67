"""Measures how long an epoch takes, with the loops themselves on as many batches as there is time for."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.guest import loops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARE_OF_VALIDATION = 0.3  # of the time
ENOUGH_EPOCHS = 12
WARMING = 3  # complete epochs, of which the first is left out
AT_LEAST = 2  # batches, however long they take


@dataclass(frozen=True, slots=True)
class Pace:
    """What an epoch takes, in seconds.

    Attributes:
        epoch: training and validation.
        row: of the validation; what prediction takes too.
        steps: that were timed.
        epochs: of these, how many were gone through; below 1 where the epoch is extrapolated.
    """

    epoch: float
    row: float
    steps: int
    epochs: float


class Portion:
    """The first batches of a set, for as long as there is time.

    Attributes:
        taken: batches.
        rows: in them.
    """

    def __init__(self, batches: Iterable[Any], until: float) -> None:
        self._batches, self._until = batches, until
        self._began = self._first = 0.0
        self.taken = self.rows = 0

    def __iter__(self) -> Iterator[Any]:
        self._began = time.monotonic()
        for x, y in self._batches:
            if not self.taken:
                self._first = time.monotonic()
            elif self.taken >= AT_LEAST and time.monotonic() > self._until:
                return
            self.taken += 1
            self.rows += len(x)
            yield x, y

    def seconds(self, batches: int) -> float:
        """What so many batches take, now that these are done."""
        opening, rest = self._first - self._began, time.monotonic() - self._first
        return opening + rest / max(1, self.taken) * batches


def measure(training: loops.Training, batches: tuple[int, int], seconds: float, epochs: int) -> Pace:
    """Train and validate for some seconds.

    Args:
        training: as the training loop has it; its model and optimizer go on from where they are.
        batches: of an epoch's training and of its validation.
        seconds: for all of it, about.
        epochs: of the whole training, of which no more than half is gone through.

    Raises:
        Finding: the output's shape is wrong.
    """
    until = time.monotonic() + seconds
    took: list[float] = []
    steps, row = 0, 0.0
    complete = True
    while complete and len(took) < min(max(1, epochs // 2), ENOUGH_EPOCHS):
        tr_set = Portion(training.tr_set, until)
        loops.train(replace(training, tr_set=tr_set))
        training_seconds = tr_set.seconds(batches[0])
        dv_set = Portion(training.dv_set, max(until, time.monotonic() + SHARE_OF_VALIDATION * seconds))
        loops.validate(training.model, dv_set, training.criterion, training.device)
        validation_seconds = dv_set.seconds(batches[1])
        row = validation_seconds / max(1, batches[1]) * dv_set.taken / max(1, dv_set.rows)
        steps += tr_set.taken
        complete = tr_set.taken >= batches[0]
        if complete or not took:
            took.append(training_seconds + validation_seconds)
        complete = complete and time.monotonic() < until
    counted = took[1:] if len(took) >= WARMING else took
    return Pace(statistics.median(counted), row, steps, steps / max(1, batches[0]))
