"""Turns prediction bytes into a score: shape and finiteness, the metric on each split, the tiers.

No message here shows an answer.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.metrics import LOSSES, METRICS, Metric
from harness.host.records import Baseline, Interval, Score

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment
    from harness.host.reference import Reference

PERCENTILES = (2.5, 97.5)  # of a 95 % interval
RESAMPLES = 1000
RESAMPLED_AT_ONCE = 1 << 22  # values: the bootstrap holds two arrays of 8 bytes times this
SEED = 20220218  # of the bootstrap: the same predictions always get the same interval


class InvalidPredictionsError(Exception):
    """What came out of the prediction sandbox is no N x C finite numbers; becomes ``invalid_predictions``."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse_predictions(payload: bytes, rows: int, outputs: int) -> NDArray[np.float32]:
    """Read exactly rows x outputs little-endian float32.

    Returns:
        (rows, outputs) finite float32, in the order of the payload; read-only.

    Raises:
        InvalidPredictionsError: there are more or fewer bytes, or a NaN or infinite value.
    """
    row_bytes = 4 * outputs
    if len(payload) != rows * row_bytes:
        raise InvalidPredictionsError(
            _wrong_size(len(payload), rows, row_bytes),
            f"MyModel must return one row of {_count(outputs, 'number')} for each row it is given",
        )
    predictions = np.frombuffer(payload, dtype="<f4").reshape(rows, outputs)
    if not np.isfinite(predictions).all():
        raise InvalidPredictionsError(
            _not_finite(predictions),
            "look for a division by zero, the logarithm or root of a negative number, or weights that grew",
        )
    return predictions.astype(np.float32, copy=False)


def _wrong_size(size: int, rows: int, row_bytes: int) -> str:
    found, rest = divmod(size, row_bytes)
    if rest:
        return f"{size} bytes of predictions came, where {rows} rows of {row_bytes} bytes were expected"
    more = found > rows
    count = _count(abs(found - rows), "row")
    return f"{_count(found, 'row')} came for {_count(rows, 'input')}: {count} too {'many' if more else 'few'}"


def _not_finite(predictions: NDArray[np.float32]) -> str:
    found = {"NaN": np.isnan(predictions).sum(), "infinite": np.isinf(predictions).sum()}
    kinds = " and ".join(f"{count} {kind}" for kind, count in found.items() if count)
    first = int((~np.isfinite(predictions)).any(axis=1).argmax())
    return (
        f"of {_count(predictions.size, 'predicted value')}, {kinds}; the first is in row {first}, "
        "counted from 0 in the order in which the model met them"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def score_split(
    metric: Metric, predictions: NDArray[np.float32], answers: NDArray[Any], seed: int = SEED
) -> Interval | None:
    """The metric over a split's rows, with its 95 % percentile bootstrap interval over 1,000 resamples.

    Args:
        metric: one of `METRICS`.
        predictions: (N, C) float32.
        answers: (N,).
        seed: of the resampling.

    Returns:
        None where the split has no rows; of one row, the interval is the value itself.
    """
    if not len(answers):
        return None
    values = metric.per_row(predictions, answers)
    value = float(metric.aggregate(np.asarray(values.mean())))
    if len(values) == 1:
        return Interval(value, (value, value), rows=1)

    low, high = np.percentile(metric.aggregate(_resampled_means(values, seed)), PERCENTILES)
    return Interval(value, (float(low), float(high)), rows=len(values))


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of `RESAMPLES` samples of (N,) values, drawn with replacement; memory does not grow with N."""
    generator = np.random.default_rng(seed)
    at_once = max(1, RESAMPLED_AT_ONCE // len(values))
    means = [
        values[generator.integers(len(values), size=(min(at_once, RESAMPLES - done), len(values)))].mean(
            axis=1
        )
        for done in range(0, RESAMPLES, at_once)
    ]
    return np.concatenate(means)


def public_rows(ids: Iterable[object], key: bytes, public_share: float) -> NDArray[np.bool_]:
    """Which test rows are public, decided for each id alone.

    A row is public if the first 8 bytes of HMAC-SHA256(key, id), as a big-endian fraction of 2**64, are under
    `public_share`.
    """
    digests = (hmac.digest(key, str(each).encode(), hashlib.sha256) for each in ids)
    return np.array(
        [int.from_bytes(digest[:8], "big") / 2**64 < public_share for digest in digests], dtype=np.bool_
    )


def score(
    assignment: Assignment,
    *,
    test_predictions: NDArray[np.float32] | None,
    test_ids: NDArray[np.str_],
    reference: Reference | None,
    valid_predictions: NDArray[np.float32] | None,
    valid_targets: NDArray[Any],
) -> Score:
    """Score the predictions on every split that has both predictions and labels here.

    Args:
        assignment: names the metric, the task and the public share.
        test_predictions: (M, C), in the order of `test_ids`.
        test_ids: (M,) ids of the test file.
        reference: the answers; None in a student's copy.
        valid_predictions: (V, C) for the validation rows.
        valid_targets: (V,) in the same order.

    Raises:
        UsageError: the reference is not for these test rows.
    """
    metric = METRICS[assignment.metric.name]
    validation = None if valid_predictions is None else score_split(metric, valid_predictions, valid_targets)
    if test_predictions is None or reference is None:
        return Score(metric.name, metric.direction, validation=validation)
    answers = reference.answers_for(test_ids)
    public = public_rows(test_ids, reference.split_key, assignment.split.public_share)
    return Score(
        metric.name,
        metric.direction,
        validation=validation,
        public=score_split(metric, test_predictions[public], answers[public]),
        private=score_split(metric, test_predictions[~public], answers[~public]),
        test_loss=LOSSES[assignment.kind.test_loss](test_predictions, answers),
    )


def chance_level(assignment: Assignment, targets: NDArray[Any]) -> float:
    """The metric that the best prediction which is the same for all rows has on these targets (N,)."""
    return METRICS[assignment.metric.name].chance_level(targets, assignment.outputs)


def baselines(assignment: Assignment, scored: Score) -> tuple[Baseline, ...]:
    """Which tiers the score reached on each split: at least as good as the threshold counts."""
    metric = METRICS[assignment.metric.name]

    def beaten(split: Interval | None, threshold: float) -> bool | None:
        return None if split is None else metric.at_least_as_good(split.value, threshold)

    return tuple(
        Baseline(
            tier.name,
            tier.threshold,
            beaten(scored.public, tier.threshold),
            beaten(scored.private, tier.threshold),
        )
        for tier in assignment.tiers
    )
