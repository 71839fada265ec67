"""A Dask cluster of real processes, submissions for it, and a look at what its workers have running."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from harness.host.assignment import load_assignment
from harness.host.edition import edition
from harness.host.grade import Order
from harness.host.sandbox.watch import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
DASK = Path(sys.prefix, "bin", "dask")
COMPILED = shutil.ignore_patterns("__pycache__")
SECONDS = 60.0


def wait_for(condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Wait until something is so; what it is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
    return found


def groups_of(pids: set[int]) -> list[str]:
    """Control groups that processes made."""
    prefixes = tuple(f"harness-{pid}-" for pid in pids)
    folders = (Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return [str(folder) for folder in folders if folder.name.startswith(prefixes)]


def cells_of(pids: set[int]) -> list[str]:
    """Control groups of sandboxes with a submission in them."""
    return [group for group in groups_of(pids) if "-nest" not in group]


def own_cores(source: Path) -> dict[str, str]:
    """The environment of processes that run a copy of the harness, and stand in nobody's line for cores."""
    return {"PYTHONPATH": f"{source}:{ROOT}", "XDG_CACHE_HOME": str(source / "cache")}


class DaskProcesses:
    """A scheduler and workers, each a process that ``dask`` starts as a site would.

    Args:
        folder: of their logs and files.
        source: a folder with the harness in it.
    """

    def __init__(self, folder: Path, source: Path) -> None:
        self._folder, self._source = folder, source
        self._stack = ExitStack()
        self._started = 0
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        file = folder / "scheduler.json"
        self._scheduler = self._start(
            "scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(file)
        )
        wait_for(lambda: file.exists() and file.read_text())
        self.address: str = wait_for(lambda: _address_in(file))
        self.client = self._stack.enter_context(Client(self.address, set_as_default=False))

    def start_worker(
        self, *options: str, environment: dict[str, str] | None = None, wrapper: tuple[str, ...] = ()
    ) -> int:
        """Start a worker and wait until it is there; return its process id."""
        pid = self._start_worker(*options, environment=environment, wrapper=wrapper)
        self._wait_for(pid)
        return pid

    def _wait_for(self, pid: int) -> None:
        wait_for(lambda: self.workers[pid].poll() is not None or pid in self.addresses())

    def _start_worker(
        self, *options: str, environment: dict[str, str] | None = None, wrapper: tuple[str, ...] = ()
    ) -> int:
        options += ("--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--death-timeout", "30")
        options += ("--local-directory", str(self._folder), "--host", "127.0.0.1")
        process = self._start("worker", self.address, *options, environment=environment, wrapper=wrapper)
        self.workers[process.pid] = process
        return process.pid

    def leftovers(self) -> list[str]:
        """What workers have beside themselves: control groups, and processes."""
        pids = {pid for pid, process in self.workers.items() if process.poll() is None}
        children = {child for pid in pids for child in descendants(pid)} - pids
        return [*groups_of(pids), *map(str, children)]

    def ensure(self, count: int) -> set[int]:
        """Have exactly so many workers; their process ids."""
        for pid, process in list(self.workers.items()):
            if process.poll() is not None or len(self.workers) > count:
                self.end(pid)
        for pid in [self._start_worker() for _ in range(count - len(self.workers))]:
            self._wait_for(pid)
        return set(self.workers)

    def end(self, pid: int) -> None:
        """End a worker politely."""
        process = self.workers.pop(pid)
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def addresses(self) -> dict[int, str]:
        """The workers that the scheduler knows: their process ids and addresses."""
        found = self.client.run(os.getpid, on_error="ignore")  # one may go meanwhile
        return {pid: address for address, pid in found.items()}

    def end_scheduler(self) -> None:
        """End the scheduler alone."""
        self._scheduler.terminate()

    def close(self) -> None:
        """End all."""
        for pid in list(self.workers):
            self.end(pid)
        self._stack.close()

    def _start(
        self,
        role: str,
        *options: str,
        environment: dict[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        self._started += 1
        log = self._stack.enter_context((self._folder / f"{role}-{self._started}.log").open("wb"))
        process = subprocess.Popen(
            [*wrapper, DASK, role, *options, "--no-dashboard"],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, **own_cores(self._source), **(environment or {})},
        )
        self._stack.callback(process.wait, SECONDS)
        self._stack.callback(process.terminate)
        return process


def _address_in(file: Path) -> str:
    with suppress(ValueError):
        return str(json.loads(file.read_text())["address"])
    return ""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the harness of the edition that these tests run, whoever edits the source meanwhile."""
    folder = tmp_path_factory.mktemp("source")
    edition()
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=COMPILED)
    return folder


@pytest.fixture(scope="session")
def dask_processes(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[DaskProcesses]:
    """A scheduler; tests say how many workers they need."""
    processes = DaskProcesses(tmp_path_factory.mktemp("dask"), source)
    yield processes
    processes.close()


@pytest.fixture(autouse=True)
def nothing_is_left(dask_processes: DaskProcesses) -> Iterator[None]:
    """After each test, no worker has a process or a control group that belongs to a sandbox."""
    yield
    wait_for(lambda: not dask_processes.leftovers(), 20)


@pytest.fixture
def submission(tmp_path: Path) -> Callable[..., Path]:
    """``submission(name, before=..., forward=...)`` is one for hw1-bikes that trains for two epochs.

    `before` stands before the model, and `forward` in its forward().
    """

    def make(name: str, *, before: str = "", forward: str = "pass", epochs: int = 2) -> Path:
        folder = shutil.copytree(ROOT / "examples" / "hw1-bikes" / "medium", tmp_path / name)
        model, config = folder / "model.py", folder / "config.toml"
        start = "def forward(self, x: Tensor) -> Tensor:\n"
        assert start in model.read_text()
        model.write_text(f"{before}\n{model.read_text().replace(start, start + ' ' * 8 + forward + chr(10))}")
        config.write_text(config.read_text().replace("epochs = 60", f"epochs = {epochs}"))
        return folder

    return make


def bikes(folder: Path) -> Order:
    """To grade a submission of hw1-bikes."""
    assignment = load_assignment(ROOT / "assignments" / "hw1-bikes")
    return Order(assignment, folder, ROOT / "reference" / "hw1-bikes", "cpu", "")
