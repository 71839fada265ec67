"""Counts what comes of a batch, and says it in words."""

from __future__ import annotations

import time
from collections import Counter
from typing import Protocol

from harness.host.report.figures import duration, points
from harness.host.report.text import printable, printable_text

GRADED = "ok"
BEFORE, SET_ASIDE, NOT_GRADED = "graded before", "set aside", "not graded"
SLOWEST = 3


class Named(Protocol):
    """A submission."""

    @property
    def name(self) -> str:
        """For people."""


class Outcome(Protocol):
    """What is shown of one submission."""

    @property
    def handed_in(self) -> Named:
        """Which one."""

    @property
    def seconds(self) -> float:
        """What it took."""

    @property
    def run(self) -> str:
        """The id of its run; empty where it could not be graded."""

    @property
    def outcome(self) -> str:
        """Of its run."""

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

    @property
    def before(self) -> bool:
        """Whether it had its result before."""

    @property
    def set_aside(self) -> bool:
        """Whether it took its process with it."""


class Tally:
    """Counts what comes.

    Args:
        assignment: its id.
        total: submissions in the batch.
    """

    def __init__(self, assignment: str, total: int) -> None:
        self.assignment, self.total = assignment, total
        self.outcomes: Counter[str] = Counter()
        self.slowest: list[tuple[float, str]] = []
        self._examples: dict[str, Outcome] = {}
        self._started = time.monotonic()

    @property
    def done(self) -> int:
        """How many have come to an end."""
        return self.outcomes.total()

    @property
    def not_graded(self) -> int:
        """How many could not be graded."""
        return self.outcomes[NOT_GRADED] + self.outcomes[SET_ASIDE]

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def add(self, result: Outcome) -> None:
        """Count one more."""
        kind = kind_of(result)
        self.outcomes[kind] += 1
        self._examples.setdefault(kind, result)
        if not result.before:
            self.slowest = sorted([*self.slowest, (result.seconds, result.handed_in.name)])[-SLOWEST:]

    def seconds_left(self) -> float | None:
        """What the rest will take, if it goes on as it went; None: nothing was run yet."""
        run = self.done - self.outcomes[BEFORE]
        return self.seconds / run * (self.total - self.done) if run else None

    def summary(self) -> list[str]:
        """How many ended how, how fast, and the command that looks into each kind."""
        run = self.done - self.outcomes[BEFORE]
        rate = f", {60 * run / self.seconds:.0f} a minute" if run else ""
        left = f"; {self.total - self.done} left undone" if self.done < self.total else ""
        lines = [f"{self.done} of {self.total} submissions in {duration(self.seconds)}{rate}{left}"]
        width = max(map(len, self.outcomes), default=0)
        for kind, count in self.outcomes.most_common():
            counted = f"{kind:<{width}}  {count:>{len(str(self.total))}}"
            lines.append(f"  {counted}  {self._command(kind)}")
        if self.done:
            lines.append(f"leaderboard: harness leaderboard {self.assignment}")
        return lines

    def _command(self, kind: str) -> str:
        if kind == BEFORE:
            return f"harness runs {self.assignment}"
        if kind in {SET_ASIDE, NOT_GRADED}:
            return f"harness runs {self.assignment} --faults"
        example = self._examples[kind]
        show = f"harness show {example.run}"
        return show if kind == GRADED else f"harness runs {self.assignment} --outcome {kind}; {show}"


def kind_of(result: Outcome) -> str:
    """What a result counts as."""
    if result.before:
        return BEFORE
    if result.set_aside:
        return SET_ASIDE
    return result.outcome if result.run else NOT_GRADED


def line_of(result: Outcome) -> str:
    """A result in a line; what could not be graded has the remedy on a second one."""
    name = printable(result.handed_in.name)
    if result.before:
        return f"{name}: {BEFORE}, run {result.run}"
    if not result.run:
        fix = f"\n    fix: {printable_text(result.fix)}" if result.fix else ""
        return f"{name}: {kind_of(result)}: {printable_text(result.fault)}{fix}"
    earned = f"{points(result.points)} of {points(result.max_points)} points"
    return f"{name}: {result.outcome}, {earned}, {result.seconds:.1f} s, run {result.run}"
