"""Numbers are written for people."""

from __future__ import annotations

import math

import pytest

from harness.host.report.figures import better, duration, figure, memory, points, significant, stopwatch


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0.000"),
        (0.43214, "0.4321"),
        (12.3, "12.30"),
        (1234.4, "1234"),
        (12345.6, "12346"),
        (123456789.0, "1.235e+08"),
        (0.000012344, "1.234e-05"),
        (-0.5, "-0.5000"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_a_figure_has_four_significant_digits(value: float | None, shown: str) -> None:
    """Losses and metrics line up and hide what is noise."""
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (math.inf, "-"),
        (0.0, "0.00 s"),
        (0.434, "0.43 s"),
        (0.999, "1.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (185.2, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7620.0, "2 h 07 min"),
    ],
)
def test_a_duration_has_its_natural_unit(seconds: float | None, shown: str) -> None:
    """Seconds, minutes or hours, without a carry such as 60.0 s."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1 << 20, "1 MiB"),
        (512 << 20, "512 MiB"),
        ((1 << 30) - 1, "1.0 GiB"),
        (3 << 29, "1.5 GiB"),
        (300 << 30, "300 GiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_memory_has_its_natural_unit(size: int | None, shown: str) -> None:
    """Bytes are written in binary units, without a carry such as 1024 MiB."""
    assert memory(size) == shown


def test_points_have_no_superfluous_zeros() -> None:
    """Points read as a teacher writes them, without the dust of binary fractions."""
    assert [points(value) for value in (7.5, 10.0, 0.0, 0.1 + 0.2, 2.25)] == ["7.5", "10", "0", "0.3", "2.25"]


def test_a_stopwatch_counts_on_past_the_hour() -> None:
    """The time that runs is shown in minutes and seconds, with hours when they come."""
    assert [stopwatch(seconds) for seconds in (7.9, 760, 3723)] == ["0:07", "12:40", "1:02:03"]


def test_rounding_keeps_what_is_not_finite() -> None:
    """Four significant digits are kept; NaN and infinity pass through."""
    assert significant(0.123456) == 0.1235
    assert significant(123456.0) == 123500.0
    assert math.isnan(significant(math.nan))


def test_the_direction_is_said_in_words() -> None:
    """Nobody has to know whether a metric is better low or high."""
    assert better("min") == "lower is better"
    assert better("max") == "higher is better"
