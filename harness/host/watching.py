"""Notices when a submission changes, for a student who edits and wants to see what came of it."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.04
SHARE_OF_LOOKING = 0.1  # of the time, at most: a folder of many files takes long to look at
MOST_FILES = 2_000  # a submission has fewer, so no more of a folder is looked at

State = frozenset[tuple[str, int, int, int]]


def state_of(submission: Path) -> State:
    """Names, sizes, times and inodes of a submission's files; empty where there is nothing to see."""
    found: list[tuple[str, int, int, int]] = []
    _look(submission.resolve(), found)
    return frozenset(found)


def _look(path: Path, found: list[tuple[str, int, int, int]]) -> None:
    try:
        status = path.lstat()
        found.append((str(path), status.st_size, status.st_mtime_ns, status.st_ino))
        entries = sorted(path.iterdir()) if stat.S_ISDIR(status.st_mode) else []
    except OSError:  # it went away meanwhile
        return
    for entry in entries:
        if len(found) < MOST_FILES:
            _look(entry, found)


def wait_for_change(submission: Path, before: State) -> State:
    """Wait until a submission is another one than before, and stays so for a moment.

    Editors write a file in more than one step, and what is half written is nobody's submission.

    Args:
        submission: a folder or archive; while it is missing, it has not changed.
        before: its state when it was graded.

    Returns:
        Its state now.
    """
    last, took = before, 0.0
    while True:
        time.sleep(max(SECONDS_BETWEEN_LOOKS, took / SHARE_OF_LOOKING))
        started = time.monotonic()
        now = state_of(submission)
        took = time.monotonic() - started
        if now and now == last != before:
            return now
        last = now or before
