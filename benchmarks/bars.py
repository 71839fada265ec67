"""What each ratio is meant to keep. A bar is shown beside its ratio; nothing fails where it is missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Bar:
    """A bound on a ratio.

    Attributes:
        bound: a ratio, seconds, or megabytes.
        is_least: whether the ratio should be at least that; otherwise at most.
    """

    bound: float
    is_least: bool = False

    def is_kept(self, ratio: float) -> bool:
        """Whether a ratio keeps to it."""
        return ratio >= self.bound if self.is_least else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.bound:.2f}"


# Wall time, in times of the plain script's.
WALL: Mapping[str, Bar] = {
    "cold bubblewrap": Bar(1.0),
    "cold docker": Bar(1.15),
    "warm bubblewrap": Bar(0.25),
    "warm docker": Bar(0.25),
}
# Submissions a minute, in times of what xargs does with the plain script.
THROUGHPUT: Mapping[str, Bar] = {
    "batch bubblewrap": Bar(4.0, is_least=True),
    "batch docker": Bar(1.2, is_least=True),
}
# By batch size: how many times as fast as the lecture's loops, and how many times as slow as bare kernels.
LOOPS_FASTER: Mapping[int, Bar] = {16: Bar(1.4, is_least=True), 256: Bar(3.0, is_least=True)}
LOOPS_TO_BARE: Mapping[int, Bar] = {256: Bar(1.15)}
HELP_SECONDS = Bar(0.3)
# Of processor time beside the imports: 10,000 students with 20 attempts each, and 1,000 runs scored again.
BOARD_SECONDS: Mapping[str, Bar] = {
    "leaderboard csv": Bar(2.0),
    "leaderboard html": Bar(5.0),
    "rescore": Bar(10.0),
}
BOARD_MEGABYTES = Bar(500.0)


def beside(ratio: float | None, bar: Bar | None) -> dict[str, Any]:
    """A bar and whether it is kept, for the JSON; both are null where there is no bar or no ratio."""
    kept = bar.is_kept(ratio) if bar is not None and ratio is not None else None
    return {"bar": None if bar is None else str(bar), "bar_kept": kept}
