"""A harness that is killed in the middle: what it started ends, and the next one finds nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from docker.errors import NotFound

from harness.host.errors import SandboxError
from harness.host.sandbox.docker import DockerBackend
from harness.host.sandbox.docker_end import MACHINE_LABEL, OWNER_LABEL, RUN_LABEL, end_container, machine
from harness.host.sandbox.owner import Owner, _start_of
from harness.host.sandbox.watch import descendants

if TYPE_CHECKING:
    from collections.abc import Callable

HARNESS = Path(sys.prefix, "bin", "harness")
DOCKER = pytest.param("docker", marks=pytest.mark.docker)
BUBBLEWRAP = pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)
SECONDS_TO_START = 90.0
SECONDS_TO_END = 10.0
STARTING, TRAINING, PREDICTING = "sandbox: ", "training", "predicting"  # how the lines of its output begin
# Trained weights in a process that never trained: the prediction phase, and not a validation.
SLEEPER = """
import time

from torch import nn


class MyModel(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.has_trained = False

    def forward(self, x):
        self.has_trained |= self.training
        if {condition}:
            time.sleep(600)
        return self.linear(x).squeeze(1)
"""
CONDITIONS = {STARTING: "True", TRAINING: "True", PREDICTING: "not self.has_trained"}


@pytest.fixture
def sleeper(tmp_path: Path, submission: Path) -> Callable[[str], Path]:
    """``sleeper(line)`` is a submission that sleeps in the phase which that line of the output begins."""

    def make(line: str) -> Path:
        folder = tmp_path / "sleeper"
        folder.mkdir()
        (folder / "config.toml").write_bytes((submission / "config.toml").read_bytes())
        (folder / "model.py").write_text(SLEEPER.format(condition=CONDITIONS[line]))
        return folder

    return make


@pytest.mark.parametrize("line", [STARTING, TRAINING, PREDICTING], ids=["starting", "training", "predicting"])
@pytest.mark.parametrize("sandbox", [DOCKER, BUBBLEWRAP])
def test_killed_harness_leaves_nothing_and_the_next_one_grades(
    sandbox: str,
    line: str,
    sleeper: Callable[[str], Path],
    course: Path,
    submission: Path,
    tmp_path: Path,
) -> None:
    """After a kill -9 nothing runs on, and the next command sweeps the rest and grades."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    options = {"cwd": course, "env": {**os.environ, "TMPDIR": str(temporary)}, "text": True}
    command = [HARNESS, "grade", "--sandbox", sandbox, "--device", "cpu"]
    with subprocess.Popen([*command, str(sleeper(line))], stdout=subprocess.PIPE, **options) as harness:  # type: ignore[call-overload]
        started = _started(harness.pid)
        guard = threading.Timer(SECONDS_TO_START, harness.kill)
        guard.start()
        assert any(text.startswith(line) for text in harness.stdout), "it ended before that phase"
        guard.cancel()
        if line != STARTING:
            assert _sandboxes(started, sandbox), "there is nothing to be swept"
        processes = _processes(harness.pid, started, sandbox)
        harness.kill()
    _wait_until_gone(processes)
    done = subprocess.run([*command, str(submission)], capture_output=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    assert _sandboxes(started, sandbox) == []
    assert list(temporary.iterdir()) == []


def _started(pid: int) -> Owner:
    start = _start_of(pid)
    assert start is not None
    return Owner(pid, start)


def _sandboxes(owner: Owner, sandbox: str) -> list[str]:
    """Containers and control groups of one harness."""
    # os.walk goes on where a group of somebody else vanishes while we look
    groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if f"harness-{owner}-" in folder]
    return groups + (list(_containers(owner)) if sandbox == "docker" else [])


def _containers(owner: Owner) -> dict[str, int]:
    """Process 1 of each container of one harness, by id; 0 where it does not run, or is gone by now."""
    from harness.host.image import connect  # noqa: PLC0415  a third of a second, only with an engine

    client = connect()
    pids = {}
    try:
        for each in client.api.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner}"}):
            pids[each["Id"]] = 0
            with suppress(NotFound):  # the harness removed it between the two questions
                pids[each["Id"]] = client.api.inspect_container(each["Id"])["State"]["Pid"]
    finally:
        client.close()
    return pids


def _processes(pid: int, owner: Owner, sandbox: str) -> list[Owner]:
    """Every process that runs for a harness, under it or in its containers."""
    roots = [pid]
    if sandbox == "docker":
        roots += [container for container in _containers(owner).values() if container]
    pids = {process for root in roots for process in descendants(root)}
    return [Owner(process, start) for process in pids if (start := _start_of(process)) is not None]


def _wait_until_gone(processes: list[Owner]) -> None:
    deadline = time.monotonic() + SECONDS_TO_END
    while left := [process for process in processes if process.alive()]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


class Engine:
    """Plays an engine with the containers of a harness that is gone; one kill is never answered."""

    def __init__(self, containers: list[str], stuck: str) -> None:
        self.left = containers
        self._stuck = stuck
        self.release = threading.Event()
        self.api = self.images = self
        self.id = "sha256:image"

    def get(self, _reference: str) -> Engine:
        """It has every image."""
        return self

    def info(self) -> dict[str, Any]:
        """As much as the backend asks for."""
        return {"OSType": "linux", "NCPU": 2, "Runtimes": {"runc": {}}}

    def containers(self, **_filters: object) -> list[dict[str, Any]]:
        """All of them, with the labels of a process that has ended."""
        labels = {RUN_LABEL: "run", OWNER_LABEL: f"{os.getpid()}-1", MACHINE_LABEL: machine()}
        return [{"Id": each, "Labels": labels, "Created": time.time()} for each in self.left]

    def kill(self, container: str) -> None:
        """Wait for the test if it is the stuck one."""
        if container == self._stuck:
            self.release.wait(SECONDS_TO_START)
            raise NotFound("ended after all")

    def remove_container(self, container: str, **_options: object) -> None:
        """Remove it, and say so when it is asked again."""
        if container not in self.left:
            raise NotFound(container)
        self.left.remove(container)


def test_container_that_hangs_is_named_and_the_others_are_swept() -> None:
    """An engine that does not answer a kill costs the next harness a few seconds, and no submission."""
    told: list[str] = []
    engine = Engine(["a" * 64, "b" * 64, "c" * 64], stuck="a" * 64)
    backend = DockerBackend(cast("Any", engine), "image", progress=told.append)
    try:
        began = time.monotonic()
        assert backend.sweep(seconds=0.3) == 2
        assert time.monotonic() - began < 5
    finally:
        engine.release.set()
    assert engine.left == ["a" * 64]
    assert ["a" * 64 in text for text in told] == [True]


def test_sandbox_that_does_not_end_is_named_and_another_goes_on() -> None:
    """Two containers end side by side: one hangs and hits its own deadline, one goes at once."""
    engine = Engine(["a" * 64, "b" * 64], stuck="a" * 64)
    failures: list[SandboxError] = []

    def end_stuck() -> None:
        try:
            end_container(cast("Any", engine), "a" * 64, seconds=0.5)
        except SandboxError as error:
            failures.append(error)

    hanging = threading.Thread(target=end_stuck)
    hanging.start()
    try:
        began = time.monotonic()
        end_container(cast("Any", engine), "b" * 64)
        assert time.monotonic() - began < 0.4
        hanging.join(SECONDS_TO_END)
    finally:
        engine.release.set()
    assert engine.left == ["a" * 64]
    assert [("a" * 64 in error.message, error.exit_status) for error in failures] == [(True, 3)]
