"""Knows the grading worksheet that Moodle's assignments export (Download grading worksheet) and take back.

The form is that of ``mod/assign/gradingtable.php`` and ``mod/assign/feedback/offline`` in Moodle's source,
with headers in the language of whoever downloaded it: what names the student, the status, the grade, then the
maximum grade or the scale, the workflow's state if there is one, and whether the grade can be changed. Moodle
skips a grade that is locked, over the maximum, or was changed in Moodle since the download.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.exports.filling import Target, number, some
from harness.host.exports.matching import Identity, identities_of
from harness.host.roster import same
from harness.host.schema_errors import nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.host.exports.sheet import Sheet

GRADE = "Grade"
IDENTIFIER = "Identifier"
SCALE = "Scale"
CHANGEABLE = "Grade can be changed"
BY_POINTS = "let Moodle grade the assignment by points"
PREFERRED = ("Email address", "ID number", IDENTIFIER, "Full name")

_AFTER = 3  # the maximum, the state and whether it can be changed stand in so many columns after the grade
_NO = {
    *("no", "nein", "non", "não", "nee", "nej", "nei", "ei", "nie", "ne", "nu", "nem", "hay\u0131r", "không"),
    *("не", "нет", "ні", "όχι", "いいえ", "否", "아니오", "아니요", "لا", "לא"),
}
_DIGITS_AT_END = re.compile(r"\D+(\d+)", re.ASCII)
_EMPTY = frozenset({"", "-"})


def target(sheet: Sheet, column: str | None) -> Target:
    """Where the points belong in a worksheet.

    Args:
        sheet: the worksheet.
        column: the name of the column of grades; None: ``Grade``.

    Raises:
        UsageError: there is no such column, or it is no column of numbers.
    """
    names = sheet.columns
    index = _column(sheet, column)
    rows = [each for each, row in enumerate(sheet.rows) if each and not row.is_blank]
    _check_numbers(sheet, rows, index)
    after = list(range(index + 1, min(index + 1 + _AFTER, len(names))))
    if after and same(names[after[0]]) == same(SCALE):
        raise UsageError(f"{sheet.path}: the assignment is graded by a scale, not by points", BY_POINTS)
    beside = [sheet.rows[each][after[0]] for each in rows if after]
    maximum = next((cell for cell in beside if number(cell) is not None), "")
    changeable = [each for each in after if same(names[each]) == same(CHANGEABLE)] or after
    kept = {
        each: "the grade cannot be changed in Moodle"
        for each in rows
        if any(sheet.rows[each][column].casefold() in _NO for column in changeable)
    }
    return Target(index, rows, _identities(sheet, rows, index), maximum, kept)


def _column(sheet: Sheet, column: str | None) -> int:
    names = sheet.columns
    wanted = GRADE if column is None else column
    found = [index for index, name in enumerate(names) if same(name) == same(wanted)]
    if len(found) == 1:
        return found[0]
    what = "more than one column is" if found else "no column is"
    near = None if found else nearest(wanted, names)
    raise UsageError(
        f"{sheet.path}: {what} named {quoted(wanted)}; there are {some([quoted(name) for name in names])}",
        f"did you mean --column {quoted(near)}?" if near else "choose the column of grades with --column",
    )


def _check_numbers(sheet: Sheet, rows: Sequence[int], column: int) -> None:
    for each in rows:
        cell = sheet.rows[each][column]
        if cell not in _EMPTY and number(cell) is None:
            raise UsageError(
                f"{sheet.path}: line {sheet.rows[each].line}: {quoted(cell)} in the column "
                f"{quoted(sheet.columns[column])} is no number",
                f"choose the column of grades with --column; if it is that one, {BY_POINTS}",
            )


def _identities(sheet: Sheet, rows: Sequence[int], grade: int) -> list[Identity]:
    """The columns before the grade, in whatever language; those that are known by name go first."""
    names = sheet.columns
    order = {same(name): place for place, name in enumerate(PREFERRED)}
    columns = sorted(range(grade), key=lambda index: order.get(same(names[index]), len(order)))
    found = []
    for index in columns:
        cells = {each: sheet.rows[each][index] for each in rows}
        label = f"the column {quoted(names[index])}"
        found += identities_of(label, cells)
        ends = {each: digits[1] for each, cell in cells.items() if (digits := _DIGITS_AT_END.fullmatch(cell))}
        if len(ends) == len(cells):
            found.append(Identity(f"the number in {label}", ends))
    return found
