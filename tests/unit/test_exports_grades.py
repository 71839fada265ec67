"""The grades that count, and the CSV of them for people."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.exports.grades import COLUMNS, final_grades
from harness.host.roster import read_roster
from tests.graded_class import IN_TIME, LATE, Desk, assignment_in, runs

ROSTER = "student,submission,group,extension\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An assignment that takes off a tenth a day, for three days."""
    return Desk(tmp_path, assignment_in(tmp_path, late=LATE))


def graded(desk: Desk, frame: pd.DataFrame, roster: str | None = None) -> dict[str, dict[str, Any]]:
    """The final grades by student."""
    read = None
    if roster is not None:
        path = desk.folder / "roster.csv"
        path.write_text(ROSTER + roster)
        assert desk.assignment.deadline is not None
        assert desk.assignment.deadline.tzinfo is not None
        read = read_roster(path, desk.assignment.deadline.tzinfo)
    grades = final_grades(frame, read, desk.assignment)
    assert list(grades) == list(COLUMNS)
    assert str(grades["submitted"].dtype) == "datetime64[us, UTC]"
    return {str(row["student"]): dict(row) for _, row in grades.iterrows()}


def test_lateness_takes_its_share_off(desk: Desk) -> None:
    """A submission a day and a minute late is two days late, and has 8 of 10 points left."""
    grades = graded(desk, runs(("s001", 10.0, "2030-03-02T16:00:00Z"), ("s002", 10.0, IN_TIME)))
    late = grades["s001"]
    assert (late["days_late"], late["final"], late["points"]) == (2, 8.0, 10.0)
    assert late["penalty"] == pytest.approx(0.2)
    assert late["run"] == "run-0"
    assert (grades["s002"]["days_late"], grades["s002"]["penalty"], grades["s002"]["final"]) == (0, 0.0, 10.0)


def test_after_the_last_day_there_are_no_points(desk: Desk) -> None:
    """A submission past `max_days` counts 0, and a note says why."""
    late = graded(desk, runs(("s001", 10.0, "2030-03-05T00:00:00Z")))["s001"]
    assert (late["days_late"], late["final"], late["penalty"]) == (4, 0.0, 1.0)
    assert late["note"] == "more than 3 days late"


def test_an_extension_moves_the_deadline_of_one_student(desk: Desk) -> None:
    """With two days of extension the same submission is in time; others' deadline stays."""
    frame = runs(("s001", 10.0, "2030-03-02T16:00:00Z"), ("s002", 10.0, "2030-03-02T16:00:00Z"))
    grades = graded(desk, frame, "s001,a,team-1,2\ns002,b,,\n")
    assert (grades["s001"]["final"], grades["s002"]["final"]) == (10.0, 8.0)
    assert (grades["s001"]["group"], grades["s002"]["group"]) == ("team-1", "")


def test_an_extension_without_effect_is_noted(desk: Desk) -> None:
    """A date before the deadline, which is most likely a slip, harms nobody and is pointed out."""
    grades = graded(desk, runs(("s001", 10.0)), "s001,a,,2029-03-05T23:59\n")
    assert grades["s001"]["final"] == 10.0
    assert "ends before the deadline" in grades["s001"]["note"]


def test_all_of_the_roster_and_all_with_a_run_are_there(desk: Desk) -> None:
    """Who handed nothing in has 0 points, and who is not on the roster is kept; both are noted."""
    grades = graded(desk, runs(("s009", 7.0), ("s002", 6.0)), "s003,,team-1,\ns002,b,,\ns001,,,\n")
    assert list(grades) == ["s003", "s002", "s001", "s009"]
    missing = grades["s003"]
    assert (missing["points"], missing["final"], missing["run"], missing["outcome"]) == (0.0, 0.0, "", "")
    assert (missing["max_points"], missing["note"], missing["group"]) == (10.0, "nothing handed in", "team-1")
    assert pd.isna(missing["submitted"])
    assert (grades["s009"]["final"], grades["s009"]["note"]) == (7.0, "not on the roster")
    assert grades["s002"]["note"] == ""


def test_a_class_that_handed_nothing_in_has_grades(desk: Desk) -> None:
    """With a roster and no run at all, everybody has 0 points."""
    grades = graded(desk, runs(), "s001,,,\ns002,,,\n")
    assert {student: row["final"] for student, row in grades.items()} == {"s001": 0.0, "s002": 0.0}


def test_another_spelling_is_the_same_student(desk: Desk) -> None:
    """A run under ``S001`` is that of ``s001`` on the roster, who would else have 0 points."""
    grades = graded(desk, runs(("S001 ", 7.0)), "s001,a,,\n")
    assert {student: row["final"] for student, row in grades.items()} == {"s001": 7.0}


def test_two_runs_of_one_student_are_not_guessed_at(desk: Desk) -> None:
    """Two spellings that both have a run are an error that names them."""
    with pytest.raises(UsageError, match="'S001' and 's001' would both be"):
        graded(desk, runs(("S001", 7.0), ("s001", 8.0)), "s001,a,,\n")
    assert set(graded(desk, runs(("S001", 7.0), ("s001", 8.0)))) == {"S001", "s001"}


