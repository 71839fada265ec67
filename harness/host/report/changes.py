"""Shows what scoring again changes, and for whom, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.host.report.figures import figure, points
from harness.host.report.page import Page, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.host.records import Interval, Report

_RUN, _POINTS, _SCORE = 18, 16, 24
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
    name = page.width - _RUN - _POINTS - 2 * _SCORE

    def line(texts: Sequence[str], style: str = "") -> None:
        sizes = (_RUN, name, -_POINTS, -_SCORE, -_SCORE)
        page.line(*(Span(text, style, size) for text, size in zip(texts, sizes, strict=True)))

    if changed:
        line(("run", "student", "points", "public", "private"), "dim")
    for change in changed[:MOST]:
        before, after = change.before, change.after
        line(
            (
                after.run.run_id,
                change.student,
                _both(points(before.points), points(after.points), arrow),
                _both(_value(before.run.score.public), _value(after.run.score.public), arrow),
                _both(_value(before.run.score.private), _value(after.run.score.private), arrow),
            )
        )
    if len(changed) > MOST:
        page.line(f"and {len(changed) - MOST} more")
    better = sum(change.after.points > change.before.points for change in changed)
    worse = sum(change.after.points < change.before.points for change in changed)
    equal = len(changes) - len(changed)
    others = len(changed) - better - worse
    page.line(f"{len(changes)} runs were scored again; {equal} stay as they are")
    page.line(f"{better} get more points, {worse} fewer, and {others} another score for the same points")


def _value(interval: Interval | None) -> str:
    return figure(interval.value if interval is not None else None)


def _both(before: str, after: str, arrow: str) -> str:
    return before if before == after else f"{before} {arrow} {after}"
