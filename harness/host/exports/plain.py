"""Writes grades as a CSV for people, in which no name is a formula."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from harness.host.report.cells import cell

if TYPE_CHECKING:
    from datetime import tzinfo

TEXTS = ("student", "group", "run", "outcome", "note")
DECIMALS = 4


def to_csv(grades: pd.DataFrame, zone: tzinfo) -> str:
    """The grades as CSV with a header.

    Args:
        grades: with the columns of `grades.COLUMNS`.
        zone: of the times, which are written with their offset.
    """
    shown = grades.assign(**{name: grades[name].map(cell) for name in TEXTS})
    for name in ("points", "penalty", "final", "max_points"):
        shown[name] = grades[name].map(_figure)
    shown["submitted"] = grades["submitted"].map(lambda moment: _moment(moment, zone))
    return shown.to_csv(index=False, lineterminator="\n")


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _moment(moment: pd.Timestamp, zone: tzinfo) -> str:
    return "" if pd.isna(moment) else moment.tz_convert(zone).isoformat(timespec="seconds")
