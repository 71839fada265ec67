"""Writes a leaderboard as text, tables for other programs, and a page; figures are rounded, ranks are not."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

from harness.host.leaderboard.ranking import BASELINE
from harness.host.report import figures, markdown
from harness.host.report.cells import cell
from harness.host.report.html.board_page import board_page
from harness.host.report.html.board_table import progress_text
from harness.host.report.html.board_view import BoardView
from harness.host.report.page import Page, Span
from harness.host.report.text import inert_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from rich.console import Console

    from harness.host.leaderboard.board import Board

SCHEMA = "harness/leaderboard/v1"
_RANK, _SCORE, _PROGRESS, _RUNTIME, _ATTEMPTS = 5, 12, 11, 13, 10
_LEAST = 16  # columns for a name
_FIGURES = ("score", "last", "runtime_seconds")


def _rounded(board: Board) -> pd.DataFrame:
    """The rows with figures of four significant digits: a displayed score is an oracle."""
    rows, direction = board.rows, board.assignment.metric.direction
    progress = [
        math.nan if math.isnan(value) else float(_progress(value, score, direction))
        for value, score in zip(rows["progress"], rows["score"], strict=True)
    ]
    return rows.assign(**{name: rows[name].map(figures.significant) for name in _FIGURES}, progress=progress)


def _progress(value: float, score: float, direction: str) -> str:
    """In no finer steps than the scores that it lies between, whose hidden digits it would tell."""
    return progress_text(value, score, direction) or ""


def _records(board: Board) -> list[dict[str, Any]]:
    """The rows, rounded; None where there is nothing to show."""
    rounded = _rounded(board).astype(object)
    return rounded.where(rounded.notna(), None).to_dict("records")  # type: ignore[return-value]  # names are text


def to_csv(board: Board) -> str:
    """The board as CSV with a header; names are made harmless to spreadsheets."""
    rows = _rounded(board)
    rows = rows.assign(name=rows["name"].map(cell), group=rows["group"].map(cell))
    columns = {"score": f"{board.split}_{board.assignment.metric.name}"}
    return rows.rename(columns=columns).to_csv(index=False, lineterminator="\n")


def to_parquet(board: Board) -> bytes:
    """The rows, rounded, with their types, for pandas and its like."""
    written = io.BytesIO()
    _rounded(board).to_parquet(written, index=False)
    return written.getvalue()


def to_json(board: Board) -> str:
    """The board in the form ``harness/leaderboard/v1``, in ASCII: every other character is escaped."""
    metric = board.assignment.metric
    document = {
        "schema": SCHEMA,
        "assignment": board.assignment.id,
        "split": board.split,
        "metric": metric.name,
        "direction": metric.direction,
        "made_at": board.made_at.isoformat(timespec="seconds"),
        "rows": _records(board),
    }
    return inert_json(json.dumps(document, allow_nan=False, indent=2)) + "\n"


def to_html(board: Board) -> str:
    """The board as one page."""
    assignment = board.assignment
    return board_page(
        BoardView(
            assignment=assignment.id,
            title=assignment.title,
            split=board.split,
            metric=assignment.metric.name,
            direction=assignment.metric.direction,
            made_at=board.made_at,
            board=board.rows,
            history=board.history(),
        )
    )


def to_markdown(board: Board) -> str:
    """The board as GitHub's Markdown; names stand in code spans."""
    metric = board.assignment.metric
    rows = []
    for row in _records(board):
        label = "*baseline* " if row["kind"] == BASELINE else ""
        rows.append([label + markdown.code(row["name"]), *_texts(row, metric.direction)])
    lines = [
        f"# Leaderboard of {markdown.code(board.assignment.title)}",
        "",
        f"{markdown.code(metric.name)} on the {board.split} split, {figures.better(metric.direction)}",
        "",
        *markdown.table(("name", "rank", metric.name, "this week", "runtime", "attempts"), rows),
    ]
    return "\n".join(lines) + "\n"


def _texts(row: dict[str, Any], direction: str) -> tuple[str, str, str, str, str]:
    """Rank, score, progress, runtime and attempts for people; empty where there is none."""
    score, progress, seconds = row["score"], row["progress"], row["runtime_seconds"]
    return (
        "" if row["rank"] is None else str(row["rank"]),
        "" if score is None else figures.figure(score),
        _progress(progress, score, direction) if progress else "",
        "" if seconds is None else figures.duration(seconds),
        "" if row["attempts"] is None else str(row["attempts"]),
    )


def render(board: Board, console: Console) -> None:
    """Write the board to a terminal, in columns that no name can leave; a narrow one has fewer of them."""
    page = Page(console)
    metric = board.assignment.metric
    widths = _widths(page.width)
    name_width = page.width - _RANK - 2 - sum(widths)

    def line(texts: tuple[str, ...], name: str, style: str) -> None:
        rest = [Span(text, style, -width) for text, width in zip(texts[1:], widths, strict=True) if width]
        page.line(Span(texts[0], style, -_RANK), "  ", Span(name, style, name_width), *rest)

    page.line()
    page.ends(Span(board.assignment.title, "bold"), Span(f"{board.split} split", "bold"))
    page.line(Span(f"{metric.name}, {figures.better(metric.direction)}", "dim"))
    page.rule()
    line(("rank", metric.name, "this week", "runtime", "attempts"), "name", "dim")
    for row in _records(board):
        is_baseline = row["kind"] == BASELINE
        label = "baseline " if is_baseline else ""
        line(_texts(row, metric.direction), label + row["name"], "cyan" if is_baseline else "")
    page.line()


def _widths(whole: int) -> list[int]:
    """Of score, progress, runtime and attempts; 0 for those that a name leaves no room for."""
    widths = [_SCORE, _PROGRESS, _RUNTIME, _ATTEMPTS]
    for least in (1, 3, 2):  # what a reader would miss least goes first
        if whole - _RANK - 2 - sum(widths) < _LEAST:
            widths[least] = 0
    return widths


WRITERS: Mapping[str, Callable[[Board], str | bytes]] = {
    "csv": to_csv,
    "md": to_markdown,
    "json": to_json,
    "html": to_html,
    "parquet": to_parquet,
}
