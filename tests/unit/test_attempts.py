"""Attempts a day are capped, and what was our fault costs none."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from harness.host.attempts import Attempts, AttemptsUsedError, zone_of_days
from harness.host.errors import MachineError
from harness.protocol import Outcome

if TYPE_CHECKING:
    from pathlib import Path

HW = "hw1-bikes"
ME = "team-a"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TAIPEI = timezone(timedelta(hours=8))
BEGIN_AND_WAIT = f"""
import sys
from datetime import datetime
from pathlib import Path
from harness.host.attempts import Attempts
attempt = Attempts(Path(sys.argv[1])).begin("{HW}", "{ME}", datetime.fromisoformat("{NOON.isoformat()}"), 3)
print(attempt, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Attempts:
    """An empty ledger, in a folder that did not exist."""
    return Attempts(tmp_path / "build" / "attempts.sqlite")


def attempt(ledger: Attempts, outcome: Outcome | None, *, now: datetime = NOON) -> None:
    """One whole attempt of `ME`."""
    ledger.finish(ledger.begin(HW, ME, now, 3), outcome)


def test_a_day_has_as_many_attempts_as_the_assignment_says(ledger: Attempts) -> None:
    """Each attempt that ended with an outcome costs one, and none is left at the cap."""
    assert ledger.left(HW, ME, NOON, 3) == 3
    for left, outcome in ((2, Outcome.OK), (1, Outcome.RUNTIME_ERROR), (0, Outcome.INVALID_SUBMISSION)):
        attempt(ledger, outcome)
        assert ledger.left(HW, ME, NOON, 3) == left
    with pytest.raises(AttemptsUsedError, match=r"'team-a' has used the 3 attempts of 2026-03-02") as refused:
        ledger.begin(HW, ME, NOON, 3)
    assert refused.value.fix == "the next attempt is possible from 2026-03-03 00:00 UTC"
    assert refused.value.next_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert refused.value.exit_status == 2


def test_a_lowered_cap_leaves_none(ledger: Attempts) -> None:
    """What was begun under a higher cap does not make a negative number."""
    attempt(ledger, Outcome.OK)
    attempt(ledger, Outcome.OK)
    assert ledger.left(HW, ME, NOON, 1) == 0


def test_our_fault_costs_nothing(ledger: Attempts) -> None:
    """Any number of attempts that the machine broke leave the day's number as it was."""
    for _ in range(5):
        attempt(ledger, None)
    assert ledger.left(HW, ME, NOON, 3) == 3


def test_the_last_word_on_an_attempt_counts(ledger: Attempts) -> None:
    """An attempt whose fault turned out to be ours later is given back."""
    taken = ledger.begin(HW, ME, NOON, 1)
    ledger.finish(taken, Outcome.OK)
    assert ledger.left(HW, ME, NOON, 1) == 0
    ledger.finish(taken, None)
    assert ledger.left(HW, ME, NOON, 1) == 1


def test_attempts_are_counted_for_each_student_and_assignment(ledger: Attempts) -> None:
    """Nobody uses up another's attempts, nor those of another assignment."""
    attempt(ledger, Outcome.OK)
    assert [ledger.left(*who, NOON, 3) for who in ((HW, ME), (HW, "team-b"), ("hw2", ME))] == [2, 3, 3]


@pytest.mark.parametrize("name", ["", "學生", "a\x00b", "\udce9", "' OR 1=1 --", "%", "x" * 5000], ids=ascii)
def test_a_student_may_have_any_name(ledger: Attempts, name: str) -> None:
    """Each name has its own count, whatever its characters would mean to a database."""
    ledger.finish(ledger.begin(HW, name, NOON, 1), Outcome.OK)
    assert ledger.left(HW, name, NOON, 1) == 0
    assert ledger.left(HW, ME, NOON, 1) == 1


def test_a_running_attempt_counts(ledger: Attempts) -> None:
    """Two at once cannot pass the cap together."""
    running = ledger.begin(HW, ME, NOON, 1)
    with pytest.raises(AttemptsUsedError, match="those that still run included"):
        ledger.begin(HW, ME, NOON, 1)
    ledger.finish(running, None)
    assert ledger.left(HW, ME, NOON, 1) == 1


def test_the_cap_holds_against_a_rush(tmp_path: Path) -> None:
    """Of many that open the ledger and begin at the same moment, as many get in as the cap says."""

    def begins(_: int) -> bool:
        try:
            Attempts(tmp_path / "attempts.sqlite").begin(HW, ME, NOON, 3)
        except AttemptsUsedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begins, range(16))) == 3


