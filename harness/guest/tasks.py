"""What a task asks of a model: the targets' type, and the shape of its output for a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.guest.findings import Finding
from harness.protocol import Outcome

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of task.

    Attributes:
        outputs: numbers that a prediction has for each row.
        target_dtype: of the harness's own data set.
    """

    name: str
    outputs: int
    target_dtype: torch.dtype

    def check_training_output(self, pred: Tensor, y: Tensor) -> None:
        """Check the first batch's output against its targets, before PyTorch broadcasts a mistake away.

        Raises:
            Finding: it is not a tensor of the agreed shape.
        """
        self._check_tensor(pred)
        wanted = tuple(y.shape) if self.name == "regression" else (len(y), self.outputs)
        if tuple(pred.shape) != wanted:
            raise _wrong_shape(tuple(pred.shape), wanted)

    def check_prediction(self, pred: Tensor, rows: int) -> Tensor:
        """Return a test batch's output as (rows, outputs).

        Raises:
            Finding: it is not a tensor of that many numbers a row.
        """
        self._check_tensor(pred)
        allowed = {(rows, self.outputs)} | ({(rows,)} if self.outputs == 1 else set())
        if tuple(pred.shape) not in allowed:
            raise _wrong_shape(tuple(pred.shape), (rows,) if self.outputs == 1 else (rows, self.outputs))
        return pred.reshape(rows, self.outputs)

    def _check_tensor(self, pred: object) -> None:
        if not isinstance(pred, torch.Tensor):
            raise Finding(
                Outcome.CONTRACT_ERROR,
                f"MyModel returned {type(pred).__name__}, not a tensor",
                "end forward() with `return` and the tensor of predictions",
            )


def _wrong_shape(found: tuple[int, ...], wanted: tuple[int, ...]) -> Finding:
    hint = "change the last layer or reshape in forward()"
    if found == (*wanted, 1):
        hint = "end forward() with `.squeeze(1)`: a column would be broadcast against the targets"
    return Finding(
        Outcome.CONTRACT_ERROR,
        f"MyModel returned the shape {found} where {wanted} is needed (the first number is the batch)",
        hint,
    )


def task_of(name: str, outputs: int) -> Task:
    """The task that a job names."""
    return Task(name, outputs, torch.float32 if name == "regression" else torch.int64)
