"""The bootstrap's samples are those of a plain reading of it, however they are kept and cut into parts."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.host import bootstrap
from harness.host.bootstrap import KEPT_BYTES, RESAMPLED_AT_ONCE, RESAMPLES, resampled_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = (1, 2, 3, 7, 8, 9, 127, 128, 129, 255, 256, 257, 1281, 4096, 5003, RESAMPLED_AT_ONCE // 2 + 1)
SEEDS = (0, 20220218)


def plain_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """One sample after another, with nothing kept."""
    generator = np.random.default_rng(seed)
    samples = (values[generator.integers(len(values), size=len(values))] for _ in range(RESAMPLES))
    return np.array([sample.mean() for sample in samples])


@pytest.mark.parametrize("rows", SIZES)
def test_samples_are_the_plain_ones_to_the_last_bit(rows: int) -> None:
    """At the first time and at the next ones, for each seed, whatever was drawn in between."""
    values = np.square(np.random.default_rng(rows).normal(size=rows))
    expected = [plain_means(values, seed) for seed in SEEDS]
    for _ in range(2):
        for seed, means in zip(SEEDS, expected, strict=True):
            assert resampled_means(values, seed).tobytes() == means.tobytes()


def test_other_values_get_the_same_rows() -> None:
    """What is kept is which rows are drawn, not what they were worth."""
    first, second = np.random.default_rng(0).normal(size=(2, 300))
    resampled_means(first, 1)
    assert resampled_means(second, 1).tobytes() == plain_means(second, 1).tobytes()


def test_kept_draws_are_bounded_and_the_latest() -> None:
    """The sizes that were used last are kept, in no more memory than the bound."""
    sizes = range(20_000, 30_000, 1_000)
    for rows in sizes:
        resampled_means(np.zeros(rows), 7)
    kept = bootstrap._kept._draws
    assert sum(each.nbytes for each in kept.values()) <= KEPT_BYTES
    assert list(kept)[-1] == (29_000, 7)
    assert (20_000, 7) not in kept


def test_memory_does_not_grow_with_the_samples() -> None:
    """A split of many rows takes the memory of a few of its samples, and nothing of it is kept."""
    rows = 150_000
    values = np.zeros(rows)
    tracemalloc.start()
    try:
        resampled_means(values, 7)
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 6 * values.nbytes
    assert left < values.nbytes
