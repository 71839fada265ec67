"""Who made a sandbox: a process is named by its id and its start, since ids are used again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process of this machine, as it can be written into a label or a folder's name."""

    pid: int
    started: int

    @classmethod
    def of_this_process(cls) -> Owner:
        """The running harness."""
        return cls(os.getpid(), _start_of(os.getpid()) or 0)

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read what `str` wrote; None when it is something else."""
        pid, _, started = text.partition("-")
        return cls(int(pid), int(started)) if pid.isdecimal() and started.isdecimal() else None

    def alive(self) -> bool:
        """Whether the process still runs."""
        return _start_of(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}"


def _start_of(pid: int) -> int | None:
    """Start of a process in clock ticks since boot (field 22 of ``/proc/PID/stat``); None if it is gone.

    One that has ended and that its parent has not taken notice of yet is gone too.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(fields[18])
