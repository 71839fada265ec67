"""Stored runs get the scores that grading them anew would give, and nobody else's change."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import func, select

from harness.host.errors import StoreError, UsageError
from harness.host.keeping import keep
from harness.host.rescoring import Rescorer
from harness.host.store.tables import PRIVATE_SCORES, SCORES
from tests.stored import NOON, Made, store_in
from tests.toy_class import CLASS, ToyCourse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.records import Report
    from harness.host.rescoring import Rescoring
    from harness.host.store.store import Store

NEVER_RAN = {"unreadable", "wrong config"}
FINISHED = {"good", "between the tiers", "bad"}
OWN_CHECKS = """
    import pytest


    @pytest.mark.points(0.5)
    def test_first_line(run):
        if not run.log:
            pytest.skip("it printed nothing")
        assert run.log.startswith("the very first line"), run.log[:20]


    @pytest.mark.points(0.25, private=True)
    def test_sees_all(run, submission, score, assignment):
        assert run.predictions is not None and run.predictions.shape == (60, 1)
        assert run.predictions.dtype == "float32" and score is run.score
        assert submission.config["epochs"] > 0 and "model.py" in submission.files


    @pytest.mark.points(0.25)
    def test_epochs(run):
        assert [claim.train_loss for claim in run.epochs] == [4.0, 2.0], f"{len(run.epochs)} epochs"
"""


@pytest.fixture
def toy(tmp_path: Path) -> ToyCourse:
    """The gallery's small course."""
    return ToyCourse(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return store_in(tmp_path)


def rescore(store: Store, toy: ToyCourse) -> Rescoring:
    """What scoring again comes to; nothing is written."""
    return Rescorer(store, toy.assignment, toy.reference).run()


def write(store: Store, rescoring: Rescoring) -> None:
    """As the command does."""
    store.record_scores({each.number: each.after for each in rescoring.changes}, rescoring.scored_by)


def scores(store: Store) -> int:
    """How many scores there are."""
    with store.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(SCORES)).scalar_one())


def judged(report: Report) -> str:
    """All that scoring decides, to the last bit."""
    return repr((report.run.score, report.run.baselines, report.checks, report.points, report.max_points))


def correct_answer(public: str) -> Callable[[ToyCourse], None]:
    """An answer of one half was wrong."""

    def change(toy: ToyCourse) -> None:
        from harness.host.reference import load_reference  # noqa: PLC0415  only here
        from harness.host.scoring import public_rows  # noqa: PLC0415  likewise

        reference = load_reference(toy.reference, toy.assignment)
        assert reference is not None
        shown = public_rows(reference.ids, reference.split_key, 0.5)
        wrong = reference.ids[shown if public == "public" else ~shown][0]
        lines = (toy.reference / "answers.csv").read_text().splitlines()
        [line] = [line for line in lines if line.startswith(f"{wrong},")]
        toy.edit(toy.reference / "answers.csv", line, f"{wrong},9.5")

    return change


def toml(old: str, new: str) -> Callable[[ToyCourse], None]:
    """An edit of ``assignment.toml``."""
    return lambda toy: toy.edit(toy.own / "assignment.toml", old, new)


