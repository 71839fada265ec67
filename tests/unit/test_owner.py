"""A process is named so that neither its end nor another's use of its id goes unseen."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.sandbox.owner import Owner

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]


def owner_of(pid: int) -> Owner:
    """The name of a process that runs, as it would give it itself."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  one line of the kernel's
        return Owner(pid, int(file.read().rpartition(")")[2].split()[19]))


def test_this_process_is_alive() -> None:
    """A running harness is not taken for one that is gone."""
    assert Owner.of_this_process() == owner_of(os.getpid())
    assert Owner.of_this_process().alive()


def test_ended_process_is_not_alive() -> None:
    """Neither once it is gone, nor while its parent has not taken notice of its end."""
    with subprocess.Popen(SLEEP) as process:
        owner = owner_of(process.pid)
        assert owner.alive()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not owner.alive()
    assert not owner.alive()


def test_id_that_is_used_again_is_another_owner() -> None:
    """The start of a process belongs to its name."""
    mine = Owner.of_this_process()
    assert not dataclasses.replace(mine, started=mine.started - 1).alive()


def test_process_may_have_any_name() -> None:
    """Parentheses and blanks in a process's name do not shift the fields behind it."""
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b') Z 1 (2 3'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        before = owner_of(process.pid)
        assert process.stdout is not None
        process.stdout.readline()
        assert before.alive()
        process.kill()


@given(st.integers(0, 2**31), st.integers(0, 2**62))
def test_owner_is_read_as_it_was_written(pid: int, started: int) -> None:
    """A label or a folder's name gives back the owner."""
    assert Owner.parse(str(Owner(pid, started))) == Owner(pid, started)


@pytest.mark.parametrize("text", ["", "-", "1", "1-", "-1", "1-2-3", "a-1", "1-b", "1.5-2", " 1-2"])
def test_other_text_is_no_owner(text: str) -> None:
    """What something else wrote is not taken for an owner."""
    assert Owner.parse(text) is None
