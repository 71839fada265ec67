"""Writes a leaderboard as one HTML file that needs nothing else: no server, no other file, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.report.html.board_charts import board_charts
from harness.host.report.html.board_table import columns_of, tier_rows
from harness.host.report.html.board_view import BoardView
from harness.host.report.html.frame import embedded_json, page

if TYPE_CHECKING:
    from harness.host.report.html.board_table import Column

__all__ = ["BoardView", "board_page"]

ROWS = 100
"""Rows on a page of the table; the first page is in the document, the others are in its data."""


def board_page(view: BoardView) -> str:
    """The leaderboard of one split for its instructor.

    The table is sorted, searched and paged in the browser; without scripts its first rows can be read. No
    figure in the file has more than four significant digits, and no text in it acts, whatever names hold.

    Args:
        view: the board, ranked and in full precision.

    Returns:
        An HTML document in UTF-8 with a line feed at its end.
    """
    columns = columns_of(view)
    tiers = tier_rows(view)
    total = len(view.board)
    context = {
        "view": view,
        "columns": columns,
        "cells": list(zip(*(column.cells[:ROWS] for column in columns), strict=True)),
        "tiers": set(tiers),
        "total": total,
        "students": total - len(tiers),
        "scored": int(view.board["score"].notna().sum()) - len(tiers),
        "attempts": int(view.board["attempts"].sum()),
        "charts": board_charts(view),
        "data": embedded_json(_data(columns, tiers)),
    }
    return page("board.html.jinja", "board.js", context)


def _data(columns: list[Column], tiers: list[int]) -> dict[str, object]:
    """What the script reads: all rows, column by column."""
    return {
        "size": ROWS,
        "cells": {column.key: column.cells for column in columns},
        "numbers": {column.key: column.numbers for column in columns if column.numbers is not None},
        "tiers": tiers,
    }
