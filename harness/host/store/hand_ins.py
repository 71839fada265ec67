"""Whose work a result is and when it was handed in, and what students have results for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.host.store.rows import storable

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """A moment as the store has it: microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds_: int) -> datetime:
    """What `microseconds` was made from, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds_)


@dataclass(frozen=True, slots=True)
class HandIn:
    """Whose work a result is, and what work it was.

    Attributes:
        assignment: its id.
        student: as the course names them.
        submitted: when it was handed in, with a time zone.
        key: `harness.host.identity.run_key`.
        assignment_sha256: `harness.host.identity.run_digest`.
        scored_by: `harness.host.identity.score_digest`.
    """

    assignment: str
    student: str
    submitted: datetime
    key: str
    assignment_sha256: str
    scored_by: str


class Graded:
    """What an assignment's students have results for.

    A submission has its result if it is what the student had handed in last by its time, as far as the store
    knows: who goes back to an earlier version hands it in once more, and a copy of the same files that is
    dated later is nothing new.

    Args:
        rows: student, time in microseconds, key and id of each run that no later one replaces.
    """

    def __init__(self, rows: Iterable[tuple[str, int, str, str]]) -> None:
        self._handed_in: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for student, submitted, key, run in rows:
            self._handed_in[student].append((submitted, key, run))

    def run_of(self, student: str, key: str, submitted: datetime) -> str | None:
        """The id of the run that is the result of a submission; None: it has none yet."""
        until = microseconds(submitted)
        before = [each for each in self._handed_in.get(storable(student), ()) if each[0] <= until]
        last = max((when for when, _, _ in before), default=None)
        return next((run for when, work, run in reversed(before) if (when, work) == (last, key)), None)
