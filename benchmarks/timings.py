"""The statistics of a benchmark: rounds in turns, what the same work took in each, and how that compares."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Taken = TypeVar("Taken")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the same work, one figure a round.

    Args:
        rounds: at least one.
    """

    rounds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.rounds:
            raise ValueError("a timing needs at least one round")

    @property
    def median(self) -> float:
        """The middle round, or the mean of the two in the middle."""
        return statistics.median(self.rounds)

    def ratio_to(self, baseline: Timing) -> float:
        """How many times the baseline's median this median is: 2.0 is twice as slow.

        Raises:
            ValueError: the baseline took no time, so that there is no ratio to it.
        """
        if baseline.median <= 0:
            raise ValueError("the baseline's median is 0 s, so there is no ratio to it; give it more work")
        return self.median / baseline.median

    def as_json(self) -> dict[str, float | list[float]]:
        """Median, fastest, slowest and all rounds, in seconds."""
        return {
            "median": self.median,
            "min": min(self.rounds),
            "max": max(self.rounds),
            "rounds": list(self.rounds),
        }


def turns(names: list[str], rounds: int) -> list[list[str]]:
    """Who runs in which order: all of them in every round, and another one first each time.

    A slow minute of the machine then hits every contestant alike, and nobody always runs in another's wake.
    """
    starts = [number % len(names) for number in range(rounds)] if names else []
    return [names[start:] + names[:start] for start in starts]


def race(
    contestants: Mapping[str, Callable[[], Taken]],
    rounds: int,
    tell: Callable[[int, str, Taken], None],
    *,
    uncounted: int = 1,
) -> dict[str, list[Taken]]:
    """Let the contestants take turns.

    Args:
        contestants: what each does in a round.
        rounds: that are counted.
        tell: is told the round, who ran and what came of it.
        uncounted: rounds before those, which warm the page cache and leave Python's bytecode behind.

    Returns:
        What came of the counted rounds.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in contestants}
    for number, order in enumerate(turns(list(contestants), uncounted + rounds), 1 - uncounted):
        for name in order:
            one = contestants[name]()
            tell(number, name, one)
            if number > 0:
                taken[name].append(one)
    return taken
