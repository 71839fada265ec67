"""A small class with grades, for the tests of what is handed to an LMS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.host.assignment import load_assignment
from harness.host.exports.export import export_grades
from harness.host.roster import read_roster

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.assignment import Assignment

DEADLINE = "2030-03-01T23:59:00+08:00"
IN_TIME = "2030-03-01T15:00:00Z"
ASSIGNMENT = """
id = "hw1-bikes"
title = "Homework 1"
task = "regression"
{deadline}
[data]
target = "count"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[points]
contract = 2
finished = 2
finite = 1
runtime = 1
{late}
"""
LATE = "[late]\npenalty_per_day = 0.1\nmax_days = 3"


def assignment_in(root: Path, *, deadline: str | None = DEADLINE, late: str = "") -> Assignment:
    """An assignment of 10 points that is due at one minute to midnight."""
    folder = root / "hw1-bikes"
    folder.mkdir()
    stated = f"deadline = {deadline}" if deadline else ""
    (folder / "assignment.toml").write_text(ASSIGNMENT.format(deadline=stated, late=late))
    return load_assignment(folder)


def runs(*rows: tuple[str, float] | tuple[str, float, str | None], max_points: float = 10.0) -> pd.DataFrame:
    """The run that counts of each student: name, points, and when it was handed in (default: in time)."""
    frame = pd.DataFrame(
        [
            (
                row[0],
                row[1],
                max_points,
                row[2] if len(row) > 2 else IN_TIME,
                "ok",
                f"run-{number}",
            )
            for number, row in enumerate(rows)
        ],
        columns=["student", "points", "max_points", "submitted", "outcome", "run"],
    )
    moments = pd.to_datetime(frame["submitted"], utc=True)
    types = {"submitted": "datetime64[us, UTC]", "points": "float64", "max_points": "float64"}
    return frame.assign(submitted=moments).astype(types)


@dataclass
class Desk:
    """Exports grades of an assignment in a folder, and keeps what the user was told."""

    folder: Path
    assignment: Assignment
    notes: list[str] = field(default_factory=list)

    def export(
        self,
        form: Any,
        frame: pd.DataFrame,
        sheet: str | bytes | None = None,
        roster: str | None = None,
        **options: Any,
    ) -> str:
        """What the command would write."""
        path = None
        if sheet is not None:
            path = self.folder / "sheet.csv"
            path.write_bytes(sheet if isinstance(sheet, bytes) else sheet.encode())
        read = None
        if roster is not None:
            (self.folder / "roster.csv").write_text(roster)
            assert self.assignment.deadline is not None
            assert self.assignment.deadline.tzinfo is not None
            read = read_roster(self.folder / "roster.csv", self.assignment.deadline.tzinfo)
        note = self.notes.append
        return export_grades(frame, self.assignment, form, sheet=path, roster=read, note=note, **options)

    def told(self, text: str) -> bool:
        """Whether a note has `text` in it."""
        return any(text in note for note in self.notes)
