"""What can be made again: this user's folder for it, locked files around it, and what is kept in memory.

The kernel lets go of a lock however its holder ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SECONDS_BETWEEN_TRIES = 0.01
Value = TypeVar("Value")


def user_cache(name: str) -> Path:
    """Our folder of that name in the user's cache; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "harness" / name


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock, which is a file that is made if it is not there.

    Args:
        path: the file.
        on_wait: is called before waiting for another holder for long.
        patience: seconds that are not long.

    Raises:
        OSError: the file cannot be opened, or its file system knows no locks.
    """
    untold_until = time.monotonic() + patience
    with path.open("a") as file:
        while not _flocked(file):
            if time.monotonic() >= untold_until:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
                break
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield


def _flocked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_lock(path: Path, until: ExitStack) -> bool:
    """Lock a file until a stack of contexts is left, if nobody else holds it; say whether that worked.

    Raises:
        OSError: as of `locked`.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("a"))
        if not _flocked(file):
            return False
        until.push(stack.pop_all())
    return True


class Latest(Generic[Value]):
    """What was made last out of some files, for a process that needs it again and again."""

    def __init__(self) -> None:
        self._kept: tuple[object, Value] | None = None

    def of(self, key: object, files: Iterable[Path], make: Callable[[], Value]) -> Value:
        """Return what is kept, if it was made for this key out of these files as they are."""
        try:
            state = [
                (path, status.st_ino, status.st_size, status.st_mtime_ns)
                for path in files
                for status in (path.stat(),)
            ]
        except OSError:
            return make()  # which says what is wrong
        kept = self._kept
        if kept is None or kept[0] != (key, state):
            kept = ((key, state), make())
            self._kept = kept
        return kept[1]
