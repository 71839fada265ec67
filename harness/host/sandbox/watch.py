"""Limits where no control group can be made: the host adds up the sandbox's processes and kills.

It looks ten times a second, so a submission can be over a limit for about that long; the report says when
limits were held in this way.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.records import Usage

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

    from harness.host.sandbox.cgroup import Limits

SECONDS_BETWEEN_LOOKS = 0.1
KILL_SECONDS = 10.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Watch:
    """A thread that watches a process and all its descendants, and ends all of them at a limit."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._usage = Usage()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-watch", daemon=True)
        self._thread.start()

    def usage(self) -> Usage:
        """What was seen so far; memory is the private and resident part, so it is a lower bound."""
        return self._usage

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN_LOOKS):
            tree = descendants(self._process.pid)
            memory = sum(_private_bytes(pid) for pid in tree)
            threads = sum(_threads(pid) for pid in tree)
            over_memory = self._limits.memory_bytes is not None and memory > self._limits.memory_bytes
            over_processes = self._limits.processes is not None and threads > self._limits.processes
            self._usage = Usage(
                cpu_seconds=max(self._usage.cpu_seconds or 0.0, sum(_cpu_seconds(pid) for pid in tree)),
                peak_memory_bytes=max(self._usage.peak_memory_bytes or 0, memory),
                out_of_memory=int(over_memory),
                processes_refused=int(over_processes),
            )
            if over_memory or over_processes:
                end_tree(self._process.pid)
                return


def descendants(pid: int) -> list[int]:
    """The process and all that it started, as far as they are still there."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            waiting += [int(child) for child in _read(children).split()]
    return found


def end_tree(pid: int, seconds: float = KILL_SECONDS) -> bool:
    """Kill a process and all that it started, and wait until they are gone; False if one would not end.

    They are stopped first, until no new one is found: whoever is not yet stopped could go on forking, and
    what a killed process leaves behind is nobody's descendant any more.
    """
    stopped: set[int] = set()
    while new := set(descendants(pid)) - stopped:
        _signal_all(new, signal.SIGSTOP)
        stopped |= new
    _signal_all(stopped, signal.SIGKILL)
    deadline = time.monotonic() + seconds
    while any(_running(each) for each in stopped):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or is not of ours any more
            os.kill(pid, number)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process ended between two looks
        return ""


def _private_bytes(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return (int(fields[1]) - int(fields[2])) * PAGE_BYTES if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the third on."""
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()


def _running(pid: int) -> bool:
    """Whether a process is there and not just waiting for its parent to take notice of its end."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def _threads(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[17]) if fields else 0


def _cpu_seconds(pid: int) -> float:
    """User and system time of the process and of its ended children."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND if fields else 0.0
