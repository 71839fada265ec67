"""A folder of byte strings, each under its own digest: what is the same is there once, and stays as it is."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from harness.host.errors import StoreError
from harness.host.sandbox.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = "unfinished"
_FIX = "free some space, or make the folder writable, and start the command again"


class Artifacts:
    """The byte strings in a folder, which is made when the first one comes.

    Args:
        folder: one file an artifact, ``ab/cdef...`` by the SHA-256 of its content.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> str:
        """Keep `content`, unless it is there; what was damaged since is mended.

        Returns:
            Its SHA-256 in hexadecimal digits.

        Raises:
            StoreError: it cannot be written; nothing of it is left.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        with suppress(OSError):
            if path.stat().st_size == len(content) and path.read_bytes() == content:
                return digest
        try:
            self._write(content, path)
        except OSError as error:
            raise StoreError(
                f"the artifact {path} cannot be written: {error.strerror}",
                _FIX,
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """What was kept under a digest.

        Raises:
            StoreError: it is gone, or its content has changed.
            ValueError: that is no digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is no digest")
        path = self._path(digest)
        fix = "put the folder of artifacts back, or run the submission again: harness regrade"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"the artifact {path} cannot be read: {error.strerror}", fix) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreError(f"the artifact {path} is not what was written", fix)
        return content

    def sweep(self) -> None:
        """Remove what processes of this machine that were killed have left unfinished."""
        with suppress(OSError):  # there is no folder yet, or it is another user's
            for path in (self.folder / _UNFINISHED).iterdir():
                node, _, rest = path.name.partition(" ")
                owner = Owner.parse(rest.partition(" ")[0])
                if node == platform.node() and (owner is None or not owner.alive()):
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder for as long as the context lasts; if this process is killed, `sweep` removes it.

        Raises:
            StoreError: it cannot be made.
        """
        try:
            folder = self._unfinished()
            folder.mkdir()
        except OSError as error:
            raise StoreError(f"no folder can be made in {self.folder}: {error.strerror}", _FIX) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def _unfinished(self) -> Path:
        """A path that names this process, in a folder that is there."""
        name = f"{platform.node()} {Owner.of_this_process()} {secrets.token_hex(8)}"
        path = self.folder / _UNFINISHED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write(self, content: bytes, path: Path) -> None:
        unfinished = self._unfinished()
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            is_first = not path.parent.exists()
            path.parent.mkdir(exist_ok=True)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync(path.parent)  # so that its name is on the disk before any row that names it
        if is_first:
            _sync(self.folder)

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # there are file systems that have nothing to do here
            raise
    finally:
        os.close(descriptor)
