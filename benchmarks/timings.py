"""The statistics of a benchmark: what several rounds of the same work took, and how that compares."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


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
