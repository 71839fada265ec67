"""The rows of a leaderboard as its page shows them: text, with figures in four significant digits.

Nothing finer leaves this module, also not for sorting: scores are sorted by the order of the rows, which was
made from full precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.host.report.figures import SIGNIFICANT, duration, figure, significant
from harness.host.report.html.board_view import BASELINE
from harness.host.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.host.report.html.board_view import BoardView

LONGEST_NAME = 100
_FIGURE_SPACE, _POINT_SPACE = "\u2007", "\u2008"
_MOST_DECIMALS = 5

Cell = str | None
"""What is shown; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    Args:
        key: its name in the page's data, and the class of its cells.
        title: its head.
        sort: what it is sorted by: ``order`` (that of the rows), ``text`` or ``number``.
        first: how its first click sorts, ``ascending`` or ``descending``.
        cells: one for each row.
        numbers: what is sorted by where the cells are no numbers themselves.
    """

    key: str
    title: str
    sort: str
    first: str
    cells: list[Cell]
    numbers: list[float | None] | None = None


def columns_of(view: BoardView) -> list[Column]:
    """The table's columns; those that may be empty and are so in each row are left out."""
    board = view.board
    scores = _floats(board["score"])
    best_first = "ascending" if view.direction == "min" else "descending"
    seconds = [None if value is None else significant(value) for value in _floats(board["runtime_seconds"])]
    progress = [
        progress_text(value, score, view.direction)
        for value, score in zip(_floats(board["progress"]), scores, strict=True)
    ]
    columns = [
        Column("rank", "Rank", "order", "ascending", _texts(board["rank"])),
        Column("name", "Name", "text", "ascending", [shown_name(name) for name in board["name"]]),
        Column("score", "Score", "order", best_first, _figures(scores)),
        Column("last", "Last", "number", best_first, _figures(_floats(board["last"]))),
        Column("progress", "Progress", "number", "descending", aligned(progress)),
        Column("runtime", "Runtime", "number", "ascending", _mapped(duration, seconds), seconds),
        Column("attempts", "Attempts", "number", "descending", _texts(board["attempts"])),
        Column("group", "Group", "text", "ascending", [shown_name(name) or None for name in board["group"]]),
    ]
    may_be_empty = {"group", "last", "progress"}
    return [column for column in columns if column.key not in may_be_empty or any(column.cells)]


def tier_rows(view: BoardView) -> list[int]:
    """The places of the tiers in the table, counted from 0."""
    return [place for place, kind in enumerate(view.board["kind"]) if kind == BASELINE]


def shown(value: float) -> str:
    """A figure in four significant digits; not one more, however large it is."""
    return figure(significant(value))


def shown_name(name: object) -> str:
    """A name on one line, inert, and cut where no name should be longer."""
    text = printable(str(name)[: 2 * LONGEST_NAME])
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def progress_text(progress: float | None, score: float | None, direction: str) -> Cell:
    """A difference of two scores, with its sign, in no finer steps than both scores are shown in.

    In four digits of its own, a small difference would tell digits of the scores that are not shown.

    Args:
        progress: how much better the score is than the one before; None: unknown.
        score: what it is now.
        direction: ``min`` or ``max``, whichever is better.
    """
    if progress is None:
        return None
    now = score or 0.0
    before = now + progress if direction == "min" else now - progress
    largest = significant(max(abs(now), abs(before), abs(progress)))
    if not largest:
        return "0"
    places = SIGNIFICANT - 1 - math.floor(math.log10(largest))
    difference = round(progress, places)
    if not difference:
        return "0"
    decimals = max(places, 0)
    return f"{difference:+.{decimals}f}" if decimals <= _MOST_DECIMALS else f"{difference:+.{SIGNIFICANT}g}"


def aligned(texts: Sequence[Cell]) -> list[Cell]:
    """The texts with blanks of a digit's width behind them, so that decimal points stand below each other.

    Powers of ten are left as they are.
    """
    widths = [None if text is None or "e" in text else len(text.partition(".")[2]) for text in texts]
    widest = max((width for width in widths if width is not None and width <= _MOST_DECIMALS), default=0)
    blanks = {width: _FIGURE_SPACE * (widest - width) for width in range(widest + 1)}
    if widest:
        blanks[0] = _POINT_SPACE + blanks[0]
    return [
        text if text is None or width is None else text + blanks.get(width, "")
        for text, width in zip(texts, widths, strict=True)
    ]


def _floats(column: Iterable[float]) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in column]


def _figures(values: Sequence[float | None]) -> list[Cell]:
    return aligned(_mapped(shown, values))


def _mapped(text: Callable[[float], str], values: Sequence[float | None]) -> list[Cell]:
    return [None if value is None else text(value) for value in values]


def _texts(column: pd.Series[int]) -> list[Cell]:
    return [None if pd.isna(value) else str(value) for value in column]
