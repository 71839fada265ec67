"""From prediction bytes to a score."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from harness.host.assignment import Assignment
from harness.host.bootstrap import RESAMPLED_AT_ONCE, RESAMPLES
from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.grade import grade
from harness.host.metrics import METRICS
from harness.host.reference import Reference, load_reference
from harness.host.scoring import (
    InvalidPredictionsError,
    baselines,
    parse_predictions,
    public_rows,
    score,
    score_split,
    score_stored,
)
from tests.fake_backend import FakeBackend
from tests.toy_guests import Cast, Stage, fail, order

if TYPE_CHECKING:
    from harness.host.records import Score

KEY = bytes(range(32))
PLANTED = 987654.25
ASSIGNMENT = Assignment.model_validate(
    {
        "id": "toy",
        "title": "A toy",
        "task": "regression",
        "data": {"target": "count"},
        "metric": {"name": "rmse", "direction": "min"},
        "loss": {"name": "MSELoss"},
        "points": {"contract": 1.0, "finished": 1.0, "finite": 1.0, "runtime": 1.0},
        "tiers": [
            {"name": "simple", "threshold": 3.0, "public_points": 1.0, "private_points": 1.0},
            {"name": "boss", "threshold": 1.0, "public_points": 1.0, "private_points": 1.0},
        ],
        "folder": Path("assignments/toy"),
    }
)
KNOWN_SPLIT = [
    True,
    True,
    False,
    True,
    True,
    False,
    False,
    True,
]  # of ids 0 to 7 under KEY, worked out from the formula by itself
IDS = np.array([str(number) for number in range(40)])


def test_exact_bytes_become_predictions() -> None:
    """N x C little-endian float32, row after row."""
    payload = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
    predictions = parse_predictions(payload, rows=3, outputs=2)
    assert predictions.dtype == np.float32
    assert predictions.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (16, "4 rows came for 3 inputs: 1 row too many"),
        (8, "2 rows came for 3 inputs: 1 row too few"),
        (0, "0 rows came for 3 inputs: 3 rows too few"),
        (13, "13 bytes of predictions came"),
    ],
)
def test_a_wrong_number_of_bytes_is_refused(size: int, said: str) -> None:
    """One row more, one less, none, or half a number."""
    with pytest.raises(InvalidPredictionsError, match=said) as caught:
        parse_predictions(bytes(size), rows=3, outputs=1)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            (1, float("nan"), 2, float("inf")),
            "of 4 predicted values, 1 NaN and 1 infinite; the first is in row 1,",
        ),
        ((1, 2, -float("inf"), 4), "of 4 predicted values, 1 infinite; the first is in row 2,"),
    ],
)
def test_values_that_are_not_finite_are_counted(values: tuple[float, ...], said: str) -> None:
    """How many there are, of which kind, and where the first is."""
    with pytest.raises(InvalidPredictionsError, match=said):
        parse_predictions(struct.pack("<4f", *values), rows=4, outputs=1)


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("rows", [2, 200, 6000])
def test_the_interval_is_that_of_scipy(name: str, rows: int) -> None:
    """The same percentile bootstrap as `scipy.stats.bootstrap`, from the same seed, in one batch or more."""
    generator = np.random.default_rng(rows)
    predictions = generator.normal(size=(rows, 3)).astype(np.float32)
    answers = generator.integers(0, 3, rows)
    metric = METRICS[name]
    interval = score_split(metric, predictions, answers, seed=5)
    expected = stats.bootstrap(
        (metric.per_row(predictions, answers),),
        lambda sample, axis: metric.aggregate(sample.mean(axis=axis)),
        n_resamples=RESAMPLES,
        batch=max(1, RESAMPLED_AT_ONCE // rows),
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert interval is not None
    assert interval.rows == rows
    assert interval.value == pytest.approx(metric(predictions, answers))
    assert interval.ci95 == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-12)
    assert interval.ci95[0] <= interval.value <= interval.ci95[1]


def test_an_empty_split_has_no_score_and_one_row_no_width() -> None:
    """Neither is an error."""
    metric = METRICS["rmse"]
    assert score_split(metric, np.zeros((0, 1), np.float32), np.zeros(0)) is None
    one = score_split(metric, np.zeros((1, 1), np.float32), np.array([2.0]))
    assert one is not None
    assert (one.value, one.ci95) == (2.0, (2.0, 2.0))


def test_the_split_is_decided_by_each_id_alone() -> None:
    """Known answers of the formula; adding, dropping or reordering rows moves no other row."""
    whole = public_rows(IDS, KEY, 0.5)
    assert whole[:8].tolist() == KNOWN_SPLIT
    assert np.array_equal(public_rows(IDS[::-1], KEY, 0.5)[::-1], whole)
    assert np.array_equal(public_rows(IDS[::3], KEY, 0.5), whole[::3])
    assert not np.array_equal(public_rows(IDS, KEY[::-1], 0.5), whole)


def test_the_public_share_holds() -> None:
    """None, all, and about the share of many rows are public."""
    assert not public_rows(IDS, KEY, 0.0).any()
    assert public_rows(IDS, KEY, 1.0).all()
    assert public_rows(range(20_000), KEY, 0.3).mean() == pytest.approx(0.3, abs=0.02)


def sample(predictions: np.ndarray | None, reference: Reference | None) -> Score:
    """Score predictions, with perfect ones on two validation rows."""
    return score(
        ASSIGNMENT,
        test_predictions=predictions,
        test_ids=IDS,
        reference=reference,
        valid_predictions=np.array([[1.0], [2.0]], np.float32),
        valid_targets=np.array([1.0, 2.0], np.float32),
    )


def test_each_split_is_scored_on_its_own_rows() -> None:
    """Errors on private rows leave the public score alone; answers are matched by id, not by place."""
    answers = np.arange(len(IDS), dtype=np.float64)
    shuffle = np.random.default_rng(3).permutation(len(IDS))
    reference = Reference(IDS[shuffle], answers[shuffle], KEY)
    public = public_rows(IDS, KEY, ASSIGNMENT.split.public_share)
    predictions = np.where(public, answers, answers + 2).astype(np.float32)[:, None]
    scored = sample(predictions, reference)
    assert scored.public is not None
    assert scored.private is not None
    assert scored.validation is not None
    assert (scored.public.value, scored.private.value, scored.validation.value) == (0.0, 2.0, 0.0)
    assert scored.public.rows + scored.private.rows == len(IDS)
    assert scored.test_loss == pytest.approx(4 * (~public).mean())
    simple, boss = baselines(ASSIGNMENT, scored)
    assert (simple.public, simple.private, boss.public, boss.private) == (True, True, True, False)


def test_the_same_predictions_get_the_same_score() -> None:
    """Bit for bit, bootstrap included."""
    reference = Reference(IDS, np.arange(len(IDS), dtype=np.float64), KEY)
    predictions = np.zeros((len(IDS), 1), np.float32)
    assert sample(predictions, reference) == sample(predictions, reference)


def test_without_a_reference_only_validation_is_scored() -> None:
    """A student's copy has no answers; nor has a run without predictions anything to compare with them."""
    for scored in (
        sample(np.zeros((len(IDS), 1), np.float32), None),
        sample(None, Reference(IDS, np.zeros(len(IDS)), KEY)),
    ):
        assert (scored.public, scored.private, scored.test_loss) == (None, None, None)
        assert scored.validation is not None
        assert [(each.public, each.private) for each in baselines(ASSIGNMENT, scored)] == [(None, None)] * 2


