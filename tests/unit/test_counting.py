"""Which run of a student counts for the grade, and with which points."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.host.exports.counting import counting_runs
from harness.host.exports.grades import RUNS, final_grades
from harness.host.leaderboard.ranking import SELECTIONS
from harness.host.roster import Roster, read_roster
from harness.host.store.listing import current_runs
from harness.host.store.store import Store
from harness.protocol import Outcome
from tests.graded_class import assignment_in
from tests.stored import NOON, Made, later, store_in

if TYPE_CHECKING:
    from harness.host.assignment import Assignment
    from harness.host.store.place import Place

DEADLINE = "2030-03-01T12:00:00Z"  # the noon of `stored`
LATE = "[late]\npenalty_per_day = 0.1\nmax_days = 3"
MOST = 7.0  # 5 that students see and 2 that they do not, in `stored`


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    """Due at noon of the first day; each day late costs a tenth, and after three days all."""
    return assignment_in(tmp_path, deadline=DEADLINE, late=LATE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return store_in(tmp_path)


def counting(
    store: Store, assignment: Assignment, selection: str = "best", roster: Roster | None = None
) -> dict[str, Any]:
    """The row of the only student."""
    (row,) = counting_runs(store, assignment, selection, roster).to_dict("records")
    return {str(name): value for name, value in row.items()}


def handed_in(store: Store, *runs: Made) -> list[str]:
    """The ids of runs that are recorded one after the other, each of other files."""
    return [replace(run, model=f"{number}").into(store) for number, run in enumerate(runs)]


def roster_in(folder: Path, *lines: str) -> Roster:
    """A roster with these lines of student and extension."""
    path = folder / "roster.csv"
    path.write_text("\n".join(["student,submission,extension", *lines]) + "\n")
    return read_roster(path, UTC)


def test_the_points_are_those_that_students_see_and_those_that_they_do_not(
    store: Store, assignment: Assignment
) -> None:
    """With the most of both, in the columns that grades are made of."""
    run = Made(shown=3.25, hidden=1.5).into(store)
    frame = counting_runs(store, assignment, "best", None)
    assert list(frame.columns) == list(RUNS)
    assert frame.to_dict("records") == [
        {
            "student": "s001",
            "points": 4.75,
            "max_points": MOST,
            "submitted": pd.Timestamp(NOON),
            "outcome": Outcome.OK,
            "run": run,
        }
    ]


def test_runs_are_counted_alike_in_each_kind_of_database(place: Place, assignment: Assignment) -> None:
    """With replaced runs, newer scores and choices among them."""
    store = Store(place)
    first = Made(shown=4.0, model="a", submitted=later(-2))
    first.into(store)
    replace(first, shown=1.0, hidden=0.5, run_id="a" * 16).into(store, again=True)
    other = Made(shown=2.0, hidden=2.0, model="b", submitted=later(-1)).into(store)
    assert counting(store, assignment)["run"] == other
    store.choose("a" * 16)
    assert counting(store, assignment, "chosen")["points"] == 1.5
    number, _ = (rows.run["number"] for rows in current_runs(store, assignment.id, private=False))
    store.record_scores({number: Made(shown=3.0, hidden=0.25).report()}, "c" * 64)
    assert [counting(store, assignment, selection)["points"] for selection in SELECTIONS] == [3.25, 4.0, 3.25]


def test_there_is_one_run_for_each_student_of_the_assignment(store: Store, assignment: Assignment) -> None:
    """In the order of their names; other assignments have grades of their own."""
    for student in ("s003", "s001", "s002", "s001"):
        Made(student, model=student).into(store)
    Made("s009", assignment="hw2-digits").into(store)
    frame = counting_runs(store, assignment, "best", None)
    assert list(frame["student"]) == ["s001", "s002", "s003"]


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_store_without_runs_has_no_row_and_all_columns(
    store: Store, assignment: Assignment, tmp_path: Path, selection: str
) -> None:
    """A class in which nobody handed in can be graded all the same."""
    frame = counting_runs(store, assignment, selection, None)
    assert list(frame.columns) == list(RUNS)
    assert str(frame["submitted"].dtype) == "datetime64[us, UTC]"
    grades = final_grades(frame, roster_in(tmp_path, "s001,,"), assignment)
    assert list(grades["final"]) == [0.0]


def test_the_run_with_the_most_points_that_students_see_counts(store: Store, assignment: Assignment) -> None:
    """Hidden points would be luck: the run with more of them does not count for that."""
    _, best, _ = handed_in(
        store, Made(shown=2.0, hidden=2.0), Made(shown=3.0, hidden=0.0), Made(shown=1.0, hidden=2.0)
    )
    row = counting(store, assignment)
    assert (row["run"], row["points"]) == (best, 3.0)


@pytest.mark.parametrize(("direction", "best"), [("min", 1), ("max", 2)])
def test_of_equal_points_the_better_public_score_counts(
    store: Store, tmp_path: Path, direction: str, best: int
) -> None:
    """Better is what the metric's direction says; a run without a score is the worst."""
    assignment = assignment_in(tmp_path)
    metric = assignment.metric.model_copy(update={"direction": direction})
    runs = handed_in(store, Made(public=None), Made(public=40.0), Made(public=60.0), Made(public=50.0))
    row = counting(store, assignment.model_copy(update={"metric": metric}))
    assert row["run"] == runs[best]


