"""Knows the gradebook that Canvas exports (Grades, Export) and takes back (Grades, Import).

The form is that of ``lib/gradebook_exporter.rb`` and ``lib/gradebook_importer.rb`` in Canvas' source: a
header; a line ``Manual Posting`` where grades are posted by hand; a line ``Points Possible``; a line for each
student. An assignment's column is named ``Title (id)``. Its cells hold a score, ``EX`` (excused) or ``N/A``
(not assigned).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.exports.filling import Target, some
from harness.host.exports.matching import Identity, identities_of
from harness.host.exports.sheet import DOWNLOAD_ANEW
from harness.host.roster import same
from harness.host.schema_errors import nearest, quoted

if TYPE_CHECKING:
    from harness.host.exports.sheet import Row, Sheet

IDS = ("ID", "SIS User ID", "SIS Login ID", "Integration ID")
STUDENT = "Student"
FIRST, LAST = "FirstName", "LastName"
POINTS_POSSIBLE = "Points Possible"

_ASSIGNMENT = re.compile(r"(?P<title>.*\S)\s*\((?P<id>\d+)\)", re.DOTALL)
_POSTING = re.compile(r"\s*(Muted|Manual Posting.*)?\s*", re.IGNORECASE)
_READ_ONLY = re.compile(r"read\s+only", re.IGNORECASE)
_KEPT = {"ex": "excused", "n/a": "not assigned to them"}
_AS_FORMULA = re.compile(r'="(.*)"', re.DOTALL)  # how Canvas writes a name that begins with =


def target(sheet: Sheet, title: str, column: str | None) -> Target:
    """Where the points of an assignment belong in a gradebook.

    Args:
        sheet: the gradebook.
        title: of our assignment; the column is the one of that name, or whose name begins so.
        column: names the column instead: its whole name, the name without the id, or the id.

    Raises:
        UsageError: the sheet is no gradebook, or the column is not there, not clear, or read-only.
    """
    names = sheet.columns
    if "ID" not in names or not (STUDENT in names or {FIRST, LAST} <= set(names)):
        raise UsageError(
            f"{sheet.path} is no gradebook of Canvas: it has no columns {STUDENT} and ID",
            "download it in Canvas: Grades, Export; for a worksheet of Moodle, say --format moodle",
        )
    possible = next((row for row in sheet.rows[1:] if _is_points_possible(row)), None)
    if possible is None:
        raise UsageError(f"{sheet.path} has no line {POINTS_POSSIBLE}", DOWNLOAD_ANEW)
    index = _column(sheet, possible, title, column)
    rows = [
        number
        for number, row in enumerate(sheet.rows)
        if number and not row.is_blank and not _is_points_possible(row) and not _is_posting(row)
    ]
    kept = {number: _KEPT[cell] for number in rows if (cell := sheet.rows[number][index].casefold()) in _KEPT}
    return Target(index, rows, _identities(sheet, rows), possible[index], kept)


def _is_points_possible(row: Row) -> bool:
    return POINTS_POSSIBLE in row[0]


def _is_posting(row: Row) -> bool:
    return all(_POSTING.fullmatch(row[column]) for column in range(len(row.raw)))


def _column(sheet: Sheet, possible: Row, title: str, column: str | None) -> int:
    offered = {
        index: (parts["title"], parts["id"])
        for index, name in enumerate(sheet.columns)
        if (parts := _ASSIGNMENT.fullmatch(name)) and not _READ_ONLY.search(possible[index])
    }
    wanted = same(title if column is None else column)
    exact = [
        index
        for index, (name, number) in offered.items()
        if wanted == same(name) or (column is not None and wanted in (same(sheet.columns[index]), number))
    ]
    starting = [index for index, (name, _) in offered.items() if same(name).startswith(wanted)]
    found = exact or (starting if column is None else [])
    if len(found) == 1:
        return found[0]
    named = [quoted(sheet.columns[index]) for index in found or offered]
    asked = f"is named {quoted(column)}" if column is not None else f"begins with {quoted(title)}"
    what = "more than one assignment's column" if found else "no assignment's column that can be filled in"
    near = None if found else nearest(wanted, [sheet.columns[index] for index in offered])
    hint = f"did you mean --column {quoted(near)}?" if near else "choose one with --column"
    raise UsageError(f"{sheet.path}: {what} {asked}; there are {some(named) or 'none'}", hint)


def _identities(sheet: Sheet, rows: list[int]) -> list[Identity]:
    columns = {
        name: {each: _plain(sheet.rows[each][index]) for each in rows}
        for index, name in enumerate(sheet.columns)
        if name in (*IDS, STUDENT, FIRST, LAST)
    }
    found = [each for name in IDS if name in columns for each in identities_of(_label(name), columns[name])]
    if STUDENT in columns:
        names = columns[STUDENT]
        turned = {each: " ".join(reversed(name.split(",", 1))) for each, name in names.items()}
        found += [Identity(_label(STUDENT), names), Identity(f"{_label(STUDENT)}, first names first", turned)]
    else:
        first, last = columns[FIRST], columns[LAST]
        found.append(Identity("first and last name", {each: f"{first[each]} {last[each]}" for each in rows}))
        found.append(Identity("last and first name", {each: f"{last[each]}, {first[each]}" for each in rows}))
    return found


def _label(column: str) -> str:
    return f"the column {quoted(column)}"


def _plain(cell: str) -> str:
    found = _AS_FORMULA.fullmatch(cell)
    return found[1].strip() if found else cell
