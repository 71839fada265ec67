"""What a task is on the host: its targets, its metrics, the losses that can train it, and the test loss.

Whatever depends on the kind of task on this side stands here, and the formulas that it names in
``metrics.py``; the guest's half is ``harness/guest/tasks.py``. A further kind is an entry in `TASKS`, and its
like over there. An assignment is read before NumPy is loaded, so nothing here imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.host.torch_names import CLASS_LOSSES, NUMBER_LOSSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from harness.host.torch_names import Arguments

    Fault = tuple[NDArray[Any], str]

LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of task.

    Attributes:
        metrics: what can be measured, with the direction that is better, ``min`` or ``max``.
        losses: the classes of ``torch.nn`` that can train it.
        test_loss: which of ``metrics.LOSSES`` is shown for the test rows.
        has_classes: whether targets are class numbers, and a prediction a score for each class.
        target_dtype: NumPy's name of what the loops get.
        answer_dtype: NumPy's name of what the metric compares with.
        fault: from targets (N,) float64 and the number of classes, which of them are wrong (N,), and why.
    """

    metrics: Mapping[str, str]
    losses: Mapping[str, Arguments]
    test_loss: str
    has_classes: bool
    target_dtype: str
    answer_dtype: str
    fault: Callable[[NDArray[Any], int | None], Fault]


def _too_large(targets: NDArray[Any], _: int | None) -> Fault:
    return abs(targets) > LARGEST_FLOAT32, f"has a number over {LARGEST_FLOAT32:.3g}, too large for float32"


def _no_class(targets: NDArray[Any], classes: int | None) -> Fault:
    return (
        (targets % 1 != 0) | (targets < 0) | (targets >= (classes or 0)),
        f"is no class under {classes}",
    )


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "regression": Task(
            metrics={"rmse": "min", "mae": "min"},
            losses=NUMBER_LOSSES,
            test_loss="squared_error",
            has_classes=False,
            target_dtype="float32",
            answer_dtype="float64",
            fault=_too_large,
        ),
        "classification": Task(
            metrics={"accuracy": "max"},
            losses=CLASS_LOSSES,
            test_loss="cross_entropy",
            has_classes=True,
            target_dtype="int64",
            answer_dtype="int64",
            fault=_no_class,
        ),
    }
)
METRIC_DIRECTIONS: Mapping[str, str] = MappingProxyType(
    {name: direction for task in TASKS.values() for name, direction in task.metrics.items()}
)
