"""Fills final points into one column of a sheet, and tells what it did."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Literal

from harness.host.exports.matching import match
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pandas as pd

    from harness.host.exports.matching import Identity
    from harness.host.exports.sheet import Sheet

Missing = Literal["keep", "zero"]

LISTED = 8
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?\d+,\d{1,5}", re.ASCII)
_CENT = Decimal("0.01")
_EMPTY = frozenset({"", "-"})


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be filled in where.

    Attributes:
        column: the index of the column.
        rows: the indices of the rows that are students'.
        identities: how rows may name students, the most reliable way first.
        maximum: what the LMS gives at most, as it is written; empty: the sheet does not say.
        kept: by the index of the row, why its cell is not to be changed.
    """

    column: int
    rows: Sequence[int]
    identities: Sequence[Identity]
    maximum: str = ""
    kept: Mapping[int, str] = field(default_factory=dict)


def number(text: str) -> float | None:
    """What a cell's number is, with a decimal point or comma; None: it is none."""
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def written(points: float, mark: str) -> str:
    """Points in at most two decimals, halves rounded up, as both Canvas and Moodle show them.

    Args:
        points: finite.
        mark: the decimal mark, ``.`` or ``,``.
    """
    rounded = Decimal(repr(float(points))).quantize(_CENT, ROUND_HALF_UP)
    return f"{rounded:f}".rstrip("0").rstrip(".").replace(".", mark)


def fill(
    sheet: Sheet, target: Target, grades: pd.DataFrame, missing: Missing, note: Callable[[str], None]
) -> str:
    """The sheet with the final points of all students who have a run in it.

    Args:
        sheet: what the LMS let somebody download.
        target: where the points belong.
        grades: the columns of `grades.COLUMNS`.
        missing: what students without a run get: ``keep`` what is there, or ``zero``.
        note: told how students were matched, who was not found, what was kept, and what does not fit.

    Raises:
        UsageError: the students of the sheet are not those of the grades, or not clearly so.
    """
    label, student_of = match(sheet, target.identities, list(grades["student"]))
    with_run = grades[grades["run"] != ""]
    finals = dict(zip(with_run["student"], with_run["final"], strict=True))
    default = 0.0 if missing == "zero" else None
    wanted = {index: finals.get(student_of.get(index, ""), default) for index in target.rows}
    due = {index: final for index, final in wanted.items() if final is not None}
    before = {index: sheet.rows[index][target.column] for index in due}
    kept = {
        index: why
        for index, final in due.items()
        if (why := target.kept.get(index) or _reason_to_keep(before[index], final))
    }
    mark = _decimal_mark(sheet, target)
    texts = {index: written(final, mark) for index, final in due.items() if index not in kept}

    def named(index: int) -> str:
        return quoted(student_of[index]) if index in student_of else f"line {sheet.rows[index].line}"

    note(f"{len(student_of)} of {len(grades)} students are found in {sheet.path.name} by {label}")
    _tell_maximum(target, with_run, note)
    if lost := sorted(set(finals) - set(student_of.values())):
        note(f"not in the sheet, though there is a run: {some([quoted(student) for student in lost])}")
    if kept:
        note(f"left as they are: {some([f'{named(index)} ({why})' for index, why in kept.items()])}")
    others = [index for index in before if before[index] not in _EMPTY and index in texts]
    if replaced := [named(index) for index in others if number(before[index]) != number(texts[index])]:
        note(f"another grade was there before: {some(replaced)}")
    graded = sum(student_of.get(index) in finals for index in texts)
    without = f"{len(texts) - graded} get 0" if missing == "zero" else "cells stay as they are"
    note(f"{graded} grades are filled in; of students without a run, {without}")
    return sheet.filled(target.column, texts)


def some(names: Collection[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join([*list(names)[:LISTED], *([f"and {more} more"] if more > 0 else [])])


def _reason_to_keep(before: str, final: float) -> str | None:
    if math.isnan(final):
        return "the run has no points"
    if before not in _EMPTY and number(before) is None:
        return f"{quoted(before)} is there"
    return None


def _decimal_mark(sheet: Sheet, target: Target) -> str:
    """A comma where the sheet writes its numbers with one."""
    shown = [target.maximum, *(sheet.rows[index][target.column] for index in target.rows)]
    return "," if any(map(_WITH_COMMA.fullmatch, shown)) else "."


def _tell_maximum(target: Target, with_run: pd.DataFrame, note: Callable[[str], None]) -> None:
    most = number(target.maximum)
    differing = sorted(
        points for points in set(with_run["max_points"]) if most is not None and points != most
    )
    if differing:
        ours = " or ".join(written(points, ".") for points in differing)
        note(
            f"CHECK THIS: the LMS gives {target.maximum} points at most, the runs were graded out of {ours}; "
            "points are filled in as they are, not scaled"
        )
    over = [] if most is None else list(with_run[with_run["final"] > most]["student"])
    if over:
        note(f"CHECK THIS: more points than the LMS gives: {some([quoted(student) for student in over])}")
