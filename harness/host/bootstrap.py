"""Resamples rows for a bootstrap. What is drawn for a number of rows and a seed is kept for the next run."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RESAMPLES = 1000
RESAMPLED_AT_ONCE = 1 << 17  # values: what is drawn and looked up, 8 bytes each, stays in a core's cache
KEPT_BYTES = 64 << 20


def resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of `RESAMPLES` samples of (N,) values, drawn with replacement.

    Beside what is kept of the draws, memory does not grow with the number of samples.

    Returns:
        (RESAMPLES,), each the mean of ``values[generator.integers(N, size=N)]`` to the last bit.
    """
    rows = len(values)
    means = np.empty(RESAMPLES)
    looked_up = np.empty((min(_at_once(rows), RESAMPLES), rows))
    done = 0
    for drawn in _draws(rows, seed):
        some = looked_up[: len(drawn)]
        np.take(values, drawn, out=some, mode="wrap")  # all are within bounds, and this mode is the fastest
        some.mean(axis=1, out=means[done : done + len(drawn)])
        done += len(drawn)
    return means


def _at_once(rows: int) -> int:
    return max(1, RESAMPLED_AT_ONCE // rows)


def _draws(rows: int, seed: int) -> Iterator[NDArray[Any]]:
    """The positions (some, rows) that are drawn for some samples after another, `RESAMPLES` in all."""
    starts = range(0, RESAMPLES, _at_once(rows))
    kept = _kept.get((rows, seed))
    if kept is not None:
        yield from (kept[start : start + starts.step] for start in starts)
        return
    generator = np.random.default_rng(seed)
    dtype = np.min_scalar_type(rows - 1)
    keeps = RESAMPLES * rows * dtype.itemsize <= KEPT_BYTES
    new = np.empty((RESAMPLES if keeps else 0, rows), dtype)
    for start in starts:
        drawn = generator.integers(rows, size=(min(starts.step, RESAMPLES - start), rows))
        if keeps:
            new[start : start + len(drawn)] = drawn
        yield drawn
    if keeps:
        _kept.add((rows, seed), new)


class _Kept:
    """What was drawn for the sizes that were asked for last, `KEPT_BYTES` in all."""

    def __init__(self) -> None:
        self._draws: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> NDArray[Any] | None:
        """What was drawn for this number of rows and seed, if it is still here."""
        with self._lock:
            if key in self._draws:
                self._draws.move_to_end(key)
            return self._draws.get(key)

    def add(self, key: tuple[int, int], drawn: NDArray[Any]) -> None:
        """Keep this, and let go of what was not asked for the longest."""
        with self._lock:
            self._draws[key] = drawn
            while sum(each.nbytes for each in self._draws.values()) > KEPT_BYTES:
                self._draws.popitem(last=False)


_kept = _Kept()
