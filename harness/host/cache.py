"""This user's folder for what can be made again, and files that processes of this machine lock.

The kernel lets go of a lock however its holder ends.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def user_cache(name: str) -> Path:
    """Our folder of that name in the user's cache; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "harness" / name


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock, which is a file that is made if it is not there.

    Args:
        path: the file.
        on_wait: is called before waiting for another holder.

    Raises:
        OSError: the file cannot be opened, or its file system knows no locks.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(path: Path, until: ExitStack) -> bool:
    """Lock a file until a stack of contexts is left, if nobody else holds it; say whether that worked.

    Raises:
        OSError: as of `locked`.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("a"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        until.push(stack.pop_all())
    return True
