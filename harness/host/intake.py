"""Collects a submission's files into memory, from a folder or member by member from an archive, under caps.

Nothing a student made is ever followed: each folder and file is opened by name under the descriptor of the
folder before it, without following links, and is looked at again once it is open.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError
from harness.host.records import MODEL
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = "config.toml"
NOTEBOOK = ".ipynb"
MAX_NOTEBOOK_BYTES = 16 << 20  # with its outputs, most of which are pictures
MAX_FILES = 200
MAX_ENTRIES = 10_000
MAX_DEPTH = 8
MAX_NAME_BYTES = 255
LISTED = 5
CHUNK = 1 << 20
READ = (
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
)  # a FIFO must not block the open
IGNORED = frozenset({"__pycache__", "__MACOSX", "Thumbs.db", "desktop.ini"})
_SPECIAL = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def ignored(parts: tuple[str, ...]) -> bool:
    """Whether a path is of the kind that tools leave behind: hidden, or a cache; it is not even looked at."""
    return any(part.startswith(".") or part in IGNORED for part in parts) or parts[-1].endswith(".pyc")


def taken(parts: tuple[str, ...]) -> bool:
    """Whether a file belongs to a submission: Python files anywhere, and ``config.toml`` at the top.

    Everything else (data, weights, pictures, texts) is left out: training starts from the data of the
    assignment and from fresh weights.
    """
    return parts[-1].endswith(".py") or parts == (CONFIG,)


def refuse_special(name: str, mode: int) -> None:
    """Refuse what is no regular file.

    Raises:
        InvalidSubmissionError: `mode` is that of a link, a pipe, a socket or a device.
    """
    if not stat.S_ISREG(mode):
        kind = _SPECIAL.get(stat.S_IFMT(mode), "no regular file")
        raise InvalidSubmissionError(f"{quoted(name)} is {kind}", "hand in plain files and folders only")


@dataclass(slots=True)
class Intake:
    """What was collected so far, and the caps that it is under.

    Attributes:
        max_bytes: the most that all files taken may have together.
        files: path with forward slashes, to content.
        left_out: paths of the files that are no part of a submission.
        notebook: name and content, cut off one byte over `MAX_NOTEBOOK_BYTES`, of the one that stands for
            the files that are not there; None: there is none, or no need for it.
    """

    max_bytes: int
    files: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notebook: tuple[str, bytes] | None = None
    _spellings: dict[str, str] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)
    _entries: int = 0

    @property
    def room(self) -> int:
        """How many bytes may still be added."""
        return self.max_bytes - sum(map(len, self.files.values()))

    def wanted_notebook(self) -> str | None:
        """The name of the notebook at the top, if all files were met and there is no `MODEL`; else None.

        Raises:
            InvalidSubmissionError: there are several.
        """
        if MODEL in self.files:
            return None
        found = [path for path in self.left_out if "/" not in path and path.lower().endswith(NOTEBOOK)]
        if len(found) > 1:
            names = ", ".join(map(quoted, found[:LISTED]))
            more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
            raise InvalidSubmissionError(
                f"there is no {MODEL}, and there are {len(found)} notebooks: {names}{more}",
                "hand in the one that counts",
            )
        return found[0] if found else None

    def check(self, parts: tuple[str, ...]) -> None:
        """Check one path's form, count it, and compare it with those before.

        Raises:
            InvalidSubmissionError: it is odd, too deep, one too many, or a twin of another but for its case.
        """
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise InvalidSubmissionError(
                f"there are more than {MAX_ENTRIES} files and folders",
                "hand in your own code only, without data or a virtual environment",
            )
        if len(parts) > MAX_DEPTH:
            raise InvalidSubmissionError(
                f"{quoted('/'.join(parts))} lies deeper than {MAX_DEPTH} folders",
                "use fewer folders inside each other",
            )
        for part in parts:
            _check_name(part)
        for depth in range(1, len(parts) + 1):
            self._check_spelling("/".join(parts[:depth]))

    def _check_spelling(self, path: str) -> None:
        spelling = unicodedata.normalize("NFC", path).casefold()
        if (other := self._spellings.setdefault(spelling, path)) != path:
            raise InvalidSubmissionError(
                f"{quoted(other)} and {quoted(path)} differ only in how they are spelled",
                "rename one: many file systems take them for the same",
            )

    def add(self, parts: tuple[str, ...], content: bytes) -> None:
        """Take a file; `content` may be cut off one byte over the room that is left.

        Raises:
            InvalidSubmissionError: it is a file or a byte too many, or was there before.
        """
        path = "/".join(parts)
        folders = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if path in self.files or path in self._folders or folders & self.files.keys():
            raise InvalidSubmissionError(f"{quoted(path)} is there twice", "pack the archive anew")
        if len(self.files) >= MAX_FILES:
            raise InvalidSubmissionError(
                f"there are more than {MAX_FILES} Python files",
                "hand in your own code only, no installed packages",
            )
        if len(content) > self.room:
            sizes = {path: len(content)} | {name: len(each) for name, each in self.files.items()}
            largest = max(sizes, key=lambda name: sizes[name])
            raise InvalidSubmissionError(
                f"the files have over the {self.max_bytes} bytes allowed; the largest is {quoted(largest)}",
                "leave out what the model does not need",
            )
        self.files[path] = content
        self._folders |= folders


def _check_name(name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidSubmissionError(
            f"the name {quoted(name)} is not valid UTF-8", "rename the file"
        ) from None
    if size > MAX_NAME_BYTES:
        raise InvalidSubmissionError(
            f"the name {quoted(name)} is longer than {MAX_NAME_BYTES} bytes", "shorten it"
        )
    # Category C: control and format characters, among them those that turn the direction of text.
    if name in {"", ".", ".."} or "\\" in name or any(unicodedata.category(each)[0] == "C" for each in name):
        raise InvalidSubmissionError(
            f"{quoted(name)} is no name for a file in a submission",
            "rename it with letters, digits, - and _ only",
        )


def member_parts(path: str) -> tuple[str, ...]:
    """Split an archive member's path.

    Raises:
        InvalidSubmissionError: it is absolute or leads out of the archive.
    """
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or (parts and len(parts[0]) > 1 and parts[0][1] == ":"):
        raise InvalidSubmissionError(
            f"the archive's member {quoted(path)} leads out of it",
            "pack the archive anew, from inside the folder",
        )
    return parts


def open_unfollowed(path: Path, flags: int = 0) -> int:
    """Open what was named on the command line, without following it if it is a link itself.

    Raises:
        InvalidSubmissionError: it is a link, or may not be read.
    """
    try:
        return os.open(path, READ | flags)
    except OSError as error:
        if path.is_symlink():
            raise InvalidSubmissionError(
                f"{quoted(path.name)} is a symbolic link", "name the folder or archive that it leads to"
            ) from None
        raise InvalidSubmissionError(
            f"{quoted(path.name)} cannot be opened: {error.strerror}", "make it readable"
        ) from None


def read_named(path: Path, max_bytes: int) -> bytes:
    """Read a file that was named on the command line, without following it, up to one byte over a cap.

    Raises:
        InvalidSubmissionError: it is no plain file, or cannot be read.
    """
    descriptor = open_unfollowed(path)
    with os.fdopen(descriptor, "rb") as file:
        refuse_special(path.name, os.fstat(descriptor).st_mode)
        return file.read(max_bytes + 1)


def read_folder(path: Path, intake: Intake) -> None:
    """Read a folder into `intake`.

    Raises:
        InvalidSubmissionError: something in it is no plain file or folder, cannot be read, or is over a cap.
    """
    folder = open_unfollowed(path, os.O_DIRECTORY)
    try:
        _read_folder(folder, (), intake)
        if name := intake.wanted_notebook():
            with _told((name,)):
                intake.notebook = name, _read_file(folder, (name,), MAX_NOTEBOOK_BYTES)
    finally:
        os.close(folder)


def _read_folder(folder: int, above: tuple[str, ...], intake: Intake) -> None:
    for name, mode in _entries(folder, intake):
        parts = (*above, name)
        if ignored(parts):
            continue
        intake.check(parts)
        with _told(parts):
            if stat.S_ISDIR(mode):
                inner = os.open(name, READ | os.O_DIRECTORY, dir_fd=folder)
                try:
                    _read_folder(inner, parts, intake)
                finally:
                    os.close(inner)
                continue
            refuse_special("/".join(parts), mode)
            if taken(parts):
                intake.add(parts, _read_file(folder, parts, intake.room))
            else:
                intake.left_out.append("/".join(parts))


@contextmanager
def _told(parts: tuple[str, ...]) -> Iterator[None]:
    """Refuse a submission with a file or folder that the system does not let through."""
    try:
        yield
    except OSError as error:
        raise InvalidSubmissionError(
            f"{quoted('/'.join(parts))} cannot be read: {error.strerror}", "make it a readable plain file"
        ) from None


def _entries(folder: int, intake: Intake) -> list[tuple[str, int]]:
    """Names and modes, sorted, so that the same folder meets the same cap first on every machine."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            found.append((entry.name, entry.stat(follow_symlinks=False).st_mode))
            if len(found) > MAX_ENTRIES:
                intake.check((entry.name,))
                break
    return sorted(found)


def _read_file(folder: int, parts: tuple[str, ...], max_bytes: int) -> bytes:
    """A file's content, up to one byte over a cap."""
    descriptor = os.open(parts[-1], READ, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        refuse_special("/".join(parts), status.st_mode)
        if status.st_nlink > 1:
            # The other name may be a host file that the student could never read: whoever unpacks
            # submissions often can, and then its owner tells nothing. Honest hard links are rare.
            raise InvalidSubmissionError(
                f"{quoted('/'.join(parts))} is a hard link: the file has {status.st_nlink} names",
                "hand in a copy of the file",
            )
        return file.read(max_bytes + 1)
