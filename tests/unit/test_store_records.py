"""What goes into the store comes out of it, in each kind of database."""

from __future__ import annotations

import math
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.host.identity import config_digest, harness_version
from harness.host.packing import unpack
from harness.host.records import Check, EpochClaim, Interval, Kept, Place, Runtime, Score
from harness.host.report.document import staff_document, student_document
from harness.host.store.listing import current_runs, list_faults, list_runs
from harness.host.store.rows import LOG_TAIL, storable
from harness.host.submission import submission_of
from harness.protocol import Outcome, Phase
from tests.stored import NOON, Made, later
from tests.unit.conftest import FAILURE, build

if TYPE_CHECKING:
    from harness.host.records import Report
    from harness.host.store.store import Store

HOSTILE = [
    "NUL \0 and \x01\x1b[31m\x7f\x9b",
    "a lone \udc80 surrogate \ud800",
    "\\x00 as text, 'quotes\"; DROP TABLE runs; --",
    "多行\n文字\r\n\u2028\u202e\U0001f600\U000e0001\ufffe",
    "a" * 1_000_000,
    "",
]
REPORT = build({"run_id": "0123456789abcdef"})
# Nothing in it is what it is where nobody says anything.
FULL = build(
    {
        "run_id": REPORT.run.run_id,
        "place": Place("model.py", 7),
        "finding": "predictions depend on the batch",
        "kept": Kept(1, 0.25),
        "log": "epoch 1\n",
    },
    notes=("cell 3 was left out", "cell 4 was taken"),
    checks=(Check("a", "passed", 1.0, 1.0, "why"), Check("b", "failed", 0.0, 1.0, "why not", private=True)),
)
HUGE = {"seed": 2**32 - 1, "line": 2**31, "bytes": 2**62}


def kept_of(report: Report) -> Report:
    """A report as the store has it: without predictions, with the end of the log, in storable text."""
    run = replace(report.run, predictions=None, kept=None, log=storable(report.run.log[-LOG_TAIL:]))
    return replace(report, run=run)


def changed(report: Report, **changes: Any) -> Report:
    """A report with fields of its run changed."""
    return replace(report, run=replace(report.run, **changes))


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(REPORT, id="good"),
        pytest.param(FULL, id="full"),
        pytest.param(changed(REPORT, **FAILURE, score=Score("rmse", "min"), baselines=()), id="failed"),
        pytest.param(changed(REPORT, epochs=(), best_epoch=None, runtime=Runtime()), id="never trained"),
        pytest.param(changed(REPORT, finding="depends on the batch", log="é" * 9000), id="long log"),
        pytest.param(replace(REPORT, checks=()), id="no checks"),
        pytest.param(changed(REPORT, place=Place("a/model.py", HUGE["line"])), id="late line"),
        pytest.param(
            changed(REPORT, runtime=Runtime(5e-324, 1e-300, 1e300, 0.1 + 0.2, HUGE["bytes"])), id="extremes"
        ),
    ],
)
def test_report_is_read_as_it_was_written(store: Store, report: Report) -> None:
    """Every field, in every bit, but for the predictions and what is beyond the log's end."""
    run_id = Made().into(store, report=report)

    assert repr(store.read(run_id, private=True).report) == repr(kept_of(report))
    assert store.log_of(store.read(run_id, private=True).row) == report.run.log


def test_every_field_is_tried() -> None:
    """Whoever gives a record another field says here what it may hold, and sees if the store keeps it."""
    run = FULL.run
    for record in (FULL, run, run.score, run.runtime, run.environment, run.baselines[0], FULL.checks[1]):
        for each in fields(record):
            assert getattr(record, each.name) != each.default, f"{type(record).__name__}.{each.name}"


def test_epochs_are_read_as_they_were_claimed(store: Store) -> None:
    """NaN, both infinities, the smallest number and the largest: a check may compare them."""
    odd = [math.nan, math.inf, -math.inf, 5e-324, sys.float_info.max, -0.0, 1 / 3]
    epochs = tuple(EpochClaim(number, loss, -loss, 0.25) for number, loss in enumerate(odd, start=1))
    report = changed(REPORT, epochs=epochs, best_epoch=3)
    run_id = Made().into(store, report=report)

    read = store.read(run_id, private=True).report

    assert repr(read.run.epochs) == repr(epochs)
    assert staff_document(read) == staff_document(report)


