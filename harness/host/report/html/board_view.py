"""What the page of a leaderboard is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class BoardView:
    """One split of an assignment's leaderboard, in full precision; the page rounds what it shows.

    Args:
        assignment: the assignment's id.
        title: the assignment's title.
        split: ``public`` or ``private``.
        metric: the metric's name.
        direction: ``min`` or ``max``, whichever is better.
        made_at: with its time zone.
        board: a row for each student and tier, ranked and in the order of display, with the columns ``rank``
            (Int64, NA: none), ``name`` (untrusted text), ``group`` (text, may be empty), ``score`` (float64,
            of the run that counts; NaN: none), ``last`` (float64, of the last run), ``progress`` (float64,
            how much the best improved since a week before; NaN: unknown), ``runtime_seconds`` (float64),
            ``attempts`` (Int64) and ``kind`` (``submission``, or ``baseline`` for a tier, whose score is its
            threshold and whose other figures are NA).
        history: the class over time, a row a day, with the columns ``time`` (datetime64 in UTC), ``best`` and
            ``median`` (float64, of the students' best so far) and ``students`` (how many have a score by
            then); may be empty.
    """

    assignment: str
    title: str
    split: str
    metric: str
    direction: str
    made_at: datetime
    board: pd.DataFrame
    history: pd.DataFrame
