"""The whole processes that are timed: the plain script, and ``harness grade`` in each sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
ASSIGNMENT = "hw1-bikes"
PLAIN, BUBBLEWRAP, DOCKER = "plain", "bubblewrap", "docker"
PROCESSES = (PLAIN, BUBBLEWRAP, DOCKER)


@dataclass(frozen=True, slots=True)
class Workload:
    """What every contestant does.

    Attributes:
        course: the folder of ``assignments/`` and ``reference/``.
        submission: the folder of ``model.py`` and ``config.toml``.
    """

    course: Path
    submission: Path

    @property
    def data(self) -> Path:
        """The folder of the training and test rows."""
        return self.course / "assignments" / ASSIGNMENT / "data"


@dataclass(frozen=True, slots=True)
class Sample:
    """One process: its wall time from outside, and what it says of its phases.

    Attributes:
        train_seconds: of the plain script, with what PyTorch imports at the first optimizer; in the harness
            that is part of the start-up.
        losses: training and validation losses of every epoch, to see that all did the same work.
    """

    wall_seconds: float
    train_seconds: float
    predict_seconds: float
    losses: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def rest_seconds(self) -> float:
        """Start-up, reading, scoring and reporting: all that is neither training nor prediction."""
        return self.wall_seconds - self.train_seconds - self.predict_seconds


def why_not(name: str) -> str | None:
    """Why a contestant cannot run on this machine; None if it can."""
    if name == PLAIN:
        return None
    from harness.host.errors import HarnessError  # noqa: PLC0415  only where the harness is timed

    try:
        return _no_docker() if name == DOCKER else _no_bubblewrap()
    except HarnessError as error:
        return error.message


def _no_docker() -> str | None:
    from harness.host.backends import engine_configured  # noqa: PLC0415  as above

    if not engine_configured():
        return "no Docker engine answers"
    from harness.host.image import connect, find_image  # noqa: PLC0415  it needs the client

    client = connect()
    try:
        return None if find_image(client) else "the engine has no image of the guest; make one: harness image"
    finally:
        client.close()


def _no_bubblewrap() -> str | None:
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    from harness.host.sandbox.bubblewrap import probe  # noqa: PLC0415  Linux only

    return probe() or None


def sample(name: str, workload: Workload) -> Sample:
    """Run a contestant once, as a process of its own.

    Raises:
        RuntimeError: it failed; the message has the end of what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder, "losses.json")
        command = _plain(workload, Path(folder)) if name == PLAIN else _harness(name, workload, result)
        wall_seconds = _timed(command, workload.course)
        document = json.loads(result.read_text())
    loss, runtime = document["loss"], document["runtime"]
    return Sample(
        wall_seconds=wall_seconds,
        train_seconds=runtime["train_seconds"],
        predict_seconds=runtime["predict_seconds"],
        losses=(tuple(loss["train"]), tuple(loss["valid"])),
    )


def race_loops(workload: Workload, rounds: int) -> list[dict[str, Any]]:
    """What ``loops.py`` measured: seconds an epoch of each way to train.

    Raises:
        RuntimeError: it failed; the message has the end of what it wrote.
    """
    where = ["--submission", str(workload.submission), "--data", str(workload.data)]
    command = [sys.executable, str(HERE / "loops.py"), *where, "--rounds", str(rounds)]
    results: list[dict[str, Any]] = json.loads(_run(command, workload.course))
    return results


def _plain(workload: Workload, out: Path) -> list[str]:
    where = ["--submission", str(workload.submission), "--data", str(workload.data), "--out", str(out)]
    return [sys.executable, str(HERE / "plain_hw1.py"), *where]


def _harness(sandbox: str, workload: Workload, report: Path) -> list[str]:
    command = str(Path(sys.executable).parent / "harness")
    options = ["--assignment", ASSIGNMENT, "--sandbox", sandbox, "--device", "cpu", "--json", str(report)]
    return [command, "grade", str(workload.submission), *options]


def _timed(command: Sequence[str], folder: Path) -> float:
    started = time.perf_counter()
    _run(command, folder)
    return time.perf_counter() - started


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}:\n{last}")
    return done.stdout