def test_figures_that_are_not_finite_are_no_figures(store: Store) -> None:
    """A score of NaN is neither a number nor lost: the document shows none, as it did."""
    score = Score("rmse", "min", public=Interval(math.nan, (math.nan, math.inf), 7), test_loss=math.inf)
    report = changed(REPORT, score=score)
    read = store.read(Made().into(store, report=report), private=True).report

    assert read.run.score.public is not None
    assert math.isnan(read.run.score.public.value)
    assert read.run.score.public.rows == 7
    assert read.run.score.test_loss is None
    assert staff_document(read)["metric"] == staff_document(report)["metric"]


@pytest.mark.parametrize("text", HOSTILE, ids=["controls", "surrogates", "sql", "unicode", "1 MB", "empty"])
def test_any_text_can_be_kept(store: Store, text: str) -> None:
    """What no database holds is spelled out, once; the rest comes back as it is."""
    report = changed(REPORT, message=text, hint=text, finding=text, log=text, place=Place(text, 1))
    report = replace(report, submission_name=text, checks=(Check(text, "failed", 0.0, 1.0, text),))
    student = text[:255] or "s001"  # as long as the name of a file
    run_id = Made(student).into(store, report=report)

    stored = store.read(run_id, private=True)

    safe = storable(text)
    run = replace(report.run, message=safe, hint=safe, finding=safe, place=Place(safe, 1))
    expected = replace(report, run=run, submission_name=safe, checks=(Check(safe, "failed", 0.0, 1.0, safe),))
    assert repr(stored.report) == repr(kept_of(expected))
    assert stored.student == storable(student)
    assert storable(safe) == safe
    assert "\0" not in safe
    assert store.log_of(stored.row).encode() == text.encode("utf-8", "backslashreplace")
    assert [row["id"] for row in list_runs(store, None, student, None, 9)] == [run_id]


def test_row_says_what_was_handed_in_and_what_it_is_made_of(store: Store) -> None:
    """Whose, when to the microsecond, by which harness; and each artifact is the bytes that there were."""
    moment = datetime(2031, 12, 31, 23, 59, 59, 123457, tzinfo=UTC)
    test, valid = np.array([[1.5], [np.nan]], np.float32), np.array([[2.5]], np.float32)
    made = Made(
        "s007", submitted=moment, seed=HUGE["seed"], predictions=test, valid_predictions=valid, model="x = 1"
    )
    stored = store.read(made.into(store), private=False)
    row, get = stored.row, store.artifacts.get

    assert (stored.student, stored.submitted) == ("s007", moment)
    assert (row["seed"], row["valid_ratio"], row["harness"]) == (HUGE["seed"], 0.2, harness_version())
    assert row["config_sha256"] == config_digest(made.submission.config)
    assert unpack(get(row["content"])) == made.submission.files
    assert get(row["test_predictions"]) == test.tobytes()
    assert get(row["valid_predictions"]) == valid.tobytes()
    assert get(row["weights"]) == b"weights"
    assert get(row["log"]) == b"epoch 1\n"


def test_what_never_ran_has_no_artifacts(store: Store) -> None:
    """A submission that could not be read leaves its report alone."""
    made = Made(outcome=Outcome.INVALID_SUBMISSION)
    report = changed(made.report(), kept=None, log="", epochs=(), phase=Phase.SUBMISSION)
    row = store.read(made.into(store, report=report, readable=False), private=True).row

    names = ("content", "log", "weights", "test_predictions", "valid_predictions", "seed", "config_sha256")
    assert [row[name] for name in names] == [None] * len(names)
    assert store.log_of(row) == ""


def test_numbers_in_a_config_may_be_of_any_length(store: Store) -> None:
    """Python refuses to spell them in decimal digits; the run that they make invalid is kept all the same."""
    made = Made(config=b"seed = 0x" + b"f" * 8000 + b"\n")
    assert store.read(made.into(store), private=True).report.submission_sha256 == made.submission.sha256


