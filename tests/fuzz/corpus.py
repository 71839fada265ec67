"""The inputs that fuzzing begins with and the ones that once broke something, read from their folders."""

from __future__ import annotations

import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ENDING = ".bin"
MAX_SECONDS = 1.0  # of processor time, for one input


def cases(target: str) -> dict[str, bytes]:
    """Name to content of every input that a fault was found with."""
    return _contents(FOLDER / "cases" / target)


def seeds(target: str) -> list[bytes]:
    """Inputs to begin with: the seed corpus and the cases."""
    return [*_contents(FOLDER / "seeds" / target).values(), *cases(target).values()]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(folder.glob(f"*{ENDING}"))}


class SlowInputError(Exception):
    """An input took more processor time than any input may."""


class Stopwatch:
    """Raises `SlowInputError` at the end of a ``with`` block that took too long.

    Args:
        factor: how many times the usual limit is allowed, where instrumentation slows everything down.
    """

    def __init__(self, factor: float = 1) -> None:
        self._limit = MAX_SECONDS * factor

    def __enter__(self) -> None:
        self._started = time.process_time()

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        took = time.process_time() - self._started
        if kind is None and took > self._limit:
            raise SlowInputError(f"took {took:.1f} s, more than {self._limit:g}")
