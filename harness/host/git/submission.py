"""Brings what a commit holds into the form of an archive, so that the one door for archives judges it.

No file of a repository is ever written under its own name: it goes from git's objects into an archive in
memory. A link stays a link in there, a submodule an empty folder, a file that is too large one byte too many,
and what is no part of a submission a name without content; so a repository is refused in the same words as an
archive or a folder would be.
"""

from __future__ import annotations

import io
import stat
import zipfile
from typing import TYPE_CHECKING

from harness.host.errors import RepositoryError
from harness.host.git.objects import FILES, LINK, SUBMODULE, TREE
from harness.host.intake import (
    MAX_DEPTH,
    MAX_ENTRIES,
    MAX_NOTEBOOK_BYTES,
    NOTEBOOK,
    ignored,
    taken,
)
from harness.host.records import MODEL
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.git.objects import Entry, Objects

LARGEST_FOLDER = 4 << 20  # bytes of its listing
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_FILE = stat.S_IFREG | 0o644
_LINK = stat.S_IFLNK | 0o777
_FOLDER = stat.S_IFDIR | 0o755


def archive_of(
    objects: Objects, tree: str, folder: tuple[str, ...], max_bytes: int, *, partly: bool
) -> bytes | None:
    """A submission as a .zip for `load_submission`.

    Args:
        objects: of the repository.
        tree: the id of a commit's tree.
        folder: of the submission in it.
        max_bytes: that its files may have together.
        partly: whether larger files were not fetched; otherwise one that is not there was lost.

    Returns:
        None where a notebook stands for the submission, and is larger than what was fetched.

    Raises:
        RepositoryError: the folder is not there, or something cannot be read.
    """
    for name in folder:
        inner = [each for each in objects.entries(tree, LARGEST_FOLDER) if each.name == name]
        if not inner or inner[0].mode != TREE:
            raise RepositoryError(f"there is no folder {quoted('/'.join(folder))} in it")
        tree = inner[0].oid
    members = list(_members(objects, tree))
    notebook = _wanted_notebook(members)
    packed, room = io.BytesIO(), max_bytes
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for parts, entry in members:
            content = b""
            if entry.mode in FILES and (taken(parts) or parts == notebook):
                if objects.size(entry.oid) is None and not partly:
                    raise RepositoryError(f"its object {entry.oid} is not there")
                if parts == notebook:
                    if objects.size(entry.oid) is None:
                        return None
                    content = _content(objects, entry, MAX_NOTEBOOK_BYTES)
                elif room >= 0:
                    content = _content(objects, entry, room, max_bytes)
                    room -= len(content)
            _add(archive, parts, entry.mode, content)
    return packed.getvalue()


def _content(objects: Objects, entry: Entry, room: int, cap: int | None = None) -> bytes:
    """A file's content, or so many bytes that it is over the cap."""
    content = objects.content(entry.oid, "blob", room)
    return bytes((room if cap is None else cap) + 1) if content is None else content


def _wanted_notebook(members: list[tuple[tuple[str, ...], Entry]]) -> tuple[str, ...] | None:
    """The notebook that the door would read, since there is no model at the top; a lone folder is no top."""
    wrapped = len({parts[0] for parts, _ in members}) == 1 and all(
        len(parts) > 1 or entry.mode == TREE for parts, entry in members
    )
    top = [parts for parts, entry in members if len(parts) == 1 + wrapped and entry.mode in FILES]
    notebooks = [parts for parts in top if parts[-1].lower().endswith(NOTEBOOK)]
    return notebooks[0] if len(notebooks) == 1 and MODEL not in {parts[-1] for parts in top} else None


def _members(objects: Objects, tree: str) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """All that is not ignored, as far as the caps on number and depth, and one more."""
    waiting: list[tuple[tuple[str, ...], str]] = [((), tree)]
    count = 0
    while waiting:
        above, oid = waiting.pop()
        for entry in objects.entries(oid, LARGEST_FOLDER):
            parts = (*above, entry.name)
            if ignored(parts):
                continue
            yield parts, entry
            count += 1
            if count > MAX_ENTRIES:
                return
            if entry.mode == TREE and len(parts) <= MAX_DEPTH:
                waiting.append((parts, entry.oid))


def _add(archive: zipfile.ZipFile, parts: tuple[str, ...], mode: int, content: bytes) -> None:
    # What is no UTF-8 gets a backslash, with which no name is taken.
    path = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    kind = {LINK: _LINK, TREE: _FOLDER, SUBMODULE: _FOLDER}.get(mode, _FILE)
    member = zipfile.ZipInfo(path, _LONG_AGO)
    member.filename = f"{path}/" if kind == _FOLDER else path  # the class would cut a name at a NUL
    member.external_attr = kind << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    if member.filename not in archive.NameToInfo:  # or it has a backslash, and so has the other
        archive.writestr(member, content)
