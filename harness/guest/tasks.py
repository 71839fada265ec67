"""What a task asks of a model: the loss, the targets' type, and the form of its output for a batch.

Whatever depends on the kind of task in a sandbox stands here; the host's half is ``harness/host/tasks.py``. A
further kind is a class here, an entry in `TASKS`, and its like over there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from harness.guest import build
from harness.guest.findings import Finding
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


class Task(ABC):
    """One kind of task.

    Attributes:
        target_dtype: of the harness's own data set.
        outputs: numbers that a prediction has for each row.
    """

    target_dtype: ClassVar[torch.dtype]

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    def criterion(self, table: Mapping[str, Any]) -> nn.Module:
        """The loss that the loops call with a batch's output and its targets, as the config names it."""
        return build.build_criterion(table)

    def check_training_output(self, pred: Tensor, y: Tensor) -> None:
        """Check the first batch's output and targets, before PyTorch broadcasts a mistake away.

        Raises:
            Finding: the output is no tensor of the agreed shape and type, or the targets are none.
        """
        _check_tensor(pred)
        wanted = self._training_shape(y)
        if tuple(pred.shape) != wanted:
            raise self._wrong_shape(pred, wanted)

    def check_prediction(self, pred: Tensor, rows: int) -> Tensor:
        """Return a test batch's output as (rows, outputs).

        Raises:
            Finding: it is no tensor of that many numbers a row.
        """
        _check_tensor(pred)
        allowed = self._prediction_shapes(rows)
        if tuple(pred.shape) not in allowed:
            raise self._wrong_shape(pred, allowed[0])
        return pred.reshape(rows, self.outputs)

    @abstractmethod
    def _training_shape(self, y: Tensor) -> tuple[int, ...]:
        """The shape of the output for a batch with these targets."""

    @abstractmethod
    def _prediction_shapes(self, rows: int) -> tuple[tuple[int, ...], ...]:
        """The shapes that the output may have for so many rows; the first is the one that is asked for."""

    @abstractmethod
    def _shape_hint(self, pred: Tensor, wanted: tuple[int, ...]) -> str:
        """How an output of another shape is mended; empty where nothing particular is known."""

    def _wrong_shape(self, pred: Tensor, wanted: tuple[int, ...]) -> Finding:
        found = tuple(pred.shape)
        return Finding(
            Outcome.CONTRACT_ERROR,
            f"MyModel returned the shape {found} where {wanted} is needed (the first number is the batch)",
            self._shape_hint(pred, wanted) or "change the last layer or reshape in forward()",
        )


class Regression(Task):
    """One number for each row; the output has the shape of the targets."""

    target_dtype = torch.float32

    def _training_shape(self, y: Tensor) -> tuple[int, ...]:
        return tuple(y.shape)

    def _prediction_shapes(self, rows: int) -> tuple[tuple[int, ...], ...]:
        return (rows,), (rows, 1)

    def _shape_hint(self, pred: Tensor, wanted: tuple[int, ...]) -> str:
        found = tuple(pred.shape)
        if found == (*wanted, 1):
            return "end forward() with `.squeeze(1)`: a column would be broadcast against the targets"
        if (*found, 1) == wanted:
            return (
                "MyDataset gives the targets as a column, which would be broadcast against the predictions: "
                "return each y as a single number"
            )
        return ""


class Classification(Task):
    """One score for each class and row; the class with the highest score is the prediction."""

    target_dtype = torch.int64

    def check_training_output(self, pred: Tensor, y: Tensor) -> None:
        """Check shape and type of the output, and the targets of a student's data set."""
        super().check_training_output(pred, y)
        if not pred.is_floating_point():
            raise Finding(
                Outcome.CONTRACT_ERROR,
                f"MyModel returned numbers of type {_name(pred.dtype)} where scores of float32 are needed",
                "return what the last layer gives: argmax(), round() and long() have no gradient",
            )
        numbers = y.dim() == 1 and y.dtype in (torch.int64, torch.uint8)  # what PyTorch's losses take
        shares = tuple(y.shape) == tuple(pred.shape) and y.is_floating_point()  # of each class, as in mixup
        if not (numbers or shares):
            raise Finding(
                Outcome.CONTRACT_ERROR,
                f"MyDataset gives targets of shape {tuple(y.shape)} and type {_name(y.dtype)} where class "
                f"numbers of shape ({len(y)},) and type int64 are needed (the first number is the batch)",
                "return the class as int(...), or as a tensor without dimensions of type torch.long",
            )

    def _training_shape(self, y: Tensor) -> tuple[int, ...]:
        return len(y), self.outputs

    def _prediction_shapes(self, rows: int) -> tuple[tuple[int, ...], ...]:
        return ((rows, self.outputs),)

    def _shape_hint(self, pred: Tensor, wanted: tuple[int, ...]) -> str:
        if pred.dim() > len(wanted):
            return "end forward() with `.flatten(1)`: each row needs a plain list of scores"
        if tuple(pred.shape) == wanted[:1] and not pred.is_floating_point():
            return (
                "return the scores of all classes, without argmax(): the grader takes the highest one itself"
            )
        return f"the last layer needs {self.outputs} outputs, one score for each class"


TASKS: Mapping[str, type[Task]] = MappingProxyType(
    {"regression": Regression, "classification": Classification}
)


def task_of(name: str, outputs: int) -> Task:
    """The task that a job names."""
    return TASKS[name](outputs)


def _check_tensor(pred: object) -> None:
    if not isinstance(pred, torch.Tensor):
        raise Finding(
            Outcome.CONTRACT_ERROR,
            f"MyModel returned {type(pred).__name__}, not a tensor",
            "end forward() with `return` and the tensor of predictions",
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
