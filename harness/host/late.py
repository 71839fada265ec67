"""What a late submission loses: the ``[late]`` table of an assignment, and the arithmetic behind it.

With days = the days begun after deadline, extension and grace (0 if it was in time),

    final = points * max(0, 1 - penalty_per_day * days)        and 0 where days > max_days
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

DAY = timedelta(days=1)


class LateSection(BaseModel):
    """The ``[late]`` table.

    Attributes:
        grace_minutes: how long after the deadline a submission is still in time.
        penalty_per_day: the share of the points taken off for each day begun.
        max_days: a submission that is later than this counts 0 points; None: there is no such end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    grace_minutes: Annotated[float, Field(ge=0, le=1440, allow_inf_nan=False)] = 0.0
    penalty_per_day: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    max_days: Annotated[int, Field(ge=0)] | None = None


def days_late(submitted: datetime, deadline: datetime, policy: LateSection | None = None) -> int:
    """How many days have begun since the deadline, each of 24 hours; 0 at the deadline itself and before.

    Args:
        submitted: with its time zone.
        deadline: with its time zone and any extension in it.
        policy: for the grace; None: there is none.
    """
    grace = timedelta(minutes=policy.grace_minutes if policy else 0)
    # In UTC: two times of one zone would be compared by the clock on the wall, which is set back and forward.
    over = submitted.astimezone(UTC) - deadline.astimezone(UTC) - grace
    return max(0, -(-over // DAY))


def factor(days: int, policy: LateSection | None) -> float:
    """The share of the points that is left, from 1 (in time, or no policy) down to 0."""
    return float(_factor(days, policy))


def final_points(points: float, days: int, policy: LateSection | None) -> float:
    """The points that count, never under 0.

    Args:
        points: as they were graded, finite.
        days: what `days_late` says.
        policy: None: nothing is taken off.
    """
    # Decimals, so that 10 points less 3 times 0.1 of them are the 7 that a teacher works out.
    return float(max(Decimal(0), Decimal(repr(float(points))) * _factor(days, policy)))


def _factor(days: int, policy: LateSection | None) -> Decimal:
    if policy is None or days <= 0:
        return Decimal(1)
    if policy.max_days is not None and days > policy.max_days:
        return Decimal(0)
    return max(Decimal(0), 1 - Decimal(repr(policy.penalty_per_day)) * days)
