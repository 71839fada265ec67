"""Finds what a class handed in: the folders and archives in a folder, or what a roster names."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.intake import IGNORED
from harness.host.roster import read_roster
from harness.host.submission import ARCHIVES

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class HandedIn:
    """One submission of a class.

    Attributes:
        name: for people; no two of a class have the same.
        student: whose it is.
        path: a folder or an archive, which need not be there.
        submitted: with its time zone.
    """

    name: str
    student: str
    path: Path
    submitted: datetime


def find_handed_in(where: Path, zone: tzinfo) -> list[HandedIn]:
    """The submissions of a class.

    Args:
        where: a folder, whose folders and archives are a submission each, of the student of that name; or a
            roster, a CSV file.
        zone: of the times that the roster gives without one.

    Raises:
        UsageError: there is nothing there, the roster is wrong, or two submissions have one name.
    """
    if where.is_dir():
        found = _in_folder(where)
    elif where.is_file():
        found = _on_roster(where, zone)
    else:
        raise UsageError(f"there is no {where}", "name the folder that holds the submissions, or a roster")
    if not found:
        raise UsageError(
            f"there is no submission in {where}", "each is a folder, a .zip or a .tar.gz in that folder"
        )
    return found


def _in_folder(folder: Path) -> list[HandedIn]:
    found: dict[str, HandedIn] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            continue
        ending = next((ending for ending in ARCHIVES if path.name.lower().endswith(ending)), "")
        if not ending and not path.is_dir():
            continue
        name = os.fsencode(path.name[: len(path.name) - len(ending)]).decode("utf-8", "replace")
        if name in found:
            raise UsageError(
                f"{path} and {found[name].path} are both of {name}",
                "rename or move one of them, or list them in a roster",
            )
        found[name] = HandedIn(name, name, path, _changed(path))
    return list(found.values())


def _on_roster(file: Path, zone: tzinfo) -> list[HandedIn]:
    found, names = [], set()
    for entry in read_roster(file, zone).entries:
        if entry.submission is None:
            continue
        name = entry.student
        if name in names:
            name = f"{entry.student}: {entry.submission.name}"
        if name in names:
            name = f"{entry.student}: line {entry.line}"
        names.add(name)
        submitted = entry.submitted or _changed(entry.submission)
        found.append(HandedIn(name, entry.student, entry.submission, submitted))
    return found


def _changed(path: Path) -> datetime:
    """When an archive, or the newest file at the top of a folder, was changed; no link is followed."""
    newest = 0.0
    with suppress(OSError):
        status = path.lstat()
        newest = status.st_mtime
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                times = [entry.stat(follow_symlinks=False).st_mtime for entry in entries if _is_file(entry)]
            newest = max(times, default=newest)
    return datetime.fromtimestamp(newest, UTC)


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)