@pytest.mark.parametrize("ids", [IDS[:-1], np.append(IDS, "40"), np.array(["x", *IDS[1:]]), IDS[:0]])
def test_a_reference_for_other_rows_is_refused(ids: np.ndarray) -> None:
    """It is a broken assignment, and no answer is in the message."""
    reference = Reference(ids, np.full(len(ids), PLANTED), KEY)
    with pytest.raises(UsageError, match="are not the 40 rows of the test file") as caught:
        sample(np.zeros((len(IDS), 1), np.float32), reference)
    assert str(PLANTED) not in str(caught.value)


def test_a_reference_shows_neither_answers_nor_key() -> None:
    """A reference in a traceback or a failed assertion tells nothing."""
    reference = Reference(IDS, np.full(len(IDS), PLANTED), KEY)
    shown = f"{reference!r} {reference!s} {[reference]} {dataclasses.fields(reference)}"
    assert "987654" not in shown
    assert repr(KEY) not in shown
    assert KEY.hex() not in shown


@pytest.mark.parametrize("with_reference", [True, False])
def test_a_stored_run_gets_the_score_that_it_got(*, with_reference: bool) -> None:
    """Bit for bit, chance level and test loss included, out of what is kept of it alone."""
    graded = order(reference="toy" if with_reference else "nothing")
    _, run = grade(graded, FakeBackend(Cast()), Stage())
    assert run.kept is not None
    assert run.score.validation is not None
    assert (run.score.private is not None) == with_reference
    reference = load_reference(graded.reference, graded.assignment)
    data = load_data(graded.assignment)
    for _ in range(2):
        assert score_stored(graded.assignment, data, reference, run.predictions, run.kept) == run.score


def test_a_stored_run_without_predictions_has_no_score() -> None:
    """But for the chance level, as when it ran."""
    graded = order()
    _, run = grade(graded, FakeBackend(Cast(predict=fail)), Stage())
    assert run.kept is not None
    reference = load_reference(graded.reference, graded.assignment)
    scored = score_stored(
        graded.assignment, load_data(graded.assignment), reference, run.predictions, run.kept
    )
    assert scored == run.score
    assert (scored.validation, scored.public) == (None, None)
    assert scored.chance is not None


@pytest.mark.parametrize("changes", [{"valid_ratio": 0.5}, {"valid_ratio": 1e-9}, {"rows": 59}])
def test_a_run_on_other_data_is_not_scored(changes: dict[str, Any]) -> None:
    """Predictions for other rows than there are now say nothing of these."""
    graded = order()
    _, run = grade(graded, FakeBackend(Cast()), Stage())
    assert run.kept is not None
    assert run.predictions is not None
    rows = int(changes.pop("rows", len(run.predictions)))
    kept = dataclasses.replace(run.kept, **changes)
    with pytest.raises(UsageError, match="are kept of a run, and the data of toy need") as caught:
        score_stored(graded.assignment, load_data(graded.assignment), None, run.predictions[:rows], kept)
    assert "grade its submission again" in caught.value.fix
