"""Cores are promised to one grading at a time, and files are locked by one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.host import cores
from harness.host.cache import locked, try_lock
from harness.host.cores import Cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print(1, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """A machine with four cores, none busier than another; where its thread was told to run, one by one."""
    told: list[set[int]] = []
    monkeypatch.setattr(cores, "_busyness", lambda _: 0)
    monkeypatch.setattr(cores, "usable_cores", lambda: {0, 1, 2, 5})
    monkeypatch.setattr(cores, "_keep_to", told.append)
    return told


def until(condition: Callable[[], object]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def held(folder: Path) -> list[str]:
    """Names of the locks that somebody has."""
    with ExitStack() as stack:
        return sorted(path.name for path in folder.iterdir() if not try_lock(path, stack))


@pytest.mark.parametrize(("cpus", "taken"), [(0.5, 1), (1.0, 1), (1.5, 2), (4.0, 4), (64.0, 4)])
def test_as_many_cores_are_held_as_are_used(tmp_path: Path, cpus: float, taken: int) -> None:
    """A part of a core is a whole one, and nobody waits for more than the machine has."""
    with Cores(pytest.fail, tmp_path) as mine:
        reserved = mine.reserve(cpus)
        assert len(reserved) == taken
        assert reserved <= {0, 1, 2, 5}
        assert held(tmp_path) == [f"core-{number}" for number in sorted(reserved)]
        assert mine.reserve(cpus) == reserved
    assert held(tmp_path) == []


def test_more_can_be_reserved_later(tmp_path: Path) -> None:
    """Two that hold one and need three do not wait for each other: each lets go of what it has first."""
    with Cores(lambda _: None, tmp_path) as one, Cores(lambda _: None, tmp_path) as other:
        both = [one, other]
        assert [len(each.reserve(1)) for each in both] == [1, 1]
        grown: list[Cores] = []

        def grow(which: Cores) -> None:
            which.reserve(3)
            grown.append(which)

        threads = [threading.Thread(target=grow, args=(each,), daemon=True) for each in both]
        for thread in threads:
            thread.start()
        until(lambda: grown)
        grown[0].release()
        until(lambda: len(grown) == len(both))


def test_the_idlest_cores_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other users grade cannot be seen, but it can be felt."""
    monkeypatch.setattr(cores, "_busyness", {0: 90, 1: 10, 2: 70, 5: 20}.__getitem__)
    with Cores(pytest.fail, tmp_path) as mine:
        assert mine.reserve(2) == {1, 5}


def test_harness_keeps_off_the_cores_of_others(tmp_path: Path, places: list[set[int]]) -> None:
    """It runs on its own and on those that are nobody's, and at the end where it ran before."""
    with Cores(pytest.fail, tmp_path) as one, Cores(pytest.fail, tmp_path) as other:
        theirs = one.reserve(2)
        assert places == []
        other.reserve(1)
        assert places == [{0, 1, 2, 5} - theirs]
    assert places == [{0, 1, 2, 5} - theirs, {0, 1, 2, 5}]


def test_thread_and_what_it_starts_stay_on_their_cores() -> None:
    """The kernel keeps them there, and a processor that there is not changes nothing."""
    code = """
import os, subprocess, sys
from harness.host.cores import _keep_to
_keep_to({min(os.sched_getaffinity(0))})
_keep_to({100_000})
subprocess.run([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(min(os.sched_getaffinity(0)))]


def test_cores_are_let_go_when_a_grading_fails(tmp_path: Path) -> None:
    """However it ends."""
    mine = Cores(pytest.fail, tmp_path)
    mine.reserve(4)
    with pytest.raises(ZeroDivisionError), mine:
        raise ZeroDivisionError
    assert held(tmp_path) == []


def test_a_grading_waits_until_enough_cores_are_free(tmp_path: Path) -> None:
    """It says so once, goes on when the last one it needs is free, and nobody overtakes it."""
    said: list[str] = []
    order: list[str] = []

    def grading(name: str, cpus: float) -> None:
        with Cores(said.append, tmp_path) as mine:
            mine.reserve(cpus)
            order.append(name)

    with Cores(pytest.fail, tmp_path) as two, Cores(pytest.fail, tmp_path) as one:
        two.reserve(2)
        one.reserve(1)
        wide = threading.Thread(target=grading, args=("wide", 2))
        wide.start()
        until(lambda: said)
        narrow = threading.Thread(target=grading, args=("narrow", 1))
        narrow.start()
        until(lambda: len(said) == 2)
        time.sleep(3 * cores.SECONDS_BETWEEN_LOOKS)
        assert order == []
        one.release()
        wide.join(10)
        narrow.join(10)
    assert order == ["wide", "narrow"]
    assert said == ["waiting: other gradings have all 4 cores of this machine"] * 2


def test_a_killed_grading_holds_no_core(tmp_path: Path) -> None:
    """The kernel lets go of what it held."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "core-0")], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert held(tmp_path) == ["core-0"]
        other.kill()
    with Cores(pytest.fail, tmp_path) as mine:
        assert len(mine.reserve(4)) == 4


def test_without_a_folder_for_locks_nothing_is_waited_for(tmp_path: Path) -> None:
    """A home that cannot be written stops no grading, and it is said."""
    (tmp_path / "file").touch()
    said: list[str] = []
    with Cores(said.append, tmp_path / "file" / "cores") as mine:
        assert mine.reserve(1) == mine.reserve(2) == set()
        assert len(said) == 1
        assert "not waited for" in said[0]


def test_work_of_a_core_is_seen() -> None:
    """The kernel's count grows on the core that works; it counts in hundredths of a second."""
    before = cores._busy_ticks()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    after = cores._busy_ticks()
    assert set(before) >= os.sched_getaffinity(0)
    assert sum(after.values()) - sum(before.values()) >= 10


def test_lock_is_waited_for(tmp_path: Path) -> None:
    """The second holder is told, and goes on only when the first is done."""
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path / "lock", lambda: order.append("told")):
            order.append("second")

    with locked(tmp_path / "lock", pytest.fail):
        thread = threading.Thread(target=second)
        thread.start()
        until(lambda: order)
        time.sleep(0.05)
        order.append("first")
    thread.join(10)
    assert order == ["told", "first", "second"]