def test_of_equal_runs_the_earlier_one_counts(store: Store, assignment: Assignment) -> None:
    """By when it was handed in, whenever it was recorded."""
    _, earlier = handed_in(store, Made(submitted=later(-1)), Made(submitted=later(-2)))
    assert counting(store, assignment)["run"] == earlier


def test_the_private_score_has_no_say(store: Store, assignment: Assignment) -> None:
    """Of runs that are equal in all that students see, the better private one does not count for that."""
    first, _ = handed_in(
        store, Made(private=90.0, submitted=later(-2)), Made(private=10.0, hidden=2.0, submitted=later(-1))
    )
    assert counting(store, assignment)["run"] == first


@pytest.mark.parametrize(("late_points", "counts"), [(3.5, "in time"), (3.6, "late")])
def test_a_late_run_counts_where_it_is_worth_more_after_what_that_costs(
    store: Store, assignment: Assignment, late_points: float, counts: str
) -> None:
    """A tenth of all points that it may have: 3 and 2 hidden ones are more than 9 tenths of 3.5 and 2."""
    runs = handed_in(
        store,
        Made(shown=3.0, hidden=2.0, submitted=later(-1)),
        Made(shown=late_points, hidden=2.0, submitted=later(0.5)),
    )
    row = counting(store, assignment)
    assert row["run"] == runs[["in time", "late"].index(counts)]
    final = final_grades(counting_runs(store, assignment, "best", None), None, assignment)["final"][0]
    assert final == pytest.approx(max(5.0, 0.9 * (late_points + 2.0)))


def test_a_run_that_is_too_late_never_takes_the_place_of_one_in_time(
    store: Store, assignment: Assignment
) -> None:
    """Though the one in time failed and the other has all points, which count nothing."""
    failed, _ = handed_in(
        store,
        Made(outcome=Outcome.DIVERGED, shown=0.0, hidden=0.0, public=None, private=None),
        Made(shown=4.0, hidden=2.0, submitted=later(3.5)),
    )
    assert counting(store, assignment)["run"] == failed


def test_an_extension_counts_for_its_student_however_the_name_is_spelled(
    store: Store, assignment: Assignment, tmp_path: Path
) -> None:
    """Who has one more day loses nothing in it; the others do."""
    for student in ("S001", "s002"):
        handed_in(store, Made(student, shown=3.0), Made(student, shown=3.1, submitted=later(0.5)))
    roster = roster_in(tmp_path, "s001,,1", "s002,,")
    frame = counting_runs(store, assignment, "best", roster)
    assert dict(zip(frame["student"], frame["points"], strict=True)) == {"S001": 4.1, "s002": 4.0}
    assert list(final_grades(frame, roster, assignment)["final"]) == [4.1, 4.0]


