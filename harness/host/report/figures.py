"""Writes numbers for people: four significant digits, seconds, bytes and points."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

SIGNIFICANT = 4
_MINUTE = 60
_HOUR = 3600
_KIBI = 1024
_WHOLE_FROM, _WHOLE_TO = 10**SIGNIFICANT, 10**7


def significant(value: float) -> float:
    """`value` rounded to four significant digits; not finite values as they are."""
    return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else value


def widened(low: float, high: float) -> tuple[float, float]:
    """Both ends moved outwards to multiples of the first digit of their distance: 42.22, 47.25 to 42, 48."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return low, high
    ends = [Decimal(str(significant(end))) for end in (low, high)]
    width = ends[1] - ends[0]
    if not width:
        return low, high
    step = Decimal(1).scaleb(width.adjusted())
    return float(ends[0].quantize(step, ROUND_FLOOR)), float(ends[1].quantize(step, ROUND_CEILING))


def figure(value: float | None) -> str:
    """A loss or a metric in four significant digits, so that columns line up; ``-`` for None."""
    if value is None:
        return "-"
    if _WHOLE_FROM <= abs(value) < _WHOLE_TO:
        return f"{value:.0f}"
    return f"{value:#.{SIGNIFICANT}g}".rstrip(".")


def points(value: float) -> str:
    """Points without superfluous zeros: 7.5, 10."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def better(direction: str) -> str:
    """Which way a metric goes, in words."""
    return {"min": "lower is better", "max": "higher is better"}.get(direction, direction)


def duration(seconds: float | None) -> str:
    """``0.43 s``, ``12.3 s``, ``3 min 05 s``, ``2 h 07 min``; ``-`` for None."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if round(seconds, 2) < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def stopwatch(seconds: float) -> str:
    """``0:07``, ``12:40``, ``1:02:03``: of constant width while it counts."""
    whole = int(seconds)
    minutes, rest = divmod(whole, _MINUTE)
    if whole < _HOUR:
        return f"{minutes}:{rest:02}"
    return f"{whole // _HOUR}:{minutes % _MINUTE:02}:{rest:02}"


def memory(size: int | None) -> str:
    """Bytes in binary units: ``512 MiB``, ``1.5 GiB``; ``-`` for None."""
    if size is None:
        return "-"
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(value) < _KIBI:
            break
        value, unit = value / _KIBI, larger
    precise = unit in {"GiB", "TiB"} and value < 100  # noqa: PLR2004  # a tenth matters below this only
    return f"{value:.1f} {unit}" if precise else f"{value:.0f} {unit}"
