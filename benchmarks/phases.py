"""Where the time of a cold ``harness grade`` goes, phase by phase; see ``clocked.py``."""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processes
from contestants import grade_command, script
from timings import Timing, race

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workloads import Workload

EXIT = "exit"


def measure(workload: Workload, sandboxes: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """The median seconds of each phase in each sandbox, in turns.

    Raises:
        RuntimeError: a grading failed.
    """
    starts = {f"cold {sandbox}": partial(clocked, workload, sandbox) for sandbox in sandboxes}
    found = race(starts, rounds, lambda *_: None)
    return [{"name": name, "phases": medians(each)} for name, each in found.items()]


def clocked(workload: Workload, sandbox: str) -> dict[str, float]:
    """Grade once, and return the seconds of each phase, with those after the last one as `EXIT`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder, "phases.json")
        _, *arguments = grade_command(workload, sandbox, Path(folder, "report.json"))
        started = time.monotonic()
        processes.run([*script("clocked.py"), str(file), str(started), *arguments], folder=workload.course)
        took = time.monotonic() - started
        phases: dict[str, float] = json.loads(file.read_text())
    return {**phases, EXIT: took - sum(phases.values())}


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median seconds of each phase over the rounds that have it."""
    names = dict.fromkeys(name for each in rounds for name in each)
    return {name: Timing(tuple(each[name] for each in rounds if name in each)).median for name in names}