def test_a_killed_harness_costs_nothing(tmp_path: Path) -> None:
    """An attempt of another process counts while that runs, and no longer once it was killed."""
    path = tmp_path / "attempts.sqlite"
    ledger = Attempts(path)
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN_AND_WAIT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline().strip() == b"1"
        assert ledger.left(HW, ME, NOON, 3) == 2
        harness.kill()
        harness.wait()
        assert ledger.left(HW, ME, NOON, 3) == 3


def test_a_finished_attempt_outlives_its_harness(tmp_path: Path) -> None:
    """What was finished still costs when another process looks, after the one that graded is gone."""
    script = BEGIN_AND_WAIT.replace("sys.stdin.read()", "")
    path = tmp_path / "attempts.sqlite"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True)
    Attempts(path).finish(int(done.stdout), Outcome.OK)
    assert Attempts(path).left(HW, ME, NOON, 3) == 2


@pytest.mark.parametrize(("zone", "hours"), [(UTC, 24), (TAIPEI, 16)], ids=str)
def test_a_day_ends_at_the_deadlines_midnight(ledger: Attempts, zone: timezone, hours: int) -> None:
    """The cap is new at midnight where the deadline is, a second before it is not."""
    end = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hours)
    last, first = ((end - timedelta(seconds=late)).astimezone(zone) for late in (1, 0))
    attempt(ledger, Outcome.OK, now=last)
    assert ledger.left(HW, ME, last, 1) == 0
    assert ledger.left(HW, ME, first, 1) == 1
    with pytest.raises(AttemptsUsedError) as refused:
        ledger.begin(HW, ME, last, 1)
    assert refused.value.next_at == end


def test_the_zone_is_the_deadlines() -> None:
    """Without a deadline a day is one of UTC."""
    assert zone_of_days(datetime(2026, 3, 9, 23, 59, tzinfo=TAIPEI)) is TAIPEI
    assert zone_of_days(None) is UTC


def test_nothing_is_ever_changed_in_the_ledger(ledger: Attempts, tmp_path: Path) -> None:
    """Rows are added only, and readers do not wait for a writer."""
    attempt(ledger, Outcome.OK)
    attempt(ledger, None)
    with sqlite3.connect(tmp_path / "build" / "attempts.sqlite") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT attempt, outcome FROM endings").fetchall() == [(1, "ok"), (2, None)]
        assert database.execute("SELECT count(*) FROM attempts").fetchone() == (2,)
    database.close()


def test_a_file_that_is_no_ledger_is_the_machines_fault(tmp_path: Path) -> None:
    """What cannot be counted is not graded: the fault names the file and what to do, with exit status 3."""
    path = tmp_path / "attempts.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(MachineError, match=r"attempts\.sqlite: file is not a database") as fault:
        Attempts(path)
    assert "move it away" in fault.value.fix
    assert path.read_bytes() == b"this is no database" * 100


def test_a_folder_that_cannot_be_made_is_the_machines_fault(tmp_path: Path) -> None:
    """A file in the folder's place is told as such."""
    (tmp_path / "build").write_text("", encoding="utf-8")
    with pytest.raises(MachineError, match="cannot be counted"):
        Attempts(tmp_path / "build" / "attempts.sqlite")


def test_a_course_that_caps_nothing_does_not_load_the_database() -> None:
    """Importing the command and the grading leaves SQLAlchemy alone."""
    script = "import sys, harness.host.cli, harness.host.grading; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)
