"""Makes what ``harness grades`` writes: the final grades as a CSV, or filled into a sheet of the LMS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from harness.host.attempts import zone_of_days
from harness.host.errors import UsageError
from harness.host.exports import canvas, moodle
from harness.host.exports.filling import Missing, fill, some
from harness.host.exports.grades import NOTHING, final_grades
from harness.host.exports.plain import to_csv
from harness.host.exports.sheet import read_sheet
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from harness.host.assignment import Assignment
    from harness.host.roster import Roster

Form = Literal["csv", "canvas", "moodle"]
FORMS: tuple[Form, ...] = get_args(Form)
MISSING: tuple[Missing, ...] = get_args(Missing)


def export_grades(  # noqa: PLR0913  the options of the command
    frame: pd.DataFrame,
    assignment: Assignment,
    form: Form,
    *,
    sheet: Path | None = None,
    roster: Roster | None = None,
    column: str | None = None,
    missing: Missing = "keep",
    note: Callable[[str], None],
) -> str:
    """The whole document, to be written in UTF-8 as it is: a byte order mark and line ends are in it.

    Args:
        frame: one row a student with a run; its columns are `grades.RUNS`.
        assignment: for its title, deadline and ``[late]`` table.
        form: ``csv`` for people; ``canvas`` and ``moodle`` fill in `sheet`.
        sheet: the gradebook or the worksheet, as it was downloaded.
        roster: None: the class are those with a run, and nobody has an extension.
        column: of the sheet; None: ``Grade`` in Moodle, the one with the assignment's title in Canvas.
        missing: what students without a run get in the sheet: ``keep`` what is there, or ``zero``.
        note: told what the user should know beside the document; the text may quote names.

    Raises:
        UsageError: the sheet is missing, of another form, or does not fit the class or the assignment; or
            there is nobody to grade.
    """
    _check_options(form, sheet, column, missing)
    grades = final_grades(frame, roster, assignment)
    if grades.empty:
        raise UsageError(
            f"there is no run of {assignment.id} to take grades from",
            "grade the submissions first, or name the class with --roster",
        )
    for text, students in _remarks(grades).items():
        note(f"{text}: {some(students)}")
    if sheet is None:
        return to_csv(grades, zone_of_days(assignment.deadline))
    read = read_sheet(sheet)
    target = (
        canvas.target(read, assignment.title, column) if form == "canvas" else moodle.target(read, column)
    )
    return fill(read, target, grades, missing, note)


def _check_options(form: str, sheet: Path | None, column: str | None, missing: str) -> None:
    for option, value, allowed in (("format", form, FORMS), ("missing", missing, MISSING)):
        if value not in allowed:
            raise UsageError(f"the {option} {value!r} is unknown", f"use one of {', '.join(allowed)}")
    if form == "csv":
        if sheet is not None or column is not None:
            raise UsageError(
                "--sheet and --column are for the sheets of an LMS", "add --format canvas or --format moodle"
            )
    elif sheet is None:
        where = "Grades, Export" if form == "canvas" else "Submissions, Download grading worksheet"
        raise UsageError(
            f"--format {form} fills in a sheet, and there is none",
            f"download it in {form.capitalize()} ({where}) and name it with --sheet FILE",
        )


def _remarks(grades: pd.DataFrame) -> dict[str, list[str]]:
    """Who has which note, but for those who handed nothing in, who are counted elsewhere."""
    remarks: dict[str, list[str]] = {}
    for student, text in zip(grades["student"], grades["note"], strict=True):
        for part in text.split("; "):
            if part and part != NOTHING:
                remarks.setdefault(part, []).append(quoted(student))
    return remarks
