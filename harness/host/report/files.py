"""Writes files: whole or not at all, and never over something that is not a plain file."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING

from harness.host.errors import MachineError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(text: str, path: Path) -> None:
    """Write `text` as UTF-8: a reader finds the old file or the new one, never a part.

    A device, a pipe or a link, such as ``/dev/stdout``, is written to, not replaced.

    Raises:
        UsageError: the folder does not exist or cannot be written to.
        MachineError: the disk is full.
    """
    write_bytes_atomically(text.encode(), path)


def write_bytes_atomically(data: bytes, path: Path) -> None:
    """Write bytes as `write_atomically` does text; it raises the same."""
    try:
        if _is_replaceable(path):
            _replace(path, data)
        else:
            path.write_bytes(data)
    except FileNotFoundError as error:
        raise UsageError(
            f"{path} cannot be written: its folder {path.parent} does not exist",
            "Make the folder, or name another.",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(f"{path} cannot be written: {error.strerror}", "Free some space.") from error
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "Name a file that you may write."
        ) from error


def _is_replaceable(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


def _replace(path: Path, data: bytes) -> None:
    temporary = path.parent / f".harness-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
