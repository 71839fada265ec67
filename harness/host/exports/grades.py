"""Makes the grades that count: lateness is taken off, and students without a run have 0 points."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.host.errors import UsageError
from harness.host.late import days_late, factor, final_points
from harness.host.roster import same
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from datetime import datetime

    from harness.host.assignment import Assignment
    from harness.host.roster import Roster

RUNS = ("student", "points", "max_points", "submitted", "outcome", "run")
COLUMNS = {
    "student": "object",
    "group": "object",
    "run": "object",
    "outcome": "object",
    "points": "float64",
    "days_late": "int64",
    "penalty": "float64",
    "final": "float64",
    "max_points": "float64",
    "submitted": "datetime64[us, UTC]",
    "note": "object",
}
NOTHING = "nothing handed in"
NOT_LISTED = "not on the roster"


def final_grades(frame: pd.DataFrame, roster: Roster | None, assignment: Assignment) -> pd.DataFrame:
    """The grades that count, a row for each student of the roster and each other student with a run.

    Args:
        frame: one row a student, with the columns `RUNS`: ``points`` as graded, ``submitted`` in UTC (NaT
            where it is not known, which counts as in time), ``run`` the id of the run that counts.
        roster: None: the students are those with a run, and nobody has an extension.
        assignment: for its deadline and its ``[late]`` table.

    Returns:
        The columns `COLUMNS`, in the roster's order, those who are not on it last. ``penalty`` is the share
        taken off, ``days_late`` the days begun after deadline, extension and grace. A run without points has
        NaN in ``points`` and ``final``. ``run`` is empty where there is none.

    Raises:
        UsageError: two students with runs differ from one on the roster in spelling alone.
    """
    if frame["student"].duplicated().any():
        raise ValueError("a student has more than one row; choose the run that counts before")
    listed = list(roster.students()) if roster else []
    rows = [dict(zip(RUNS, row, strict=True)) for row in frame[list(RUNS)].itertuples(index=False)]
    runs = _spelled_as(listed, {row["student"]: row for row in rows})
    most = float(frame["max_points"].max()) if len(frame) else math.nan
    graded = [
        _graded(student, runs[student], roster, assignment) if student in runs else _missing(student, most)
        for student in dict.fromkeys([*listed, *sorted(runs)])
    ]
    for row in graded:
        known = roster.students().get(row["student"]) if roster else None
        row["group"] = known.group if known else ""
    grades = pd.DataFrame(graded, columns=list(COLUMNS))
    # Where nobody has a time, pandas knows no zone either.
    return grades.assign(submitted=pd.to_datetime(grades["submitted"], utc=True)).astype(COLUMNS)


def _spelled_as(listed: list[str], runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The runs under the roster's spelling of their students: else one would be there twice, once with 0."""
    spelling = {same(student): student for student in listed}
    found = {student: spelling.get(same(student), student) for student in runs}
    if twice := sorted(student for student, count in Counter(found.values()).items() if count > 1):
        spelled = [quoted(student) for student, meant in found.items() if meant == twice[0]]
        raise UsageError(
            f"the runs of {' and '.join(spelled)} would both be those of {quoted(twice[0])}",
            "write the student on the roster and in the commands that graded the same way",
        )
    return {found[student]: run for student, run in runs.items()}


def _missing(student: str, max_points: float) -> dict[str, Any]:
    return {
        "student": student,
        "run": "",
        "outcome": "",
        "points": 0.0,
        "days_late": 0,
        "penalty": 0.0,
        "final": 0.0,
        "max_points": max_points,
        "submitted": pd.NaT,
        "note": NOTHING,
    }


def _graded(
    student: str, run: dict[str, Any], roster: Roster | None, assignment: Assignment
) -> dict[str, Any]:
    notes = []
    if roster and student not in roster.students():
        notes.append(NOT_LISTED)
    deadline = roster.deadline_for(student, assignment.deadline) if roster else assignment.deadline
    if _has_an_idle_extension(student, roster, assignment.deadline):
        notes.append("the extension ends before the deadline")
    days = 0
    if deadline is not None:
        if pd.isna(run["submitted"]):
            notes.append("the time of submission is not known; counted as in time")
        else:
            days = days_late(run["submitted"].to_pydatetime(), deadline, assignment.late)
    points = float(run["points"])
    if math.isnan(points):
        notes.append("the run has no points")
    elif assignment.late and assignment.late.max_days is not None and days > assignment.late.max_days:
        notes.append(f"more than {assignment.late.max_days} days late")
    return {
        "student": student,
        "run": str(run["run"]),
        "outcome": str(run["outcome"]),
        "points": points,
        "days_late": days,
        "penalty": 1 - factor(days, assignment.late),
        "final": points if math.isnan(points) else final_points(points, days, assignment.late),
        "max_points": run["max_points"],
        "submitted": run["submitted"],
        "note": "; ".join(notes),
    }


def _has_an_idle_extension(student: str, roster: Roster | None, deadline: datetime | None) -> bool:
    """Whether a stated extension changes nothing, which is most likely a slip of whoever wrote it."""
    known = roster.students().get(student) if roster else None
    if roster is None or known is None or known.extension is None or deadline is None:
        return False
    extended = roster.deadline_for(student, deadline)
    return extended is not None and extended.astimezone(UTC) == deadline.astimezone(UTC)
