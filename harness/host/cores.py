"""Keeps the processors of this machine from being promised twice, so that a run's time is its own.

Every grading reserves as many cores as its sandboxes may use, and waits while too few are free. Its sandboxes
run on these alone, and the harness itself keeps off the cores of others. A core is a file that is locked.
Gradings of one user on one machine see each other; those of other users do not, so of the cores that are free
the idlest are taken.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.host.cache import locked, try_lock, user_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_UNTOLD = 0.5  # a wait that is shorter is nobody's business


class Cores:
    """Cores that one grading has for itself; the context lets go of them.

    Args:
        note: is told if it has to wait, or if no files can be locked here and nothing is reserved.
        folder: of the locks; by default one of this user and machine.
    """

    def __init__(self, note: Callable[[str], None], folder: Path | None = None) -> None:
        self._note = note
        self._folder = folder or user_cache(f"cores-{platform.node()}")
        self._held = ExitStack()
        self._taken: frozenset[int] = frozenset()
        self._in_vain = False

    def reserve(self, cpus: float) -> frozenset[int]:
        """Have as many cores as `cpus` needs, after waiting until they are free.

        Those who wait stand in a line, so that a grading that needs many cores gets them in the end. From
        here on this thread, and what it starts, runs on these cores and on those that are nobody's.

        Args:
            cpus: processors that the sandboxes of one run may use; more than this machine has count as all.

        Returns:
            The numbers of the processors; none where nothing could be reserved.
        """
        usable = usable_cores()
        needed = min(math.ceil(cpus), len(usable))
        if len(self._taken) < needed and not self._in_vain:
            self.release()  # who held some while waiting for more could wait for ever
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._wait_for(needed, usable)
            except OSError as error:
                self.release()
                self._in_vain = True
                self._note(f"other gradings on this machine are not waited for: {error}")
        return self._taken

    def release(self) -> None:
        """Let go of all cores; a second call does nothing."""
        self._held.close()
        self._taken = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _wait_for(self, needed: int, usable: set[int]) -> None:
        text = f"waiting: other gradings have all {len(usable)} cores of this machine"
        say = functools.cache(lambda: self._note(text))
        taken: set[int] = set()
        untold_until = time.monotonic() + SECONDS_UNTOLD
        with locked(self._folder / "queue", on_wait=say, patience=SECONDS_UNTOLD):
            while True:
                for core in sorted(usable - taken, key=_busyness):
                    if len(taken) < needed and self._take(core, self._held):
                        taken.add(core)
                if len(taken) == needed:
                    break
                if time.monotonic() >= untold_until:
                    say()
                time.sleep(SECONDS_BETWEEN_LOOKS)
            with ExitStack() as looked_at:  # nobody takes a core meanwhile: the line's head is ours
                others = {core for core in usable - taken if not self._take(core, looked_at)}
        self._taken = frozenset(taken)
        if others:
            _keep_to(usable - others)
            self._held.callback(_keep_to, usable)

    def _take(self, core: int, until: ExitStack) -> bool:
        return try_lock(self._folder / f"core-{core}", until)


def usable_cores() -> set[int]:
    """Numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _keep_to(cores: set[int]) -> None:
    """Run this thread, and what it starts from now on, on these processors."""
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):  # they were taken from this process meanwhile
            os.sched_setaffinity(0, cores)


def _busy_ticks() -> dict[int, int]:
    """For each processor, how long it worked since the machine started; empty where nobody counts that."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return {}
    # user, nice, system, idle, iowait, irq, softirq, steal: what is neither idle nor waiting for a disk
    return {
        int(name.removeprefix("cpu")): sum(map(int, [*ticks[:3], *ticks[5:8]]))
        for name, *ticks in lines
        if name.startswith("cpu") and name != "cpu"
    }


_ticks_at_start = _busy_ticks()


def _busyness(core: int) -> int:
    """How much a processor worked since this process started."""
    return _busy_ticks().get(core, 0) - _ticks_at_start.get(core, 0)
