"""The metrics, each as a value for every row, so that a bootstrap can resample rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.tasks import METRIC_DIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that is a function of a mean over rows.

    Attributes:
        name: as in ``assignment.toml``.
        direction: ``min`` or ``max``, whichever is better.
        per_row: from predictions (N, C) and answers (N,), a float64 value for each row (N,).
        aggregate: from the mean over rows, of any shape, to the metric.
        constant: from answers (N,) and the number of outputs C, the prediction (C,) that is best where all
            rows get the same.
    """

    name: str
    direction: str
    per_row: Callable[[NDArray[np.float32], NDArray[Any]], NDArray[np.float64]]
    aggregate: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    constant: Callable[[NDArray[Any], int], NDArray[np.float64]]

    def __call__(self, predictions: NDArray[np.float32], answers: NDArray[Any]) -> float:
        """The metric over all rows, of which there must be at least one."""
        return float(self.aggregate(np.asarray(self.per_row(predictions, answers).mean())))

    def chance_level(self, answers: NDArray[Any], outputs: int) -> float:
        """The metric of the best prediction that is the same for all rows (N,) of answers."""
        constant = self.constant(answers, outputs).astype(np.float32)
        return self(np.broadcast_to(constant, (len(answers), outputs)), answers)

    def at_least_as_good(self, value: float, threshold: float) -> bool:
        """Whether `value` reaches `threshold` in this metric's direction."""
        return value <= threshold if self.direction == "min" else value >= threshold


def _residuals(predictions: NDArray[np.float32], answers: NDArray[Any]) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = predictions[:, 0].astype(np.float64) - answers.astype(np.float64)
    return difference


def _squared_error(predictions: NDArray[np.float32], answers: NDArray[Any]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = np.square(_residuals(predictions, answers))
    return squared


def _absolute_error(predictions: NDArray[np.float32], answers: NDArray[Any]) -> NDArray[np.float64]:
    absolute: NDArray[np.float64] = np.abs(_residuals(predictions, answers))
    return absolute


def _hit(predictions: NDArray[np.float32], answers: NDArray[Any]) -> NDArray[np.float64]:
    hits: NDArray[np.float64] = (predictions.argmax(axis=1) == answers).astype(np.float64)
    return hits


def _mean(answers: NDArray[Any], _: int) -> NDArray[np.float64]:
    return np.atleast_1d(np.mean(answers))


def _median(answers: NDArray[Any], _: int) -> NDArray[np.float64]:
    return np.atleast_1d(np.median(answers))


def _most_frequent(answers: NDArray[Any], classes: int) -> NDArray[np.float64]:
    return np.bincount(answers, minlength=classes).astype(np.float64)


def _itself(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "rmse": Metric("rmse", METRIC_DIRECTIONS["rmse"], _squared_error, np.sqrt, _mean),
        "mae": Metric("mae", METRIC_DIRECTIONS["mae"], _absolute_error, _itself, _median),
        "accuracy": Metric("accuracy", METRIC_DIRECTIONS["accuracy"], _hit, _itself, _most_frequent),
    }
)


def squared_loss(predictions: NDArray[np.float32], answers: NDArray[Any]) -> float:
    """Mean squared error of predictions (N, 1), in float64."""
    return float(_squared_error(predictions, answers).mean())


def cross_entropy(predictions: NDArray[np.float32], answers: NDArray[Any]) -> float:
    """Mean cross-entropy of logits (N, C) against class numbers (N,), in float64 and natural logarithm.

    The loss of a row is ``log(sum(exp(logits))) - logits[answer]``, shifted by the largest logit so that
    nothing overflows.
    """
    logits = predictions.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(logits)), answers]
    return float((np.log(np.exp(logits).sum(axis=1)) - chosen).mean())


LOSSES: Mapping[str, Callable[[NDArray[np.float32], NDArray[Any]], float]] = MappingProxyType(
    {"squared_error": squared_loss, "cross_entropy": cross_entropy}
)
