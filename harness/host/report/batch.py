"""A batch as lines of text: one for each result as it comes, and what came of all."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from harness.host.report.figures import duration
from harness.host.report.text import printable, printable_text

if TYPE_CHECKING:
    from pathlib import Path


class Outcome(Protocol):
    """What is shown of one submission."""

    @property
    def name(self) -> str:
        """Of the submission."""

    @property
    def seconds(self) -> float:
        """What it took."""

    @property
    def outcome(self) -> str:
        """Empty where it could not be graded."""

    @property
    def points(self) -> float:
        """What it earned."""

    @property
    def max_points(self) -> float:
        """What there was to earn."""

    @property
    def fault(self) -> str:
        """Why it could not be graded."""

    @property
    def fix(self) -> str:
        """What to do about that."""


class Lines:
    """Counts what comes.

    Args:
        total: submissions in the batch.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._outcomes: Counter[str] = Counter()
        self._started = time.monotonic()

    @property
    def not_graded(self) -> int:
        """How many could not be graded."""
        return self._outcomes[""]

    def of(self, result: Outcome) -> str:
        """The line of one more result; a fault has a second one."""
        self._outcomes[result.outcome] += 1
        done = f"{self._outcomes.total():>{len(str(self._total))}}/{self._total}"
        name = printable(result.name)
        if not result.outcome:
            fix = f"\n    fix: {printable_text(result.fix)}" if result.fix else ""
            return f"{done}  {name}: not graded: {printable_text(result.fault)}{fix}"
        points = f"{result.points:g} of {result.max_points:g} points"
        return f"{done}  {name}: {result.outcome}, {points}, {result.seconds:.1f} s"

    def summary(self, reports: Path) -> str:
        """How many ended how, how fast, and where to go on."""
        done = self._outcomes.total()
        seconds = time.monotonic() - self._started
        rate = f", {60 * done / seconds:.0f} a minute" if done else ""
        counts = ", ".join(f"{count} {name or 'not graded'}" for name, count in self._outcomes.most_common())
        left = f", {self._total - done} left undone" if done < self._total else ""
        return (
            f"{done} of {self._total} submissions in {duration(seconds)}{rate}: {counts or 'none'}{left}\n"
            f"reports: {reports}"
        )
