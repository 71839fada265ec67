"""Every kind of sandbox, and a guest that runs a few lines of Python and reports what it found."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import tempfile
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.conversation import Conversation
from harness.host.errors import MachineError
from harness.host.guest_code import guest_command
from harness.host.sandbox.base import ALL_WALLS, Backend, Sandbox, SandboxSpec, Wall
from harness.host.sandbox.unprotected import UnprotectedBackend
from harness.host.verdict import Job
from harness.protocol import Phase
from tests.fake_backend import FakeBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.host.records import PhaseResult

SECONDS = 30.0
MIB = 1 << 20
REPORT = """
import json, os, sys
def report(value):
    text = json.dumps(value).encode()
    sys.stdout.buffer.write(len(text).to_bytes(4, "big") + text)
    sys.stdout.flush()
"""
DOCKER = pytest.param("docker", marks=pytest.mark.docker)
BUBBLEWRAP = pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)
CELLS = pytest.param("cells", marks=pytest.mark.bubblewrap)
DOCKER_CELLS = pytest.param("docker_cells", marks=pytest.mark.docker)
WALLED = [DOCKER, DOCKER_CELLS, BUBBLEWRAP, CELLS]


@pytest.fixture(scope="session")
def docker_backend() -> Iterator[Backend]:
    """Docker, with the image for what is installed here; each sandbox a container."""
    with _docker(cells=False) as backend:
        yield backend


@pytest.fixture(scope="session")
def docker_cells_backend() -> Iterator[Backend]:
    """Docker, with sandboxes that are cells of one container."""
    with _docker(cells=True) as backend:
        yield backend


@contextmanager
def _docker(*, cells: bool) -> Iterator[Backend]:
    from harness.host.image import connect, ensure_image  # noqa: PLC0415  only where an engine answers
    from harness.host.sandbox.docker import DockerBackend  # noqa: PLC0415  likewise

    with closing(connect()) as client:
        image = ensure_image(client, build=False, progress=print)
        with closing(DockerBackend(client, image, progress=pytest.fail, cells=cells)) as backend:
            yield backend


@pytest.fixture(scope="session")
def bubblewrap_backend() -> Backend:
    """bubblewrap, with the guest's packages laid out; each sandbox by itself."""
    from harness.host.sandbox.bubblewrap import BubblewrapBackend  # noqa: PLC0415  Linux only

    return BubblewrapBackend(cells=False)


@pytest.fixture(scope="session")
def cells_backend() -> Iterator[Backend]:
    """bubblewrap, with sandboxes that are cells of one parent."""
    from harness.host.sandbox.bubblewrap import BubblewrapBackend  # noqa: PLC0415  Linux only

    with closing(BubblewrapBackend(pytest.fail)) as backend:
        yield backend


@pytest.fixture(scope="session")
def none_backend() -> Backend:
    """No walls at all."""
    return UnprotectedBackend()


@pytest.fixture
def fake_backend() -> Backend:
    """No sandbox at all: what the tests of everything above a sandbox use."""
    return FakeBackend()


@pytest.fixture(params=WALLED)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend that is a wall."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture(params=[*WALLED, "none"])
def any_backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend whose guest is a process."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture(params=[*WALLED, "none", "fake"])
def every_backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend and the fake, for promises of the stream and the end, which need no process."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


def _spec(code: str, *, without: Iterable[Wall] = (), **changes: Any) -> SandboxSpec:
    limits: dict[str, Any] = {
        "run_id": f"test{uuid.uuid4().hex[:12]}",
        "memory_bytes": 128 * MIB,
        "cpus": 1.0,
        "processes": 32,
        "scratch_bytes": 8 * MIB,
        "shared_memory_bytes": 4 * MIB,
        "scratch_files": 64,
    }
    limits |= changes
    # With the run's id in it, the program's processes can be told from those of a test beside.
    command = ("-S", "-P", "-s", "-B", "-c", f"{REPORT}{code}\n# {limits['run_id']}")
    return SandboxSpec(command=command, walls=ALL_WALLS - set(without), **limits)


