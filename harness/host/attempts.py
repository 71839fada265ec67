"""Counts a student's attempts a day, where an assignment caps them, in a ledger that is only appended to.

The ledger belongs to one machine. An attempt costs nothing where the fault was ours: it was finished without
an outcome, or its harness is gone and never finished it. One that still runs counts, so that two at once
cannot pass the cap together.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from sqlalchemy import (
    URL,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
)

from harness.host.errors import UsageError
from harness.host.sandbox.owner import Owner
from harness.host.store.database import Database
from harness.host.store.rows import storable

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from harness.protocol import Outcome

FILE = "results/attempts.sqlite"  # under the course's root

_METADATA = MetaData()
_ATTEMPTS = Table(
    "attempts",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("assignment", String, nullable=False, index=True),
    Column("student", String, nullable=False),
    Column("began", Float, nullable=False),  # seconds since 1970
    Column("owner", String, nullable=False),
)
_ENDINGS = Table(
    "endings",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("attempt", Integer, ForeignKey(_ATTEMPTS.c.id), nullable=False, index=True),
    Column("outcome", String),  # null: the fault was ours
)


class AttemptsUsedError(UsageError):
    """The student has no attempt left today; `next_at` is when there is one again at the latest."""

    def __init__(self, message: str, fix: str, next_at: datetime) -> None:
        super().__init__(message, fix)
        self.next_at = next_at


class Attempts:
    """The ledger in a file, which is made where there is none.

    A day is one of the time zone that `now` carries (see `zone_of_days`).

    Args:
        path: of the SQLite database.

    Raises:
        MachineError: the file cannot be written or is no ledger.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(
            URL.create("sqlite", database=str(path)), "the attempts cannot be counted in"
        )
        with suppress(OSError):  # which the database says better
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._database.writing() as connection:
            _METADATA.create_all(connection)

    def left(self, assignment_id: str, student: str, now: datetime, per_day: int) -> int:
        """How many attempts may still begin on the day of `now`, never under 0.

        Args:
            assignment_id: the attempts of each assignment are counted apart.
            student: whose attempts, as the course names them.
            now: with its time zone.
            per_day: the cap.

        Raises:
            MachineError: the ledger cannot be read.
        """
        with self._database.writing() as connection:
            return max(0, per_day - _used(connection, assignment_id, student, now))

    def begin(self, assignment_id: str, student: str, now: datetime, per_day: int) -> int:
        """Take one of the day's attempts; the arguments are those of `left`.

        Returns:
            The attempt, for `finish`.

        Raises:
            AttemptsUsedError: there is none left.
            MachineError: the ledger cannot be written.
        """
        with self._database.writing() as connection:
            if _used(connection, assignment_id, student, now) >= per_day:
                raise _refusal(assignment_id, student, now, per_day)
            row = {
                "assignment": assignment_id,
                "student": storable(student),
                "began": now.timestamp(),
                "owner": str(Owner.of_this_process()),
            }
            return int(connection.execute(insert(_ATTEMPTS).returning(_ATTEMPTS.c.id), row).scalar_one())

    def finish(self, attempt: int, outcome: Outcome | None) -> None:
        """End an attempt, before anything of its result is shown.

        Args:
            attempt: what `begin` returned; if it was finished before, the last word counts.
            outcome: None where the fault was ours, so that it costs nothing.

        Raises:
            MachineError: the ledger cannot be written.
        """
        row = {"attempt": attempt, "outcome": None if outcome is None else outcome.value}
        with self._database.writing() as connection:
            connection.execute(insert(_ENDINGS), row)


def zone_of_days(deadline: datetime | None) -> tzinfo:
    """The time zone whose midnight begins a day: the deadline's, or UTC where there is none."""
    return UTC if deadline is None or deadline.tzinfo is None else deadline.tzinfo


def _day(now: datetime) -> tuple[datetime, datetime]:
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + timedelta(days=1)


def _used(connection: Connection, assignment_id: str, student: str, now: datetime) -> int:
    """The attempts of the day that ended with an outcome, or still run."""
    start, end = _day(now)
    query = (
        select(_ATTEMPTS.c.id, _ATTEMPTS.c.owner, _ENDINGS.c.attempt, _ENDINGS.c.outcome)
        .select_from(_ATTEMPTS.outerjoin(_ENDINGS))
        .where(
            _ATTEMPTS.c.assignment == assignment_id,
            _ATTEMPTS.c.student == storable(student),
            _ATTEMPTS.c.began >= start.timestamp(),
            _ATTEMPTS.c.began < end.timestamp(),
        )
        .order_by(_ENDINGS.c.id)
    )
    last = {row.id: row for row in connection.execute(query)}
    return sum(_runs(row.owner) if row.attempt is None else row.outcome is not None for row in last.values())


def _runs(owner: str) -> bool:
    process = Owner.parse(owner)
    return process is not None and process.alive()


def _refusal(assignment_id: str, student: str, now: datetime, per_day: int) -> AttemptsUsedError:
    start, end = _day(now)
    of_day = f"{per_day} {'attempt' if per_day == 1 else 'attempts'} of {start:%Y-%m-%d}"
    return AttemptsUsedError(
        f"{student!r} has used the {of_day} for {assignment_id}, those that still run included",
        f"the next attempt is possible from {end:%Y-%m-%d %H:%M %Z}",
        end,
    )
