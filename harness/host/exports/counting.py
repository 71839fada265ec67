"""Reads from the store which run of each student counts for the grade, with all points it earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import select

from harness.host.late import days_late, final_points
from harness.host.roster import same
from harness.host.store.hand_ins import moment
from harness.host.store.listing import chosen_runs, is_current, is_newest_score, replacements
from harness.host.store.tables import PRIVATE_SCORES, RUNS, SCORES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from harness.host.assignment import Assignment
    from harness.host.roster import Roster
    from harness.host.store.store import Store

_COLUMNS = {
    "number": RUNS.c.number,
    "run": RUNS.c.id,
    "student": RUNS.c.student,
    "outcome": RUNS.c.outcome,
    "submitted": RUNS.c.submitted,
    "public": SCORES.c.public,
    "shown_points": SCORES.c.points,
    "hidden_most": PRIVATE_SCORES.c.max_points,
    "points": SCORES.c.points + PRIVATE_SCORES.c.points,
    "max_points": SCORES.c.max_points + PRIVATE_SCORES.c.max_points,
}


def counting_runs(
    store: Store, assignment: Assignment, selection: str, roster: Roster | None
) -> pd.DataFrame:
    """One run for each student who has any, whatever its outcome.

    The best run is the one with the most points that students see, after what being late takes off of these
    and of all points that they do not see; of equals the better public score, then the earlier one. So it is
    never wrong to hand in once more, unless the hidden points turn out to be fewer: how many a run has of
    those has no say, but a late run has to make up for what it loses of them.

    Args:
        store: where the runs are.
        assignment: its deadline and ``[late]`` table say what being late takes off.
        selection: ``best``; ``last``, which was handed in last; ``chosen`` by the student, else the best.
        roster: has the extensions.

    Returns:
        A row for each student, with the columns that `final_grades` takes.
    """
    columns = [column.label(name) for name, column in _COLUMNS.items()]
    tables = RUNS.join(SCORES, SCORES.c.run == RUNS.c.number).join(
        PRIVATE_SCORES, PRIVATE_SCORES.c.score == SCORES.c.number
    )
    wanted = (RUNS.c.assignment == assignment.id, is_current(), is_newest_score())
    with store.database.reading() as connection:
        rows = connection.execute(select(*columns).select_from(tables).where(*wanted)).all()
        choices = chosen_runs(connection, replacements(connection, assignment.id))
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    if selection == "last":
        ordered = frame.sort_values(["submitted", "number"], ascending=False)
    else:
        chosen = frame["number"].map(choices if selection == "chosen" else {}).astype("float64")
        ordered = _best_first(frame.assign(chosen=chosen), assignment, roster)
    counting = ordered.drop_duplicates("student").sort_values("student", ignore_index=True)
    submitted = pd.to_datetime(counting["submitted"], unit="us", utc=True).astype("datetime64[us, UTC]")
    shown = ["student", "points", "max_points", "submitted", "outcome", "run"]
    return counting.assign(submitted=submitted)[shown]


def _best_first(frame: pd.DataFrame, assignment: Assignment, roster: Roster | None) -> pd.DataFrame:
    lateness = _days_late(frame, assignment, roster)
    points = frame["shown_points"] + frame["hidden_most"].max()
    kept = [
        final_points(most, days, assignment.late) if days else most
        for most, days in zip(points, lateness, strict=True)
    ]
    is_ascending = {
        "chosen": False,  # the latest choice; what was never chosen comes behind
        "kept": False,
        "public": assignment.metric.direction == "min",
        "submitted": True,
        "number": True,
    }
    return frame.assign(kept=kept).sort_values(
        list(is_ascending), ascending=list(is_ascending.values()), na_position="last"
    )


def _days_late(frame: pd.DataFrame, assignment: Assignment, roster: Roster | None) -> list[int]:
    """Of each run; 0 where being late takes nothing off."""
    if assignment.deadline is None or assignment.late is None:
        return [0] * len(frame)
    deadlines = _deadlines(frame["student"].unique(), assignment.deadline, roster)
    return [
        days_late(moment(submitted), deadlines[student], assignment.late)
        for student, submitted in zip(frame["student"], frame["submitted"], strict=True)
    ]


def _deadlines(students: Iterable[str], deadline: datetime, roster: Roster | None) -> dict[str, datetime]:
    """Each student's, by the roster's extensions, however it spells their name."""
    if roster is None:
        return dict.fromkeys(students, deadline)
    spelling = {same(student): student for student in roster.students()}
    return {
        student: roster.deadline_for(spelling.get(same(student), student), deadline) or deadline
        for student in students
    }
