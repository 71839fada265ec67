"""Shows what scoring again changes, and for whom, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.host.report.figures import figure, points
from harness.host.report.page import Page, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.host.records import Interval, Report

_RUN, _POINTS, _SCORE = 18, 18, 17
_LEAST = 10  # columns for a name
MOST = 100


class Changed(Protocol):
    """A run that was scored again."""

    @property
    def student(self) -> str:
        """Whose it is."""

    @property
    def before(self) -> Report:
        """As it stands in the store."""

    @property
    def after(self) -> Report:
        """As it would."""

    @property
    def is_none(self) -> bool:
        """Whether points and scores stay."""


def render_changes(changes: Sequence[Changed], console: Console) -> None:
    """A line for each run whose points or scores change, and how many do.

    Args:
        changes: of all runs that were scored again.
        console: where they go; of more than `MOST`, the first are shown.
    """
    page = Page(console)
    changed = [change for change in changes if not change.is_none]
    arrow = "→" if page.unicode else "->"
    name = max(_LEAST, page.width - _RUN - _POINTS - 2 * _SCORE)

    def line(texts: Sequence[str], style: str = "") -> None:
        sizes = (_RUN, name, -_POINTS, -_SCORE, -_SCORE)
        page.line(*(Span(text, style, size) for text, size in zip(texts, sizes, strict=True)))

    if changed:
        line(("run", "student", "points", "public", "private"), "dim")
    for change in changed[:MOST]:
        reports = (change.before, change.after)
        scores = [report.run.score for report in reports]
        line(
            (
                change.after.run.run_id,
                change.student,
                _points(reports, arrow),
                _both([_value(score.public) for score in scores], arrow),
                _both([_value(score.private) for score in scores], arrow),
            )
        )
    if len(changed) > MOST:
        page.line(f"and {len(changed) - MOST} more")
    better = sum(change.after.points > change.before.points for change in changed)
    worse = sum(change.after.points < change.before.points for change in changed)
    page.line(f"scored again: {len(changes)}, of which {len(changes) - len(changed)} stay as they are")
    if changed:
        others = len(changed) - better - worse
        page.line(f"more points: {better}, fewer: {worse}, another score for the same points: {others}")


def _points(reports: Sequence[Report], arrow: str) -> str:
    of = [points(report.max_points) for report in reports]
    earned = [points(report.points) for report in reports]
    if of[0] == of[1]:
        return f"{_both(earned, arrow)}/{of[0]}"
    return _both([f"{each}/{most}" for each, most in zip(earned, of, strict=True)], arrow)


def _value(interval: Interval | None) -> str:
    return figure(interval.value if interval is not None else None)


def _both(texts: Sequence[str], arrow: str) -> str:
    before, after = texts
    return before if before == after else f"{before} {arrow} {after}"