def test_a_run_of_unknown_time_is_in_time(desk: Desk) -> None:
    """Without a time of submission nothing is taken off, and a note says so."""
    row = graded(desk, runs(("s001", 7.0, None)))["s001"]
    assert (row["final"], row["days_late"]) == (7.0, 0)
    assert "not known" in row["note"]


def test_a_run_without_points_has_no_grade(desk: Desk) -> None:
    """What was not scored is not 0."""
    row = graded(desk, runs(("s001", math.nan)))["s001"]
    assert math.isnan(row["final"])
    assert "no points" in row["note"]


def test_without_a_policy_nothing_is_taken_off(tmp_path: Path) -> None:
    """Days are counted where there is a deadline, and cost nothing where no table says so."""
    desk = Desk(tmp_path, assignment_in(tmp_path))
    row = graded(desk, runs(("s001", 10.0, "2030-04-01T00:00:00Z")))["s001"]
    assert (row["days_late"], row["penalty"], row["final"]) == (31, 0.0, 10.0)


def test_without_a_deadline_nothing_is_late(tmp_path: Path) -> None:
    """An assignment that is never due has points as they were graded."""
    row = graded(Desk(tmp_path, assignment_in(tmp_path, deadline=None)), runs(("s001", 10.0)))["s001"]
    assert (row["days_late"], row["final"], row["note"]) == (0, 10.0, "")


def test_two_rows_of_one_student_are_a_fault_of_ours(desk: Desk) -> None:
    """Which run counts is chosen before."""
    with pytest.raises(ValueError, match="more than one row"):
        final_grades(runs(("s001", 1.0), ("s001", 2.0)), None, desk.assignment)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.text("0123456789", min_size=1, max_size=3), st.floats(0, 10), max_size=20),
    st.floats(0, 9 * 86_400),
)
def test_no_grade_is_below_0_or_above_the_points(desk: Desk, points: dict[str, float], late: float) -> None:
    """Whatever the points and the lateness, the final points lie between, and nobody gets lost."""
    moment = str(pd.Timestamp(IN_TIME) + pd.Timedelta(seconds=late))
    grades = final_grades(
        runs(*((name, each, moment) for name, each in points.items())), None, desk.assignment
    )
    assert set(grades["student"]) == set(points)
    assert ((grades["final"] >= 0) & (grades["final"] <= grades["points"])).all()


def test_the_csv_has_a_line_for_each_student(desk: Desk) -> None:
    """Figures have no superfluous digits, and times are in the deadline's zone."""
    frame = runs(("s001", 9.5, "2030-03-02T16:00:00Z"), ("s002", math.nan))
    text = desk.export("csv", frame, roster=ROSTER + "s001,a,team-1,\ns002,b,,\ns003,,,\n")
    assert text.splitlines() == [
        "student,group,run,outcome,points,days_late,penalty,final,max_points,submitted,note",
        "s001,team-1,run-0,ok,9.5,2,0.2,7.6,10,2030-03-03T00:00:00+08:00,",
        "s002,,run-1,ok,,0,0,,10,2030-03-01T23:00:00+08:00,the run has no points",
        "s003,,,,0,0,0,0,10,,nothing handed in",
    ]
    assert desk.notes == ["the run has no points: 's002'"]


def test_the_guide_has_all_columns() -> None:
    """What stands in the CSV is explained on the page on handing grades over."""
    page = (Path(__file__).parents[2] / "docs/how-to/hand-grades-to-the-lms.md").read_text(encoding="utf-8")
    explained = page.split("## A CSV for people")[1]
    assert [column for column in COLUMNS if f"`{column}`" not in explained] == []


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", ' ="x",\n"y"'], ids=ascii)
def test_no_name_is_a_formula(desk: Desk, name: str) -> None:
    """A name that a spreadsheet would compute stands behind an apostrophe, on one line."""
    text = desk.export("csv", runs((name, 7.0)))
    assert len(text.splitlines()) == 2
    assert next(csv.DictReader(io.StringIO(text)))["student"].startswith("'")


@pytest.mark.parametrize(
    ("form", "options", "named"),
    [
        ("canvas", {}, "fills in a sheet"),
        ("moodle", {}, "fills in a sheet"),
        ("csv", {"sheet": "a,b\n"}, "for the sheets of an LMS"),
        ("csv", {"column": "x"}, "for the sheets of an LMS"),
        ("xml", {}, "format 'xml' is unknown"),
        ("csv", {"missing": "drop"}, "missing 'drop' is unknown"),
    ],
)
def test_options_that_do_not_fit_are_wrong_use(
    desk: Desk, form: str, options: dict[str, Any], named: str
) -> None:
    """The message says what is wrong, and the fix what to do."""
    with pytest.raises(UsageError, match=named) as caught:
        desk.export(form, runs(("s001", 7.0)), **options)
    assert caught.value.fix


def test_a_class_without_anybody_is_wrong_use(desk: Desk) -> None:
    """With neither a run nor a roster there is nothing to export."""
    with pytest.raises(UsageError, match="no run of hw1-bikes"):
        desk.export("csv", runs())
