"""The scales of charts: round labels, room around the values, and outliers that squash nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.report.html.scales import (
    Scale,
    day_step,
    fences,
    fitting,
    fitting_log,
    multiples,
    nice_step,
    spread_out,
)

FIGURES = st.floats(1e-6, 1e6).flatmap(lambda size: st.floats(-size, size))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (0.31, 0.36, ["0.31", "0.32", "0.33", "0.34", "0.35", "0.36"]),
        (-3, 3, ["-2", "0", "2"]),
        (900, 12_000, ["5,000", "10,000"]),
        (1e-9, 5e-9, ["1e-09", "2e-09", "3e-09", "4e-09", "5e-09"]),
    ],
)
def test_labels_are_round(low: float, high: float, labels: list[str]) -> None:
    """Labels are multiples of 1, 2 or 5 times a power of ten, with the decimals that these need."""
    assert [label for _, label in Scale(low, high).ticks(5)] == labels


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.3, 80, ["0.3", "1", "3", "10", "30"]),
        (1.5, 40, ["2", "5", "10", "20"]),
        (1e-8, 1e8, ["1e-08", "0.0001", "1", "10,000", "1e+08"]),
    ],
)
def test_a_logarithmic_scale_has_labels_within_decades(low: float, high: float, labels: list[str]) -> None:
    """Few decades are divided, and of many some are labelled."""
    assert [label for _, label in Scale(low, high, logarithmic=True).ticks(5)] == labels


@given(FIGURES, FIGURES)
def test_every_scale_can_be_labelled(first: float, second: float) -> None:
    """Whatever the values, there are some ticks, all within the scale and in order, and not too many."""
    scale = fitting([first, second])
    ticks = [value for value, _ in scale.ticks(5)]
    assert 1 <= len(ticks) <= 6
    assert all(left < right for left, right in pairwise(ticks))
    assert scale.low <= scale.high
    assert all(-0.01 <= scale.at(value) <= 1.01 for value in (first, second, *ticks))


def test_a_scale_turns_logarithmic_beyond_a_factor_of_ten() -> None:
    """As on the terminal; never where a value is not positive."""
    assert fitting_log([1, 10.1]).logarithmic
    assert not fitting_log([1, 9.9]).logarithmic
    assert not fitting_log([0, 100]).logarithmic
    assert fitting_log([1, 10_000]).between(0, 100).at(100) == pytest.approx(50)


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e150])
def test_equal_values_have_room_on_both_sides(value: float) -> None:
    """A scale of one value is no division by zero, and the value stands in the middle of it."""
    scale = fitting([value, value])
    assert scale.low <= value < scale.high
    assert 0 <= scale.at(value) < 1


def test_a_scale_of_what_is_never_negative_starts_at_zero_at_the_least() -> None:
    """The room around a runtime of 0 seconds is no negative time."""
    assert fitting([0.0, 9.0]).low == 0


def test_far_outliers_are_outside_the_fences() -> None:
    """One diverged score does not decide where all others are drawn; the fence is a round figure."""
    values = np.array([*np.linspace(40, 60, 50), 1e9])
    low, high = fences(values)
    assert (low, high) == (40, 90)


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [5.0] * 9 + [100.0], list(range(50))])
def test_without_outliers_the_fences_are_the_values_ends(values: list[float]) -> None:
    """Nothing is left out where values are few, or equal, or evenly spread."""
    assert fences(np.array(values, dtype=np.float64)) == (min(values), max(values))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_labels_are_spread_out(positions: list[float]) -> None:
    """Labels keep their order and their distance, and stay within the bounds."""
    moved = spread_out(positions, 14, 0, 100)
    in_order = [place for _, place in sorted(zip(positions, moved, strict=True))]
    assert all(right - left >= 13.99 for left, right in pairwise(sorted(moved)))
    assert sorted(in_order) == pytest.approx(in_order)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in moved)


def test_labels_with_room_stay_where_they_are() -> None:
    """Only what would touch is moved."""
    assert spread_out([80, 10], 14, 0, 100) == [80, 10]


def test_multiples_have_no_binary_dust() -> None:
    """0.1 times 3 is 0.3."""
    assert multiples(0, 0.5, 0.1) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.parametrize(("span", "most", "step"), [(10, 5, 2), (9, 9, 1), (11, 5, 5), (0.3, 10, 0.05)])
def test_steps_are_one_two_or_five(span: float, most: int, step: float) -> None:
    """The smallest such step that makes no more parts than asked for."""
    assert nice_step(span, most) == pytest.approx(step)


@pytest.mark.parametrize(("days", "step"), [(1, 1), (4, 1), (24, 7), (100, 28), (5000, 1250)])
def test_days_go_by_weeks(days: int, step: int) -> None:
    """Dates are labelled every day, every few days or every few weeks."""
    assert day_step(days, 4) == step
