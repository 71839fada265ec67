"""What a late submission loses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.host.assignment import load_assignment
from harness.host.errors import UsageError
from harness.host.late import LateSection, days_late, factor, final_points

if TYPE_CHECKING:
    from pathlib import Path

BERLIN = ZoneInfo("Europe/Berlin")
DEADLINE = datetime(2030, 3, 1, 23, 59, tzinfo=BERLIN)
POLICY = LateSection(penalty_per_day=0.1)
TOY = """
id = "toy"
title = "A toy"
task = "regression"
{deadline}
[data]
target = "count"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[points]
contract = 2
finished = 2
finite = 1
runtime = 1
[late]
{late}
"""

policies = st.builds(
    LateSection,
    grace_minutes=st.floats(0, 1440),
    penalty_per_day=st.floats(0, 1),
    max_days=st.none() | st.integers(0, 30),
)
moments = st.builds(
    datetime.fromtimestamp, st.floats(1_900_000_000, 1_930_000_000), st.sampled_from([UTC, BERLIN])
)


@pytest.mark.parametrize(
    ("after", "days"),
    [
        (timedelta(days=-3), 0),
        (timedelta(0), 0),
        (timedelta(microseconds=1), 1),
        (timedelta(days=1), 1),
        (timedelta(days=1, microseconds=1), 2),
        (timedelta(days=9.5), 10),
    ],
)
def test_a_day_counts_from_its_beginning(after: timedelta, days: int) -> None:
    """The deadline itself is in time, and what is later by a moment is a day late."""
    assert days_late(DEADLINE + after, DEADLINE) == days


def test_grace_moves_the_beginning_of_the_first_day() -> None:
    """Within the grace nothing is late, and the days count from its end."""
    policy = LateSection(grace_minutes=15, penalty_per_day=0.1)
    assert days_late(DEADLINE + timedelta(minutes=15), DEADLINE, policy) == 0
    assert days_late(DEADLINE + timedelta(minutes=16), DEADLINE, policy) == 1
    assert days_late(DEADLINE + timedelta(days=1, minutes=15), DEADLINE, policy) == 1


@pytest.mark.parametrize(
    ("deadline", "submitted", "days"),
    [
        ("2030-03-30T12:00", "2030-03-31T12:59", 1),  # set forward at 2:00: from noon to noon are 23 hours
        ("2030-03-30T12:00", "2030-03-31T13:01", 2),
        ("2030-10-26T12:00", "2030-10-27T10:59", 1),  # set back at 3:00: from noon to noon are 25 hours
        ("2030-10-26T12:00", "2030-10-27T11:01", 2),
    ],
)
def test_a_day_has_24_hours_whatever_the_clocks_do(deadline: str, submitted: str, days: int) -> None:
    """Instants are compared, not what a clock on the wall shows."""
    end, moment = (datetime.fromisoformat(each).replace(tzinfo=BERLIN) for each in (deadline, submitted))
    assert days_late(moment, end) == days


def test_an_hour_that_the_clocks_show_twice_is_two_hours() -> None:
    """Half past two for the second time is late, where the deadline was the first."""
    deadline = datetime(2030, 10, 27, 2, 30, tzinfo=BERLIN)
    assert days_late(deadline.replace(fold=1), deadline) == 1
    assert days_late(deadline, deadline.replace(fold=1)) == 0


def test_zones_do_not_matter() -> None:
    """The same instants in other zones are as late."""
    submitted = DEADLINE + timedelta(hours=30)
    taipei = ZoneInfo("Asia/Taipei")
    assert days_late(submitted.astimezone(taipei), DEADLINE.astimezone(UTC)) == 2


@pytest.mark.parametrize(
    ("days", "points"), [(-1, 10.0), (0, 10.0), (1, 9.0), (3, 7.0), (10, 0.0), (11, 0.0), (10**9, 0.0)]
)
def test_each_day_takes_the_same_share(days: int, points: float) -> None:
    """A tenth a day leaves exactly 9, 8, 7 of 10 points, and never less than none."""
    assert final_points(10.0, days, POLICY) == points
    assert factor(days, POLICY) * 10 == pytest.approx(points)


def test_after_the_last_day_nothing_counts() -> None:
    """Up to `max_days` the share is taken off; later, all is."""
    policy = LateSection(penalty_per_day=0, max_days=2)
    assert [final_points(8.0, days, policy) for days in range(4)] == [8.0, 8.0, 8.0, 0.0]
    assert final_points(8.0, 1, LateSection(penalty_per_day=0, max_days=0)) == 0.0


def test_without_a_policy_nothing_is_taken_off() -> None:
    """An assignment without the table has points as they were graded."""
    assert final_points(8.25, 40, None) == 8.25
    assert final_points(-1.0, 0, None) == 0.0


@given(moments, moments, moments, policies, st.floats(0, 1000))
def test_who_is_later_never_gets_more(
    deadline: datetime, first: datetime, second: datetime, policy: LateSection, points: float
) -> None:
    """Points fall with the time of submission, from all of them down to 0 at the least."""
    early, late = sorted((first, second), key=lambda moment: moment.timestamp())
    days = [days_late(moment, deadline, policy) for moment in (early, late)]
    shares = [factor(each, policy) for each in days]
    finals = [final_points(points, each, policy) for each in days]

    assert 0 <= days[0] <= days[1]
    assert 1 >= shares[0] >= shares[1] >= 0
    assert points >= finals[0] >= finals[1] >= 0
    assert finals[0] == pytest.approx(points * shares[0])


@given(moments, moments, policies)
def test_an_extension_never_harms(deadline: datetime, submitted: datetime, policy: LateSection) -> None:
    """Each day of extension takes one day of lateness off, where there is one."""
    extended = (deadline.astimezone(UTC) + timedelta(days=1)).astimezone(deadline.tzinfo)
    days = days_late(submitted, deadline, policy)
    assert days_late(submitted, extended, policy) == max(0, days - 1)


def assignment_with(folder: Path, late: str, deadline: str = "deadline = 2030-03-01T23:59:00+08:00") -> Path:
    """The folder of an assignment with the late table given."""
    folder = folder / "toy"
    folder.mkdir()
    (folder / "assignment.toml").write_text(TOY.format(late=late, deadline=deadline))
    return folder


def test_the_table_is_read(tmp_path: Path) -> None:
    """Its keys arrive, with the defaults of those that are not there."""
    late = load_assignment(assignment_with(tmp_path, "penalty_per_day = 0.25\nmax_days = 3")).late
    assert late == LateSection(grace_minutes=0, penalty_per_day=0.25, max_days=3)


@pytest.mark.parametrize(
    ("late", "named"),
    [
        ("penalty_per_day = 1.5", "late.penalty_per_day is 1.5, must be at most 1"),
        ("penalty_per_day = -0.1", "late.penalty_per_day is -0.1, must be at least 0"),
        ("penalty_per_day = nan", "late.penalty_per_day is nan"),
        ("max_days = 2", "late.penalty_per_day is missing"),
        ("penalty_per_day = 0.1\nmax_days = 1.5", "late.max_days is 1.5"),
        (
            "penalty_per_day = 0.1\ngrace = 5",
            "late.grace is not a known key; known are grace_minutes, max_days",
        ),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, late: str, named: str) -> None:
    """The message names the key, what was found and what is allowed."""
    with pytest.raises(UsageError) as caught:
        load_assignment(assignment_with(tmp_path, late))
    assert named in caught.value.message


def test_a_policy_needs_a_deadline(tmp_path: Path) -> None:
    """Without a deadline nothing is late, so the table is a mistake that names the key."""
    with pytest.raises(UsageError, match="deadline is missing"):
        load_assignment(assignment_with(tmp_path, "penalty_per_day = 0.1", deadline=""))


def test_a_policy_cannot_be_changed() -> None:
    """What was read stays as it was."""
    with pytest.raises(ValidationError):
        POLICY.penalty_per_day = 0.5
