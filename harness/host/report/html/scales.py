"""Maps figures to coordinates of a chart, and picks the round figures that its axes are labelled with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOG_SCALE_FROM = 10.0  # as in the curve of the terminal
LARGEST = 1e200  # beyond this, differences may not be finite any more
_FENCE = 3.0  # quartile distances; farther out is what Tukey calls far out
_MARGIN = 0.04
_MOST_DECIMALS = 5
_PLAIN_BELOW = 1e7
_DAYS = (1, 2, 3, 7, 14, 28, 56, 91, 182, 364)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps `low` to the coordinate `start` and `high` to `end`, straight or by the logarithm."""

    low: float
    high: float
    start: float = 0.0
    end: float = 1.0
    logarithmic: bool = False

    def between(self, start: float, end: float) -> Scale:
        """The scale of the same values with other coordinates."""
        return replace(self, start=start, end=end)

    def at(self, value: float) -> float:
        """The coordinate of a value, which may lie outside."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Up to about `most` round values within the scale, each with its label."""
        if self.logarithmic:
            return [(value, figure_label(value)) for value in _log_ticks(self.low, self.high, most)]
        step = nice_step(self.high - self.low, most)
        return [(value, label(value, step)) for value in multiples(self.low, self.high, step)]


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides `span` into at most `most` parts."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5):
        if factor * power >= rough * (1 - 1e-9):
            return factor * power
    return 10 * power


def multiples(low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` from `low` to `high`, both included, without binary dust."""
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [_clean(count * step) for count in range(first, last + 1)]


def label(value: float, step: float) -> str:
    """`value` with as many decimals as `step` needs; the power of ten where that would be long."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if decimals > _MOST_DECIMALS or abs(value) >= _PLAIN_BELOW:
        return f"{value:.3g}"
    return f"{value:,.{decimals}f}"


def figure_label(value: float) -> str:
    """A round value as short as it goes: 0.5, 20, 1e-06."""
    return f"{value:,.0f}" if 1 <= value < _PLAIN_BELOW else f"{value:.3g}"


def fitting(values: Sequence[float] | NDArray[np.float64]) -> Scale:
    """A straight scale with a little room around the values; equal values get room on both sides."""
    low, high = float(np.min(values)), float(np.max(values))
    if math.isclose(low, high, rel_tol=1e-6, abs_tol=1e-300):
        room = abs(low) * 0.05 or 0.5
    else:
        room = (high - low) * _MARGIN
    floor = 0.0 if low >= 0 else -math.inf
    return Scale(max(low - room, floor), high + room)


def fitting_log(values: Sequence[float] | NDArray[np.float64]) -> Scale:
    """A logarithmic scale where the values span more than a factor of ten, else that of `fitting`."""
    low, high = float(np.min(values)), float(np.max(values))
    if low <= 0 or high <= low * LOG_SCALE_FROM:
        return fitting(values)
    room = 10 ** (_MARGIN * (math.log10(high) - math.log10(low)))
    return Scale(max(low / room, math.ulp(0.0)), high * room, logarithmic=True)


def fences(values: NDArray[np.float64]) -> tuple[float, float]:
    """Between which figures all but far outliers lie: the least and the greatest value, or a round figure.

    Where half of the values are equal, none is an outlier.

    Source: Tukey, Exploratory Data Analysis (1977), outer fences.
    """
    least, first, third, most = (float(value) for value in np.quantile(values, (0, 0.25, 0.75, 1)))
    distance = _FENCE * (third - first)
    if not distance:
        return least, most
    step = nice_step(distance, 4)
    low = math.floor((first - distance) / step) * step
    high = math.ceil((third + distance) / step) * step
    return max(least, low), min(most, high)


def spread_out(positions: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """The positions moved apart as little as need be, in their order, so that labels do not touch.

    Args:
        positions: of the labels' middles, in any order.
        distance: the least between two of them.
        low: no position goes below it, while there is room.
        high: no position goes beyond it.
    """
    order = sorted(range(len(positions)), key=positions.__getitem__)
    moved = [min(max(positions[number], low), high) for number in order]
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + distance)
    limit = high
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - distance
    return [moved[order.index(number)] for number in range(len(positions))]


def day_step(days: int, most: int) -> int:
    """The smallest usual number of days that divides `days` into at most `most` parts."""
    return next((step for step in _DAYS if days <= step * most), math.ceil(days / most))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [
            value
            for power in range(first, last + 1)
            for value in (float(f"{factor}e{power}") for factor in factors)
            if low <= value <= high
        ]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def _clean(value: float) -> float:
    return float(f"{value:.12g}")
