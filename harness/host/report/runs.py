"""Lists runs, and what could not be graded, on a terminal; and says in a line whose a run is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.host.report.figures import duration, figure, points
from harness.host.report.page import Page, Span
from harness.host.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

_RUN, _WHEN, _OUTCOME, _POINTS, _SCORE, _TIME = 18, 18, 20, 9, 11, 13
_LEAST = 10  # columns for a name


def render_runs(rows: Sequence[Mapping[Any, Any]], console: Console) -> None:
    """A line for each run: id, when it was handed in, student, outcome, points that students see, score.

    Args:
        rows: of `runs`, with the columns of `scores` that are shown.
        console: where they go; a narrow one has no times.
    """
    page = Page(console)
    if not rows:
        page.line("no runs")
        return
    fixed = _RUN + _OUTCOME + _POINTS + _SCORE
    wide = page.width - fixed - _WHEN - _TIME >= _LEAST
    name = max(_LEAST, page.width - fixed - (_WHEN + _TIME if wide else 0))

    def line(texts: Sequence[str], style: str = "") -> None:
        run, when, student, outcome, earned, score, seconds = texts
        page.line(
            Span(run, style, _RUN),
            *([Span(when, style, _WHEN)] if wide else []),
            Span(student, style, name),
            Span(f" {outcome}", style, _OUTCOME),
            Span(earned, style, -_POINTS),
            Span(score, style, -_SCORE),
            *([Span(seconds, style, -_TIME)] if wide else []),
        )

    line(("run", "handed in", "student", "outcome", "points", "public", "runtime"), "dim")
    for row in rows:
        score = row["public"] if row["public"] is not None else row["validation"]
        line(
            (
                row["id"],
                _when(row["submitted"]),
                row["student"],
                row["outcome"],
                f"{points(row['points'])}/{points(row['max_points'])}",
                figure(score) if score is not None else "",
                duration(row["train_seconds"] + row["predict_seconds"]),
            )
        )


def render_faults(rows: Sequence[Mapping[Any, Any]], console: Console) -> None:
    """What could not be graded: when, whose, why, and what to do."""
    page = Page(console)
    if not rows:
        page.line("no faults")
    for row in rows:
        page.line(
            Span(_when(row["happened"]), "dim", _WHEN), Span(f"{row['assignment']}  {row['submission']}")
        )
        page.quote("\n".join(filter(None, (row["message"], row["fix"]))))


def whose(row: Mapping[Any, Any]) -> str:
    """A run in a line: its id, whose it is and since when."""
    student = printable(row["student"])
    return f"run {row['id']}   {row['assignment']}   {student}   handed in {_when(row['submitted'])} UTC"


def _when(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d %H:%M}"
