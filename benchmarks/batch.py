"""A class's submissions all at once: ``harness batch`` against ``xargs`` with the plain script."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processes
from bars import THROUGHPUT, beside
from contestants import losses_of, ran_in, script
from timings import Timing, race

from harness.host.report.document import staff_document
from harness.host.store.listing import current_runs
from harness.host.store.place import place_of
from harness.host.store.rows import read_report
from harness.host.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from contestants import Losses
    from workloads import Workload

XARGS = "xargs"
WARM_UP_SIZE = 2
SECONDS_A_MINUTE = 60.0
FIRST_SEED = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """One round over a folder of submissions: its wall time, and each one's losses by its name."""

    wall_seconds: float
    losses: Mapping[str, Losses]


@dataclass(frozen=True, slots=True)
class Folder:
    """Submissions that differ in their seeds, in ``submissions`` of a folder.

    Attributes:
        workload: what they are copies of.
        jobs: how many may run at once.
    """

    workload: Workload
    path: Path
    size: int
    jobs: int

    def fill(self) -> None:
        """Make the copies."""
        submissions = self.path / "submissions"
        submissions.mkdir(parents=True)
        for number, name in enumerate(self.names):
            self.workload.copied_to(submissions / name, seed=FIRST_SEED + number)

    @property
    def names(self) -> list[str]:
        """The submissions' names."""
        return [f"student-{number:03d}" for number in range(self.size)]

    def by_xargs(self) -> Batch:
        """Run the plain script on each, `jobs` at a time."""
        with tempfile.TemporaryDirectory(dir=self.path) as out:
            for name in self.names:
                Path(out, name).mkdir()
            options = self.workload.plain_options()
            options[options.index("--submission") + 1] = f"{self.path}/submissions/{{}}"
            plain = [*script("plain_script.py"), *options, "--out", f"{out}/{{}}"]
            command = [XARGS, "-P", str(self.jobs), "-I", "{}", *plain]
            seconds = processes.timed(command, given="".join(f"{name}\n" for name in self.names))
            return self._batch(seconds, lambda name: json.loads(Path(out, name, "losses.json").read_text()))

    def by_harness(self, sandbox: str) -> Batch:
        """Grade them by one command."""
        with tempfile.TemporaryDirectory(dir=self.path) as results:
            place = place_of(f"{results}/runs.sqlite", None, Path(results))
            where = ["--assignment", self.workload.assignment.name, "--sandbox", sandbox]
            how = ["--jobs", str(self.jobs), "--store", f"{results}/runs.sqlite"]
            seconds = processes.timed(
                [processes.HARNESS, "batch", str(self.path / "submissions"), *where, *how]
            )
            found = current_runs(Store(place), self.workload.assignment.name, private=True)
            documents = {
                rows.run["student"]: staff_document(
                    read_report(rows.run, rows.curve, rows.score, rows.private)
                )
                for rows in found
            }
            return self._batch(seconds, lambda name: ran_in(documents[name], sandbox))

    def _batch(self, seconds: float, read: Callable[[str], Mapping[str, Any]]) -> Batch:
        try:
            return Batch(seconds, {name: losses_of(read(name)) for name in self.names})
        except (FileNotFoundError, KeyError) as error:
            raise RuntimeError(f"a submission has no result: {error}") from error


def contestants(folder: Folder, names: Sequence[str]) -> dict[str, Callable[[], Batch]]:
    """What each named contestant does in a round: ``xargs``, or ``batch`` and a sandbox."""
    return {
        name: folder.by_xargs if name == XARGS else partial(folder.by_harness, name.removeprefix("batch "))
        for name in names
    }


def race_batches(
    workload: Workload, names: Sequence[str], size: int, rounds: int, tell: Callable[[str], None], jobs: int
) -> dict[str, Any]:
    """Race over `size` submissions, after a few that warm all of it up; return the figures."""

    def told(number: int, name: str, one: Batch) -> None:
        tell(f"{workload.name}, batch round {number}: {name} {one.wall_seconds:.1f} s")

    with tempfile.TemporaryDirectory(prefix="bench-") as path:
        few = Folder(workload, Path(path, "few"), WARM_UP_SIZE, jobs)
        few.fill()
        for start in contestants(few, names).values():
            start()
        folder = Folder(workload, Path(path, "all"), size, jobs)
        folder.fill()
        batches = race(contestants(folder, names), rounds, told, uncounted=0)
    return {"workload": workload.name, "size": size, "jobs": jobs, "rows": summarise(batches, size)}


def summarise(batches: Mapping[str, Sequence[Batch]], size: int) -> list[dict[str, Any]]:
    """Submissions a minute of each contestant, and how many times that of xargs."""
    walls = {name: Timing(tuple(one.wall_seconds for one in each)) for name, each in batches.items()}
    rows = []
    for name, each in batches.items():
        ratio = walls[XARGS].ratio_to(walls[name]) if XARGS in walls else None
        rows.append(
            {
                "name": name,
                "wall_seconds": walls[name].as_json(),
                "per_minute": SECONDS_A_MINUTE * size / walls[name].median,
                "ratio_to_xargs": ratio,
                **beside(ratio, THROUGHPUT.get(name)),
                "same_losses": all(one.losses == batches[XARGS][0].losses for one in each)
                if XARGS in batches
                else None,
            }
        )
    return rows
