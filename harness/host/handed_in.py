"""Finds what a class handed in: the folders and archives in a folder, or what a roster names."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.intake import IGNORED, ignored
from harness.host.roster import read_roster
from harness.host.store.hand_ins import microseconds, moment
from harness.host.submission import ENDINGS

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

_LATEST = microseconds(datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class HandedIn:
    """One submission of a class.

    Attributes:
        name: for people; no two of a class have the same.
        student: whose it is.
        path: a folder, an archive or a notebook, which need not be there.
        submitted: with its time zone.
    """

    name: str
    student: str
    path: Path
    submitted: datetime


def find_handed_in(where: Path, zone: tzinfo) -> list[HandedIn]:
    """The submissions of a class.

    Args:
        where: a folder, whose folders, archives and notebooks are a submission each, of the student of that
            name; or a roster, a CSV file.
        zone: of the times that the roster gives without one.

    Raises:
        UsageError: there is nothing there, the roster is wrong, or two submissions have one name.
    """
    try:
        if where.is_dir():
            found = _in_folder(where)
        elif where.is_file():
            found = _on_roster(where, zone)
        else:
            raise UsageError(
                f"there is no {where}", "name the folder that holds the submissions, or a roster"
            )
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}", "make it readable") from error
    if not found:
        raise UsageError(
            f"there is no submission in {where}",
            "each is a folder, a .zip, a .tar.gz or an .ipynb in that folder",
        )
    return found


def _in_folder(folder: Path) -> list[HandedIn]:
    found: dict[str, HandedIn] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            continue
        ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
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
        for more in (entry.submission.name, f"line {entry.line}"):
            if name in names:
                name = f"{entry.student}: {more}"
        while name in names:  # somebody is called so
            name += "'"
        names.add(name)
        submitted = entry.submitted or _changed(entry.submission)
        found.append(HandedIn(name, entry.student, entry.submission, submitted))
    return found


def _changed(path: Path) -> datetime:
    """When an archive, or the newest file at the top of a folder, was changed; no link is followed."""
    newest = 0
    with suppress(OSError):
        status = path.lstat()
        newest = status.st_mtime_ns
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                files = [entry for entry in entries if _is_students(entry)]
            newest = max((file.stat(follow_symlinks=False).st_mtime_ns for file in files), default=newest)
    return moment(max(0, min(newest // 1000, _LATEST)))  # whoever packs an archive chooses the times in it


def _is_students(entry: os.DirEntry[str]) -> bool:
    """Whether it is a plain file that no tool has left there, such as what a file manager remembers."""
    return entry.is_file(follow_symlinks=False) and not ignored((entry.name,))
