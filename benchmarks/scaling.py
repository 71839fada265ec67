"""How the times grow with rows, features, epochs and submissions."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import synthetic
import workloads
from batch import XARGS, race_batches
from contestants import PLAIN, cold, plain
from timings import Timing, race

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from contestants import Sample
    from workloads import Workload

COLD, BATCH = "cold bubblewrap", "batch bubblewrap"
CURVES: Mapping[str, Sequence[int]] = {
    "rows": (1_000, 10_000, 100_000, 1_000_000),
    "features": (16, 64, 256, 1024),
    "epochs": (1, 5, 20, 80),
    "submissions": (1, 5, 10, 20, 40),
}
FEATURES, ROWS = 56, 10_000  # where the other one grows
WORKLOAD = "hw1-bikes-16"


def measure(
    curves: Sequence[str],
    not_run: Mapping[str, str],
    rounds: int,
    jobs: int,
    tell: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Yield the figures of each curve's points, one after the other.

    Args:
        curves: the names of those to measure.
        not_run: who takes no part.
        rounds: that are counted at each point.
        jobs: submissions at once.
        tell: is told what came of each round.
    """
    for curve in curves:
        for at in CURVES[curve]:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                if curve == "submissions":
                    walls, baseline = _batches(at, not_run, rounds, jobs, tell), XARGS
                else:
                    workload = _workload(curve, at, Path(folder, "course"))
                    walls = _race(workload, not_run, rounds, partial(_say, tell, curve, at))
                    baseline = PLAIN
            for name, wall in walls.items():
                yield {
                    "curve": curve,
                    "at": at,
                    "name": name,
                    "wall_seconds": wall.as_json(),
                    "baseline": baseline,
                    "ratio": wall.ratio_to(walls[baseline]) if baseline in walls else None,
                }


def _workload(curve: str, at: int, folder: Path) -> Workload:
    if curve == "epochs":
        return workloads.find(WORKLOAD).copied_to(folder, epochs=at)
    rows, features = (at, FEATURES) if curve == "rows" else (ROWS, at)
    return synthetic.make(folder, rows, features)


def _race(
    workload: Workload, not_run: Mapping[str, str], rounds: int, tell: Callable[[int, str, Sample], None]
) -> dict[str, Timing]:
    takers: dict[str, Callable[[], Sample]] = {PLAIN: partial(plain, workload)}
    if COLD not in not_run:
        takers[COLD] = partial(cold, workload, "bubblewrap")
    samples = race(takers, rounds, tell)
    return {name: Timing(tuple(one.wall_seconds for one in each)) for name, each in samples.items()}


def _batches(
    size: int, not_run: Mapping[str, str], rounds: int, jobs: int, tell: Callable[[str], None]
) -> dict[str, Timing]:
    names = [name for name in (XARGS, BATCH) if name not in not_run]
    found = race_batches(workloads.find(WORKLOAD), names, size, rounds, tell, jobs)
    return {row["name"]: Timing(tuple(row["wall_seconds"]["rounds"])) for row in found["rows"]}


def _say(tell: Callable[[str], None], curve: str, at: int, number: int, name: str, one: Sample) -> None:
    tell(f"{curve} {at}, round {number}: {name} {one.wall_seconds:.2f} s")