def _reported(sandbox: Sandbox, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    size = int.from_bytes(sandbox.receive(4, deadline), "big")
    return json.loads(sandbox.receive(size, deadline))


def _probe(backend: Backend, code: str, *, without: Iterable[Wall] = (), **changes: Any) -> Any:
    with backend.open(_spec(code, without=without, **changes)) as sandbox:
        try:
            return _reported(sandbox)
        except Exception as error:
            error.add_note(f"the sandbox wrote: {sandbox.diagnostics()}")
            raise


@pytest.fixture
def spec_of() -> Callable[..., SandboxSpec]:
    """Small limits for a guest that runs ``code``, in which ``report(value)`` sends JSON to the host.

    ``spec_of(code, without={Wall.SECCOMP}, memory_bytes=...)`` takes walls down and changes limits.
    """
    return _spec


@pytest.fixture
def reported() -> Callable[..., Any]:
    """``reported(sandbox)`` waits for what the guest gave to ``report``."""
    return _reported


@pytest.fixture
def probe() -> Callable[..., Any]:
    """``probe(backend, code, without=..., ...)`` runs ``code`` in a sandbox of its own; what it reported."""
    return _probe


@pytest.fixture
def left_of() -> Callable[[SandboxSpec], list[str]]:
    """``left_of(spec)`` names what this machine has of a sandbox: processes, groups, containers, folders."""
    return lambda spec: [*_processes(spec), *_groups(spec), *_containers(spec), *_folders(spec)]


def _processes(spec: SandboxSpec) -> list[str]:
    """Processes whose argument list holds the guest's program."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if spec.command[-1].encode() in path.read_bytes():
                found.append(str(path.parent))
        except OSError:  # it ended while we looked
            continue
    return found


def _groups(spec: SandboxSpec) -> list[str]:
    # os.walk goes on where a group of somebody else vanishes while we look
    folders = (Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return [str(folder) for folder in folders if folder.match(f"harness-*{spec.run_id}*")]


def _containers(spec: SandboxSpec) -> list[str]:
    from harness.host.image import connect  # noqa: PLC0415  a third of a second, only in these tests

    try:
        client = connect()
    except MachineError:
        return []  # no engine, no container
    found = client.api.containers(all=True, filters={"label": f"harness.run={spec.run_id}"})
    client.close()
    return [container["Id"] for container in found]


def _folders(spec: SandboxSpec) -> list[str]:
    return [str(path) for path in Path(tempfile.gettempdir()).glob(f"harness-{spec.run_id}-*")]


ROWS = 4


def _training(code: str) -> Job:
    """One epoch over four rows with `code` as ``model.py``."""
    numbers = struct.pack(f"<{2 * ROWS}f", *range(2 * ROWS))
    fields: dict[str, Any] = {
        "task": "regression",
        "outputs": 1,
        "device": "cpu",
        "threads": 1,
        "seed": 0,
        "batch_size": 2,
        "model": {},
        "row_shape": [2],
        "files": [["model.py", len(code)]],
        "rows": ROWS,
        "epochs": 1,
        "early_stop": 0,
        "grad_clip": None,
        "optimizer": {"name": "SGD", "lr": 0.001},
        "scheduler": None,
        "loss": {"name": "MSELoss"},
    }
    blobs: dict[str, bytes | memoryview] = {
        "code": code.encode(),
        "csv": b"",
        "inputs": numbers,
        "targets": numbers[: 4 * ROWS],
        "valid_rows": struct.pack("<q", 0),
    }
    return Job(Phase.TRAIN, fields, blobs, seconds=30, payload_bytes=MIB, log_bytes=MIB >> 4)


@pytest.fixture
def train() -> Callable[..., PhaseResult]:
    """``train(backend, code, without=...)`` trains as a real run does."""

    def run(backend: Backend, code: str, without: frozenset[Wall] = frozenset()) -> PhaseResult:
        limits = {
            "memory_bytes": 1024 * MIB,
            "processes": 64,
            "scratch_bytes": 64 * MIB,
            "scratch_files": 4096,
        }
        spec = dataclasses.replace(_spec("", without=without, **limits), command=guest_command())
        with backend.open(spec) as sandbox:
            conversation = Conversation(sandbox, spec)
            conversation.send_code()
            conversation.wait_until_ready()
            return conversation.run(_training(code), lambda _: None)

    return run