@pytest.mark.parametrize("late", ["", "[late]\npenalty_per_day = 0.0"])
def test_where_being_late_costs_nothing_the_best_counts(store: Store, tmp_path: Path, late: str) -> None:
    """However late it is."""
    assignment = assignment_in(tmp_path, deadline=DEADLINE, late=late)
    _, best = handed_in(store, Made(shown=3.0), Made(shown=3.1, submitted=later(20)))
    assert counting(store, assignment)["run"] == best


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(-24, 120), st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=5),
    st.booleans(),
)
def test_it_is_never_wrong_to_hand_in_once_more(attempts: list[tuple[int, int, int]], chosen: bool) -> None:  # noqa: FBT001  drawn
    """A grade never falls by another run, unless its hidden points are fewer; without a choice, likewise."""
    hidden = 0
    finals = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        store, assignment = store_in(Path(folder)), assignment_in(Path(folder), deadline=DEADLINE, late=LATE)
        for number, (hours, half_points, more) in enumerate(sorted(attempts)):
            hidden = min(2, hidden + more)
            made = Made(
                shown=half_points / 2,
                hidden=hidden,
                submitted=NOON + timedelta(hours=hours),
                model=f"{number}",
            )
            made.into(store)
            frame = counting_runs(store, assignment, "chosen" if chosen else "best", None)
            finals.append(final_grades(frame, None, assignment)["final"][0])
    assert finals == sorted(finals)


def test_the_chosen_run_counts_whatever_it_is_worth(store: Store, assignment: Assignment) -> None:
    """The one that was chosen last, also if it failed; who chose none has the best."""
    _, failed, other = handed_in(
        store, Made(shown=4.0), Made(shown=1.0, outcome=Outcome.DIVERGED), Made(shown=2.0)
    )
    assert counting(store, assignment, "chosen")["points"] == 5.0
    store.choose(other)
    store.choose(failed)
    assert counting(store, assignment, "chosen")["run"] == failed
    assert counting(store, assignment, "best")["points"] == 5.0


def test_the_last_run_counts_though_it_failed(store: Store, assignment: Assignment) -> None:
    """By when it was handed in; of two at once, the one that was recorded later."""
    _, _, last, _ = handed_in(
        store,
        Made(shown=4.0),
        Made(shown=3.0, submitted=later(1)),
        Made(shown=0.0, hidden=0.0, outcome=Outcome.TIME_LIMIT, submitted=later(1)),
        Made(shown=2.0, submitted=later(0.5)),
    )
    row = counting(store, assignment, "last")
    assert (row["run"], row["outcome"], row["points"]) == (last, "time_limit", 0.0)


def test_who_has_failed_runs_only_has_the_one_with_the_most_points(
    store: Store, assignment: Assignment
) -> None:
    """What a failed run earned is earned."""
    _, best = handed_in(
        store,
        Made(outcome=Outcome.IMPORT_ERROR, public=None, shown=0.0, hidden=0.0),
        Made(outcome=Outcome.TIME_LIMIT, public=None, shown=2.0, hidden=0.0),
    )
    row = counting(store, assignment)
    assert (row["run"], row["points"], row["outcome"]) == (best, 2.0, "time_limit")


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_run_that_was_made_again_takes_the_place_of_the_old_one(
    store: Store, assignment: Assignment, selection: str
) -> None:
    """Though it has fewer points; a choice of the old one goes over to it."""
    made = Made(shown=4.0, model="a")
    store.choose(made.into(store))
    Made(shown=1.0, model="b", submitted=later(-1)).into(store)
    again = Made(shown=2.0, model="a").into(store, again=True)
    row = counting(store, assignment, selection)
    assert (row["run"], row["points"]) == (again, 3.0)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_newest_score_of_each_run_counts(store: Store, assignment: Assignment, selection: str) -> None:
    """Shown and hidden points are of the same score, and which run is the best may change."""
    handed_in(store, Made(shown=4.0, hidden=2.0, submitted=later(-2)), Made(shown=3.0, submitted=later(-1)))
    first, second = (rows.run["number"] for rows in current_runs(store, assignment.id, private=False))
    store.record_scores({first: Made(shown=1.0, hidden=0.5).report()}, "c" * 64)
    store.record_scores({second: Made(shown=3.5, hidden=0.0).report()}, "c" * 64)
    assert counting(store, assignment, selection)["points"] == 3.5
