"""The whole processes that are timed on a workload, one start a sample."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import otter_assignment
import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workloads import Workload

HERE = Path(__file__).resolve().parent
PLAIN, LIGHTNING, OTTER = "plain", "lightning", "otter"
Losses = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: its wall time from outside, and what the process says of its parts.

    Attributes:
        train_seconds: of the plain script, with what PyTorch imports at the first optimizer; in the harness
            that is part of the start-up.
        losses: training and validation losses of every epoch, to see that all did the same work.
    """

    wall_seconds: float
    train_seconds: float
    predict_seconds: float
    losses: Losses

    @property
    def rest_seconds(self) -> float:
        """Start-up, reading, scoring and reporting: all that is neither training nor prediction."""
        return self.wall_seconds - self.train_seconds - self.predict_seconds


def read_report(path: Path, sandbox: str) -> dict[str, Any]:
    """A report of the harness; see `ran_in`."""
    return ran_in(json.loads(path.read_text()), sandbox)


def ran_in(document: dict[str, Any], sandbox: str) -> dict[str, Any]:
    """A report of the harness.

    Raises:
        RuntimeError: the submission ran elsewhere than was asked.
    """
    if (used := document["environment"]["sandbox"]) != sandbox:
        raise RuntimeError(f"it was to run in {sandbox}, and ran in {used}")
    return document


def sample_of(wall_seconds: float, document: Mapping[str, Any]) -> Sample:
    """What a report of the harness, or ``losses.json`` of a script, says of a round."""
    runtime = document["runtime"]
    return Sample(
        wall_seconds=wall_seconds,
        train_seconds=runtime["train_seconds"],
        predict_seconds=runtime["predict_seconds"],
        losses=losses_of(document),
    )


def losses_of(document: Mapping[str, Any]) -> Losses:
    """Training and validation losses of every epoch, from a report or from ``losses.json``."""
    return tuple(document["loss"]["train"]), tuple(document["loss"]["valid"])


def script(name: str) -> list[str]:
    """The command that runs a script of this folder."""
    return [sys.executable, str(HERE / name)]


def plain(workload: Workload, name: str = "plain_script.py") -> Sample:
    """Run the plain script, or another one that takes its options and leaves what it leaves."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [*script(name), *workload.plain_options(), "--out", folder]
        seconds = processes.timed(command)
        return sample_of(seconds, json.loads(Path(folder, "losses.json").read_text()))


def lightning(workload: Workload) -> Sample:
    """Run the same work by Lightning's ``Trainer``."""
    return plain(workload, "lightning_script.py")


def otter(workload: Workload) -> Sample:
    """Grade the same work by ``otter run``."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        seconds = otter_assignment.grade(workload, Path(folder))
        return sample_of(seconds, json.loads(Path(folder, "losses.json").read_text()))


def cold(workload: Workload, sandbox: str) -> Sample:
    """Grade once by a ``harness grade`` that starts and ends."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        report = Path(folder, "report.json")
        command = grade_command(workload, sandbox, report)
        seconds = processes.timed(command, folder=workload.course)
        return sample_of(seconds, read_report(report, sandbox))


def grade_command(
    workload: Workload, sandbox: str, report: Path, harness: str = processes.HARNESS
) -> list[str]:
    """The command that grades a workload's submission."""
    options = ["--assignment", workload.assignment.name, "--sandbox", sandbox, "--device", "cpu"]
    return [harness, "grade", str(workload.submission), *options, "--json", str(report)]
