"""Grades many hostile submissions in a row, and looks for what they leave on this machine.

``--runs`` cases of the gallery are drawn at random and graded, each by a command of its own, or with
``--one-process`` by one process that goes on. What counts as left over: a process that became ours, a
container, a control group, a mount, a file in the temporary folders; free memory (or this process's own)
that goes down over the runs; with ``--one-process`` descriptors and threads too. Exit status 1 where
anything is left or a case got another outcome than its ``expect.toml`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from leftovers import Before, adopt_orphans, available_bytes, own_resources, take_notice

from harness.host.assignment import find_assignment, load_assignment, reference_folder
from harness.host.backends import choose
from harness.host.grade import Order, grade
from harness.host.report.live import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.sandbox.base import Backend

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "tests" / "gallery"
COURSE = GALLERY / "course"
HARNESS = Path(sys.prefix, "bin", "harness")
SANDBOXES = ("docker", "bubblewrap")
WARM_UP = 0.1  # of the runs: caches fill up in these
FLAT_BYTES = 256 << 20  # of a shared machine's free memory, over all the runs
FLAT_OWN_BYTES = 32 << 20
BUILDERS = runpy.run_path(str(GALLERY / "builders.py"))["BUILDERS"]


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the gallery, in one sandbox."""

    name: str
    sandbox: str
    expected: dict[str, Any]

    @property
    def assignment(self) -> str:
        """Id of the assignment that it is graded by."""
        return str(self.expected.get("assignment", "toy"))

    def submission(self, folder: Path) -> Path:
        """The folder or archive to grade; what has to be built is built in `folder`."""
        build = self.expected.get("build")
        if not build:
            return GALLERY / self.name / "submission"
        built: Path = BUILDERS[build](GALLERY / self.name, folder, {})
        return built


@dataclass(slots=True)
class Record:
    """What the runs so far showed."""

    memory: list[int] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def note(self, case: Case, run_id: str, outcome: str, memory: int) -> None:
        """Keep one run."""
        self.run_ids.append(run_id)
        self.memory.append(memory)
        if outcome != case.expected["outcome"]:
            self.surprises.append(
                f"{case.name} in {case.sandbox}: {outcome}, expected {case.expected['outcome']}"
            )

    def drift(self) -> float:
        """Change of the memory over all runs in bytes, by the line of least squares after the warm-up."""
        kept = self.memory[int(len(self.memory) * WARM_UP) :]
        if len(kept) < len(("first", "last")):
            return 0.0
        return float(np.polyfit(np.arange(len(kept)), kept, 1)[0]) * len(self.memory)


def draw(sandboxes: list[str], runs: int, seed: int) -> list[Case]:
    """Cases at random, over the named sandboxes, as far as a case can run there."""
    files = sorted(GALLERY.glob("*/expect.toml"))
    expected = {file.parent.name: tomllib.loads(file.read_text()) for file in files}
    eligible = [
        Case(name, sandbox, each)
        for name, each in expected.items()
        for sandbox in sandboxes
        if sandbox in each.get("sandboxes", SANDBOXES) and each.get("build") != "probe"  # it only reads
    ]
    chance = random.Random(seed)  # noqa: S311  to draw the same cases again
    return [chance.choice(eligible) for _ in range(runs)]


@contextmanager
def _building() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        yield Path(folder)


def by_command(case: Case, environment: dict[str, str]) -> tuple[str, str]:
    """Grade by ``harness grade``; return the run's id and the outcome."""
    with _building() as folder:
        report = folder / "report.json"
        options = ["--assignment", case.assignment, "--sandbox", case.sandbox, "--device", "cpu"]
        done = subprocess.run(
            [HARNESS, "grade", str(case.submission(folder)), "--json", str(report), *options],
            cwd=COURSE,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if not report.exists():
            return "", f"exit status {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
        document = json.loads(report.read_text())
    return document["run_id"], document["outcome"]


def by_call(case: Case, backends: dict[str, Backend]) -> tuple[str, str]:
    """Grade by the main flow's function; return the run's id and the outcome."""
    assignment = load_assignment(find_assignment(case.assignment, COURSE))
    with _building() as folder:
        order = Order(assignment, case.submission(folder), reference_folder(assignment), "cpu", "soak")
        _, run = grade(order, backends[case.sandbox], SilentProgress())
    return run.run_id, str(run.outcome)


def soak(cases: list[Case], *, one_process: bool) -> tuple[Record, list[str]]:
    """Grade all of `cases`; return what was seen, and what is left."""
    record = Record()
    backends = {name: choose(name, "cpu", print).backend for name in {case.sandbox for case in cases}}
    with tempfile.TemporaryDirectory(prefix="soak-tmp-") as temporary:
        tempfile.tempdir = temporary  # this process's own too
        environment = {**os.environ, "TMPDIR": temporary}
        before = Before.look()
        for number, case in enumerate(cases, 1):
            began = time.monotonic()
            if one_process:
                result = by_call(case, backends)
                memory = own_resources().memory_bytes
            else:
                result = by_command(case, environment)
                memory = available_bytes()
            take_notice()
            record.note(case, *result, memory)
            seconds = time.monotonic() - began
            line = f"{number}/{len(cases)} {case.name} {case.sandbox}: {result[1]} {seconds:.1f} s"
            print(f"{line}, {memory >> 20} MiB", flush=True)
        for backend in backends.values():
            backend.close()
        left = before.what_is_left(record.run_ids, Path(temporary))
    return record, left


def main() -> None:
    """Read the options, soak, and print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sandbox", choices=[*SANDBOXES, "both"], default="both")
    parser.add_argument("--one-process", action="store_true", help="one process grades all of them")
    options = parser.parse_args()
    adopt_orphans()
    sandboxes = list(SANDBOXES) if options.sandbox == "both" else [options.sandbox]
    cases = draw(sandboxes, options.runs, options.seed)
    began = time.monotonic()
    record, left = soak(cases, one_process=options.one_process)
    drift, flat = record.drift(), FLAT_OWN_BYTES if options.one_process else FLAT_BYTES
    grows = drift > flat if options.one_process else -drift > flat
    figures = {
        "runs": len(cases),
        "seconds": round(time.monotonic() - began, 1),
        "left": left,
        "surprises": record.surprises,
        "memory_of": "this process" if options.one_process else "the machine, available",
        "memory_mib": [record.memory[0] >> 20, record.memory[-1] >> 20],
        "memory_drift_mib": round(drift / (1 << 20), 1),
        "memory_is_flat": not grows,
    }
    print(json.dumps(figures, indent=2))
    sys.exit(1 if left or record.surprises or grows else 0)


if __name__ == "__main__":
    main()
