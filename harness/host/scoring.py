"""Turns prediction bytes into a score: shape and finiteness, the metric on each split, the tiers.

No message here shows an answer.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.bootstrap import resampled_means
from harness.host.cache import Latest
from harness.host.data import validation_rows
from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.metrics import LOSSES, METRICS, Metric
from harness.host.records import Baseline, Interval, Score

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment
    from harness.host.data import Data
    from harness.host.records import Kept
    from harness.host.reference import Reference

PERCENTILES = (2.5, 97.5)  # of a 95 % interval
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

    low, high = np.percentile(metric.aggregate(resampled_means(values, seed)), PERCENTILES)
    return Interval(value, (float(low), float(high)), rows=len(values))


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
    share = assignment.split.public_share
    halves = _latest.of((id(test_ids), reference, share), (), lambda: _halves(test_ids, reference, share))
    return Score(
        metric.name,
        metric.direction,
        validation=validation,
        public=score_split(metric, test_predictions[halves.public], halves.public_answers),
        private=score_split(metric, test_predictions[halves.private], halves.private_answers),
        test_loss=LOSSES[assignment.kind.test_loss](test_predictions, halves.answers),
    )


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class _Halves:
    """The test rows' answers and what is public of them, which many runs are scored against.

    Attributes:
        test_ids: (M,) what they were made for, which keeps its identity for itself.
        answers: (M,) in that order.
        public: positions of the public rows.
        private: positions of the others.
    """

    test_ids: NDArray[np.str_]
    answers: NDArray[Any]
    public: NDArray[np.intp]
    private: NDArray[np.intp]
    public_answers: NDArray[Any]
    private_answers: NDArray[Any]


def _halves(test_ids: NDArray[np.str_], reference: Reference, public_share: float) -> _Halves:
    answers = reference.answers_for(test_ids)
    is_public = public_rows(test_ids, reference.split_key, public_share)
    public, private = np.flatnonzero(is_public), np.flatnonzero(~is_public)
    return _Halves(test_ids, answers, public, private, answers[public], answers[private])


_latest: Latest[_Halves] = Latest()


def score_stored(
    assignment: Assignment,
    data: Data,
    reference: Reference | None,
    predictions: NDArray[np.float32] | None,
    kept: Kept,
) -> Score:
    """Score a run again by what was kept of it, to the bits that it got when it ran.

    Args:
        assignment: names the metric, the task and the public share.
        data: the rows that it ran on.
        reference: the answers; None in a student's copy.
        predictions: (M, C) for the test rows in the data's order; None where the run has none.
        kept: what is kept of it beside.

    Raises:
        UsageError: it did not run on these data, or the reference is not for them.
    """
    targets = _validation_targets(data, kept)
    for stored, rows in ((predictions, len(data.test_ids)), (kept.valid_predictions, len(targets))):
        if stored is not None and stored.shape != (rows, assignment.outputs):
            raise UsageError(
                f"{' x '.join(map(str, stored.shape))} predictions are kept of a run, and the data of "
                f"{assignment.id} need {rows} x {assignment.outputs}",
                "the run was made with other data: grade its submission again",
            )
    scored = score(
        assignment,
        test_predictions=predictions,
        test_ids=data.test_ids,
        reference=reference,
        valid_predictions=kept.valid_predictions,
        valid_targets=targets,
    )
    return replace(scored, chance=chance_level(assignment, data.train_targets))


def _validation_targets(data: Data, kept: Kept) -> NDArray[Any]:
    rows = len(data.train_targets)
    try:
        return data.train_targets[validation_rows(rows, kept.valid_ratio, kept.seed)]
    except InvalidSubmissionError:  # these are not the data that it ran on
        return data.train_targets[:0]


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