def test_nothing_of_the_private_split_is_read_for_students(store: Store) -> None:
    """Without it, there is no private figure, verdict or check, and the document for students is the same."""
    report = REPORT
    run_id = Made().into(store, report=report)

    shown = store.read(run_id, private=False).report

    assert student_document(shown) == student_document(report)
    assert shown.run.score.private is None
    assert shown.run.score.test_loss is None
    assert {tier.private for tier in shown.run.baselines} == {None}
    assert shown.checks == tuple(check for check in report.checks if not check.private)
    [rows] = current_runs(store, report.assignment, private=False)
    assert rows.private is None


def test_runs_are_listed_from_the_newest(store: Store) -> None:
    """Of an assignment, a student or an outcome, at most so many; with the public side of their scores."""
    a = Made("s001", public=40.0).into(store)
    b = Made("s002", outcome=Outcome.TIME_LIMIT, public=None, submitted=later(-3)).into(store)
    c = Made("s001", assignment="hw2", metric="accuracy").into(store)

    def listed(assignment: str | None, student: str | None, outcome: str | None, most: int = 9) -> list[str]:
        return [row["id"] for row in list_runs(store, assignment, student, outcome, most)]

    assert listed(None, None, None) == [c, b, a]
    assert listed("hw1-bikes", None, None) == [b, a]
    assert listed(None, "s001", None) == [c, a]
    assert listed("hw1-bikes", "s002", "time_limit") == [b]
    assert listed(None, None, "memory_limit") == []
    assert listed(None, None, None, most=1) == [c]
    row = list_runs(store, "hw1-bikes", "s001", None, 1)[0]
    assert (row["metric"], row["public"], row["points"], row["max_points"]) == ("rmse", 40.0, 3.0, 5.0)
    assert "private" not in row


@pytest.mark.parametrize("text", HOSTILE[:4], ids=["controls", "surrogates", "sql", "unicode"])
def test_faults_are_kept(store: Store, text: str) -> None:
    """What could not be graded, the newest first, whatever its message; none of it is a run."""
    store.record_fault("hw1-bikes", "s001", "first.zip", "the engine is gone", "start it")
    store.record_fault("hw1-bikes", text, text, text, text)
    store.record_fault("hw2", "s001", "third", "no", "")

    faults = list_faults(store, "hw1-bikes", 9)

    assert [row["submission"] for row in faults] == [storable(text), "first.zip"]
    assert {faults[0][name] for name in ("student", "message", "fix")} == {storable(text)}
    assert [row["message"] for row in list_faults(store, None, 1)] == ["no"]
    assert [row["submission"] for row in list_faults(store, None, 9, "s001")] == ["third", "first.zip"]
    assert [row["fix"] for row in list_faults(store, None, 9, text)] == [storable(text)]
    assert list_runs(store, None, None, None, 9) == []
    assert faults[1]["happened"] <= faults[0]["happened"]


def test_kept_arrays_are_bytes_of_float32(store: Store) -> None:
    """What is kept of a run is what a score is made of: little-endian, row by row, in C order."""
    wide = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    report = changed(Made().report(), predictions=wide, kept=Kept(1, 0.5, None, b""))
    row = store.read(Made().into(store, report=report), private=True).row
    assert np.array_equal(np.frombuffer(store.artifacts.get(row["test_predictions"]), "<f4"), range(6))
    assert row["valid_predictions"] is None
    assert row["weights"] is None
    assert row["submitted"] == NOON.timestamp() * 1e6


def test_text_that_is_submitted_as_config_is_not_kept_twice(store: Store) -> None:
    """Two students who hand in the same files share one artifact."""
    rows = [store.read(Made(name).into(store), private=True).row for name in ("s001", "s002")]
    assert rows[0]["content"] == rows[1]["content"]
    files = [path for path in store.artifacts.folder.rglob("*") if path.is_file()]
    assert len(files) == len({row[name] for row in rows for name in ("content", "log", "weights")})
    assert submission_of("again", unpack(store.artifacts.get(rows[0]["content"])), store.artifacts.folder)
