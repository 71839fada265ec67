"""Reads objects out of a repository of ours, one after the other, through ``git cat-file``."""

from __future__ import annotations

import re
import subprocess
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from harness.host.errors import RepositoryError
from harness.host.git.command import end

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from harness.host.git.command import Git

OID = re.compile(r"[0-9a-f]{40}")
OID_BYTES = 20
LONGEST_HEADER = 200
LONGEST_NAME = 4096  # bytes; what is too long for a submission is judged later
TREE, LINK, SUBMODULE = 0o040000, 0o120000, 0o160000
FILES = frozenset({0o100644, 0o100755, 0o100664})
FOUND_NOWHERE = "no part of a repository is called so"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a folder.

    Attributes:
        mode: of `TREE`, `LINK`, `SUBMODULE` and `FILES`.
        name: as it is, also where it is no UTF-8: then with surrogate escapes.
        oid: of its object.
    """

    mode: int
    name: str
    oid: str


class Objects:
    """The objects of a repository; nothing is fetched for them.

    Args:
        git: runs what reads them.
        folder: of the repository.
        seconds: for all that is read, after which reading fails.
    """

    def __init__(self, git: Git, folder: Path, seconds: float) -> None:
        self._git, self._folder, self._seconds = git, folder, seconds
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._sizes, self._contents = (
                self._started(option, stack) for option in ("--batch-check", "--batch")
            )
            timer = threading.Timer(self._seconds, self._end)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def size(self, oid: str) -> tuple[str, int] | None:
        """An object's kind and size in bytes; None: it is not here.

        Raises:
            RepositoryError: it is damaged, or reading took too long.
        """
        return _header(self._asked(self._sizes, oid), oid)

    def content(self, oid: str, kind: str, most: int) -> bytes | None:
        """An object's content.

        Args:
            oid: its id.
            kind: what it must be: ``blob``, ``tree`` or ``commit``.
            most: bytes.

        Returns:
            None where it is not here, or larger than that.

        Raises:
            RepositoryError: it is something else or damaged, or reading took too long.
        """
        known = self.size(oid)
        if known is None or known[1] > most:
            return None
        if known[0] != kind:
            raise RepositoryError(f"its object {oid} is no {kind}")
        asked = self._asked(self._contents, oid)
        stdout = self._contents.stdout
        if _header(asked, oid) != known or stdout is None:
            raise RepositoryError(f"its object {oid} cannot be read")
        content = stdout.read(known[1] + 1)  # and a line feed
        if len(content) != known[1] + 1:
            raise RepositoryError(f"its object {oid} cannot be read")
        return content[:-1]

    def entries(self, oid: str, most: int) -> list[Entry]:
        """The lines of a folder, in its order.

        Args:
            oid: of a tree.
            most: bytes of it.

        Raises:
            RepositoryError: it is too large, or not as git makes one.
        """
        content = self.content(oid, "tree", most)
        if content is None:
            raise RepositoryError("it has a folder with more entries than can be read")
        found, start = [], 0
        while start < len(content):
            behind = content.find(b"\0", start) + 1
            mode, _, name = content[start : max(start, behind - 1)].partition(b" ")
            found.append(_entry(mode, name, content[behind : behind + OID_BYTES]))
            start = behind + OID_BYTES
        if len({each.name for each in found}) < len(found):
            raise RepositoryError(f"it has two entries of one name: {FOUND_NOWHERE}")
        return found

    def _started(self, option: str, stack: ExitStack) -> subprocess.Popen[bytes]:
        process = self._git.start(
            self._folder, ["cat-file", option], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.callback(end, process)
        return process

    def _end(self) -> None:
        for process in (self._sizes, self._contents):
            process.kill()

    def _asked(self, process: subprocess.Popen[bytes], oid: str) -> bytes:
        if not OID.fullmatch(oid):
            raise ValueError(f"{oid!r} is no object's id")
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018  narrows the types: both are pipes
        try:
            stdin.write(f"{oid}\n".encode())
            stdin.flush()
            line = stdout.readline(LONGEST_HEADER)
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise RepositoryError("its objects cannot be read, or only too slowly")
        return line


def _header(line: bytes, oid: str) -> tuple[str, int] | None:
    """What ``git cat-file`` says of an object: ``OID KIND SIZE``, or ``OID missing``."""
    words = line.decode("ascii", "replace").split()
    if words == [oid, "missing"]:
        return None
    if len(words) != 3 or words[0] != oid or not words[2].isdecimal():  # noqa: PLR2004  see above
        raise RepositoryError(f"its object {oid} is damaged")
    return words[1], int(words[2])


def _entry(mode: bytes, name: bytes, oid: bytes) -> Entry:
    """A line of a tree object: the mode in octal digits, a blank, the name, NUL, the id as bytes."""
    try:
        number = int(mode, 8)
    except ValueError:
        number = 0
    whole = len(oid) == OID_BYTES and len(name) <= LONGEST_NAME
    if number not in {TREE, LINK, SUBMODULE, *FILES} or not whole:
        raise RepositoryError("it has a folder that git did not make")
    # `.git` in any case and with what file systems leave out is what git's own check refuses at the door.
    if name in {b"", b".", b".."} or b"/" in name or name.lower() == b".git":
        raise RepositoryError(f"it has an entry {name!r}: {FOUND_NOWHERE}")
    return Entry(number, name.decode("utf-8", "surrogateescape"), oid.hex())
