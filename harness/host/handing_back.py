"""Writes what students may see of their newest runs, into a folder for each; nothing private is read."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.keeping import key_of_path
from harness.host.report.document import write_feedback

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.handed_in import HandedIn
    from harness.host.store.store import Store

FILES = ("feedback.html", "feedback.md")  # the last one says that the others are written
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9@+._-]|^\.+")
_LONGEST = 80


def hand_back(store: Store, assignment: Assignment, handed_in: Iterable[HandedIn], folder: Path) -> int:
    """Write ``feedback.html`` and ``.md`` into ``STUDENT/``, where they are not of the newest run yet.

    Args:
        store: where the runs are.
        assignment: what they are graded by.
        handed_in: whose feedback to write.
        folder: it is made.

    Returns:
        How many students have something new to read.

    Raises:
        UsageError: a folder cannot be made or written to.
    """
    graded, count = store.graded(assignment.id), 0
    for each in handed_in:
        run = graded.run_of(each.student, key_of_path(assignment, each.path), each.submitted)
        home = folder / folder_name(each.name)
        if run is None or _has(home, run):
            continue
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the folder {home} cannot be made: {error.strerror}", "name another") from error
        report = store.read(run, private=False).report
        for name in FILES:
            write_feedback(report, home / name)
        count += 1
    return count


def folder_name(name: str) -> str:
    """A name as that of a folder; where it must be altered, a digest keeps it apart from others."""
    plain = _NOT_PLAIN.sub("_", name)[:_LONGEST]
    if plain == name and plain:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def _has(home: Path, run: str) -> bool:
    """Whether the feedback there is of this run, whose id it names."""
    try:
        return run in (home / FILES[-1]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