CHANGES: dict[str, tuple[Callable[[ToyCourse], None], set[str]]] = {
    "a public answer": (correct_answer("public"), FINISHED),
    "a private answer": (correct_answer("private"), FINISHED),
    "a tier that some had": (toml("threshold = 0.9", "threshold = 0.7"), {"between the tiers"}),
    "a tier that nobody reaches": (toml("threshold = 0.6", "threshold = 0.01"), {"good"}),
    "a tier's points": (toml("private_points = 1", "private_points = 3"), set(CLASS)),
    "points": (toml("finite = 1", "finite = 2"), set(CLASS)),
    "the metric": (toml('name = "rmse"', 'name = "mae"'), set(CLASS)),
    "the public share": (toml("[metric]", "[split]\npublic_share = 0.25\n[metric]"), FINISHED),
    "the key that splits": (
        lambda toy: toy.edit(toy.reference / "reference.toml", "5e17", "5e18"),
        FINISHED,
    ),
    "a new check": (lambda toy: toy.write("test_own.py", OWN_CHECKS), set(CLASS)),
    "a check worth nothing": (lambda toy: toy.write("test_own.py", "def test_it(run): pass\n"), set()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_scores_are_those_of_grading_anew(toy: ToyCourse, store: Store, what: str) -> None:
    """Scores, intervals, tiers, checks, messages and points, of every kind of run; all else stays."""
    change, expected = CHANGES[what]
    before = toy.grade_class(store)
    reports = {student: store.read(run, private=True).report for student, run in before.items()}
    change(toy)

    rescoring = rescore(store, toy)

    assert {each.student for each in rescoring.changes} == set(CLASS)
    assert {each.student for each in rescoring.changes if not each.is_none} == expected
    assert (rescoring.up_to_date, rescoring.other_data, rescoring.lost) == (0, 0, ())
    assert scores(store) == len(CLASS)
    write(store, rescoring)
    for student, run in before.items():
        fresh, stored = toy.grade(student).report, store.read(run, private=True).report
        assert judged(stored) == judged(fresh)
        kept = replace(stored.run, score=reports[student].run.score, baselines=reports[student].run.baselines)
        assert repr(kept) == repr(reports[student].run)  # the run itself is as it was
    assert scores(store) == 2 * len(CLASS)
    assert rescore(store, toy).up_to_date == len(CLASS)


def test_what_was_scored_by_the_same_is_left(toy: ToyCourse, store: Store) -> None:
    """There is nothing to change, and a new deadline is no reason to."""
    toy.grade_class(store)
    toml('task = "regression"\n', 'task = "regression"\ndeadline = 2030-03-01T23:59:00Z\n')(toy)
    rescoring = rescore(store, toy)
    assert (rescoring.changes, rescoring.up_to_date) == ((), len(CLASS))


def test_what_never_ran_keeps_its_outcome_and_gets_the_new_points(toy: ToyCourse, store: Store) -> None:
    """Of nothing, since nothing was reached."""
    toy.grade_class(store)
    toml("finished = 1", "finished = 5")(toy)
    changes = {each.student: each for each in rescore(store, toy).changes}
    for student in (*NEVER_RAN, "broken"):
        before, after = changes[student].before, changes[student].after
        assert (after.points, after.max_points) == (before.points, before.max_points + 4)
        assert (after.run.outcome, after.run.message) == (before.run.outcome, before.run.message)


def test_earlier_scores_stay(toy: ToyCourse, store: Store) -> None:
    """Each with what it was made by; the newest counts."""
    run = keep(store, toy.grade("good"), "good", NOON)
    first = store.read(run, private=True).report
    for threshold in ("0.01", "0.02"):
        toml("threshold = 0.6" if threshold == "0.01" else "threshold = 0.01", f"threshold = {threshold}")(
            toy
        )
        write(store, rescore(store, toy))
    with store.database.reading() as connection:
        points = connection.execute(select(SCORES.c.points).order_by(SCORES.c.number)).scalars().all()
        by = connection.execute(select(PRIVATE_SCORES.c.scored_by)).scalars().all()
    assert (len(points), len(set(by))) == (3, 3)
    assert points[0] > points[2]
    assert store.read(run, private=True).report.points < first.points


def test_runs_of_other_data_are_left_and_counted(toy: ToyCourse, store: Store) -> None:
    """A score of their predictions would be of other rows; what could not be read has no data."""
    toy.grade_class(store)
    toy.edit(toy.own / "data" / "train.csv", "0.94185830", "0.94185831")
    rescoring = rescore(store, toy)
    assert [each.student for each in rescoring.changes] == ["unreadable"]
    assert rescoring.other_data == len(CLASS) - 1


def test_only_what_counts_is_scored(toy: ToyCourse, store: Store) -> None:
    """Neither runs that were made again since, nor those of another assignment."""
    graded = toy.grade("good")
    keep(store, graded, "good", NOON)
    run = keep(store, toy.grade("good"), "good", NOON, again=True)
    Made(assignment="other").into(store)
    toml("finite = 1", "finite = 2")(toy)
    assert [each.after.run.run_id for each in rescore(store, toy).changes] == [run]


@pytest.mark.parametrize(
    ("breakage", "said"),
    [
        (lambda toy: toy.write("test_own.py", "def test_it(run): 1 / 0\n"), "the check it of toy is broken"),
        (lambda toy: toy.write("test_own.py", "1 / 0\n"), "checks cannot be collected"),
        (
            lambda toy: toy.write("test_own.py", "import pytest\ndef test_it(): pytest.exit('x', 0)\n"),
            "ended after",
        ),
        (lambda toy: (toy.reference / "answers.csv").unlink(), "answers.csv"),
        (lambda toy: toy.edit(toy.reference / "answers.csv", ",", ",x"), "answers.csv"),
        (
            lambda toy: toy.edit(toy.reference / "answers.csv", "\nt", "\nT"),
            "are not the 60 rows of the test file",
        ),
        (lambda toy: toy.edit(toy.reference / "reference.toml", "5e17", "zz"), "reference.toml"),
        (lambda toy: shutil.rmtree(toy.reference), "there are none in"),
    ],
)
def test_broken_judges_judge_nobody(
    toy: ToyCourse, store: Store, breakage: Callable[[ToyCourse], None], said: str
) -> None:
    """A check or a reference that is broken, or gone, is the assignment's fault, and costs no score."""
    keep(store, toy.grade("good"), "good", NOON)
    breakage(toy)
    with pytest.raises(UsageError) as told:
        rescore(store, toy)
    assert said in told.value.message
    assert scores(store) == 1


def test_a_course_without_a_reference_scores_validation_rows(toy: ToyCourse, store: Store) -> None:
    """As grading does there; once there are answers, the test rows are scored."""
    shutil.move(toy.reference, toy.folder / "hidden")
    run = keep(store, toy.grade("good"), "good", NOON)
    assert store.read(run, private=True).report.run.score.public is None
    toml("threshold = 0.6", "threshold = 0.5")(toy)
    write(store, rescore(store, toy))
    assert judged(store.read(run, private=True).report) == judged(toy.grade("good").report)
    shutil.move(toy.folder / "hidden", toy.reference)
    write(store, rescore(store, toy))
    assert store.read(run, private=True).report.run.score.public is not None
    assert judged(store.read(run, private=True).report) == judged(toy.grade("good").report)


@pytest.mark.parametrize("name", ["content", "log", "test_predictions", "valid_predictions"])
def test_a_lost_artifact_costs_its_own_run_alone(toy: ToyCourse, store: Store, name: str) -> None:
    """It keeps its score, and what is gone is told; all others are scored."""
    runs = toy.grade_class(store)
    row = store.read(runs["bad"], private=True).row
    (store.artifacts.folder / row[name][:2] / row[name][2:]).unlink()
    sharing = {
        student for student, run in runs.items() if store.read(run, private=True).row[name] == row[name]
    }
    toml("finite = 1", "finite = 2")(toy)
    rescoring = rescore(store, toy)
    assert {each.student for each in rescoring.changes} == set(CLASS) - sharing
    assert len(rescoring.lost) == len(sharing)
    assert all(
        isinstance(error, StoreError) and "cannot be read" in error.message for error in rescoring.lost
    )


def test_predictions_of_another_shape_are_not_scored(toy: ToyCourse, store: Store) -> None:
    """They cannot be rows of this assignment, whatever made them."""
    graded = toy.grade("good")
    odd = replace(graded.report.run, predictions=np.zeros((59, 1), np.float32))
    keep(store, replace(graded, report=replace(graded.report, run=odd)), "good", NOON)
    toml("finite = 1", "finite = 2")(toy)
    with pytest.raises(UsageError, match="59 x 1 predictions are kept of a run"):
        rescore(store, toy)
