"""Cells of one warmed parent: nothing of one submission can be found in the next, and parents come and go.

That each cell has all walls is shown where every sandbox's walls are; here is what only cells can get wrong.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from harness.host.sandbox.base import Backend, SandboxClosedError, SandboxSpec
from harness.host.sandbox.bubblewrap import BubblewrapBackend
from harness.host.sandbox.cells import namespaces_are_allowed
from harness.host.sandbox.cgroup import cgroup_paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.records import PhaseResult

    Train = Callable[..., PhaseResult]

KINDS = [
    pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
    pytest.param("docker", marks=pytest.mark.docker),
]

# What is looked for is written with each byte one higher, so that the search does not find itself.
SEARCH = """
import ctypes, json, os, re, socket
libc = ctypes.CDLL(None, use_errno=True)
HIGHER = bytes.fromhex("SECRET")
RAISED = bytes((byte + 1) % 256 for byte in range(256))
found = set()

def look(where, content):
    if HIGHER in content.translate(RAISED):
        found.add(where)

def search():
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in open("/proc/self/maps"):
            start, end = (int(text, 16) for text in line.split()[0].split("-"))
            try:
                for position in range(start, end if "w" in line.split()[1] else start, 1 << 24):
                    memory.seek(position)
                    look("memory", memory.read(min(1 << 24, end - position)))
            except (OSError, ValueError, OverflowError):
                pass
    for top in ("/tmp", "/dev/shm", "/dev/pts", "/dev/mqueue"):
        for folder, _, files in os.walk(top):
            for name in files:
                path = os.path.join(folder, name)
                look(top, name.encode())
                try:
                    look(top, open(path, "rb").read() if os.path.isfile(path) else b"")
                except OSError:
                    pass
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            look("processes", open(f"/proc/{process}/cmdline", "rb").read())
        except OSError:
            pass
    identity = libc.shmget(KEY, 4096, 0)
    if identity >= 0:
        libc.shmat.restype = ctypes.c_void_p
        look("System V memory", ctypes.string_at(libc.shmat(identity, None, 0), 4096))
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.connect("\\0KEY")
            look("sockets", end.recv(100))
        except OSError:
            pass
    with socket.socket() as end:
        try:
            end.connect(("127.0.0.1", 4000))
            look("sockets", end.recv(100))
        except OSError:
            pass
"""
PLANT = """
import subprocess, sys
secret = bytes(byte - 1 for byte in HIGHER)
keep = [secret * 1000]
for name in ("/tmp/kept", "/dev/shm/kept"):
    open(name, "wb").write(secret)
identity = libc.shmget(KEY, 4096, 0o1600)
libc.shmat.restype = ctypes.c_void_p
ctypes.memmove(libc.shmat(identity, None, 0), secret, len(secret))
end = socket.socket(socket.AF_UNIX)
end.bind("\\0KEY")
end.listen()
tcp = socket.create_server(("127.0.0.1", 4000))
if os.fork() == 0:
    while True:
        for listener in (end, tcp):
            connection, _ = listener.accept()
            connection.sendall(secret)
            connection.close()
if os.fork() == 0:
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(600)", secret.decode()])
import time
time.sleep(0.5)
"""
REPORT = """
search()
print("FOUND", json.dumps(sorted(found)), flush=True)
raise RuntimeError("the search is done")
"""


Spec = Callable[..., SandboxSpec]
Reported = Callable[..., Any]
LeftOf = Callable[[SandboxSpec], list[str]]


class Kind(Protocol):
    """A kind of backend whose sandboxes are cells, or would be."""

    def make(self, note: Callable[[str], None]) -> Backend:
        """One with a parent of its own."""

    def parents(self) -> list[int]:
        """Process 1 of each parent that this process started, as this machine counts it."""


class Bubblewrap:
    """Parents in bubblewrap."""

    def make(self, note: Callable[[str], None]) -> Backend:
        """See `Kind`."""
        return BubblewrapBackend(note)

    def parents(self) -> list[int]:
        """Those in our groups of nests; bubblewrap itself is beside them."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                group = str(cgroup_paths_of(int(process.name)).get("memory", ""))
                status = (process / "status").read_text()
            except OSError:  # it ended
                continue
            is_first = any(line.split()[-1] == "1" for line in status.splitlines() if "NSpid:" in line)
            if f"harness-{os.getpid()}-" in group and "-nest" in group and is_first:
                found.append(int(process.name))
        return found


class Docker:
    """Parents in a container."""

    def __init__(self) -> None:
        from harness.host.image import connect, ensure_image  # noqa: PLC0415  only where an engine answers

        self.client = connect()
        self.image = ensure_image(self.client, build=False, progress=print)

    def make(self, note: Callable[[str], None]) -> Backend:
        """See `Kind`."""
        from harness.host.sandbox.docker import DockerBackend  # noqa: PLC0415  only where an engine answers

        return DockerBackend(self.client, self.image, progress=note)

    def parents(self) -> list[int]:
        """Those in containers with our label."""
        from harness.host.sandbox.docker_end import OWNER_LABEL, RUN_LABEL  # noqa: PLC0415  likewise
        from harness.host.sandbox.owner import Owner  # noqa: PLC0415  likewise

        label = f"{OWNER_LABEL}={Owner.of_this_process()}"
        found = self.client.api.containers(filters={"label": label})
        nests = [each["Id"] for each in found if each["Labels"][RUN_LABEL].startswith("nest")]
        return [self.client.api.inspect_container(each)["State"]["Pid"] for each in nests]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """Each kind."""
    if request.param == "bubblewrap":
        yield Bubblewrap()
    else:
        docker = Docker()
        yield docker
        docker.client.close()


@pytest.fixture
def cells(kind: Kind) -> Iterator[Backend]:
    """A parent of its own."""
    with closing(kind.make(pytest.fail)) as backend:
        yield backend


def found_by(result: PhaseResult) -> list[str]:
    """What a searching submission printed."""
    assert result.message == "RuntimeError: the search is done", (result.message, result.log)
    line = next(line for line in result.log.splitlines() if line.startswith("FOUND "))
    found: list[str] = json.loads(line.removeprefix("FOUND "))
    return found


def test_nothing_of_a_submission_is_in_the_next(cells: Backend, train: Train) -> None:
    """What one leaves in memory, files, IPC and processes is found in its own cell, and there only."""
    secret = uuid.uuid4().hex.encode()
    names = {"SECRET": bytes(byte + 1 for byte in secret).hex(), "KEY": str(int(secret[:7], 16))}
    search, plant = SEARCH, PLANT
    for name, value in names.items():
        search, plant = search.replace(name, value), plant.replace(name, value)
    places = ["/dev/shm", "/tmp", "System V memory", "memory", "processes", "sockets"]  # noqa: S108  inside
    assert found_by(train(cells, search + plant + REPORT)) == places
    assert found_by(train(cells, search + REPORT)) == []


def test_cells_stand_side_by_side(cells: Backend, spec_of: Spec, reported: Reported) -> None:
    """Each sees its own processes and files while the other lives."""
    code = """
import time
open("/tmp/mine", "w").close()
time.sleep(0.2)
report([len([name for name in os.listdir("/proc") if name.isdecimal()]), os.listdir("/tmp"), os.getpid()])
time.sleep(60)
"""
    with cells.open(spec_of(code)) as one, cells.open(spec_of(code)) as other:
        assert reported(one) == reported(other) == [1, ["mine"], 1]


def test_parent_keeps_to_no_cores(kind: Kind, spec_of: Spec, reported: Reported) -> None:
    """It is started by a grading that keeps off others' cores, and serves those that come after too."""
    everywhere = os.sched_getaffinity(0)
    code = spec_of("report(sorted(os.sched_getaffinity(0)))")
    with closing(kind.make(pytest.fail)) as backend:
        os.sched_setaffinity(0, {min(everywhere)})
        try:
            backend.open(code).kill()
        finally:
            os.sched_setaffinity(0, everywhere)
        with backend.open(code) as cell:
            assert reported(cell) == sorted(everywhere)


def test_first_cell_may_have_the_lowest_limits(kind: Kind, spec_of: Spec, reported: Reported) -> None:
    """The parent is started for it, and serves those that come after too."""
    code = "import resource; report(resource.getrlimit(resource.RLIMIT_NOFILE)[1])"
    with closing(kind.make(pytest.fail)) as backend:
        for limits in ({"open_files": 64, "processes": 8, "scratch_bytes": 1 << 20}, {}):
            with backend.open(spec_of(code, **limits)) as cell:
                assert reported(cell) == limits.get("open_files", 1024)


def test_cells_end_with_their_parent_and_the_next_has_another(
    kind: Kind, cells: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """A parent that is gone takes its cells along, and the harness goes on with a new one."""
    others = kind.parents()  # of tests whose backend lives as long as the session
    spec = spec_of("report(0); import time; time.sleep(60)")
    with cells.open(spec) as cell:
        reported(cell)
        (parent,) = parents_of(kind, others)
        os.kill(parent, signal.SIGKILL)
        with pytest.raises(SandboxClosedError):
            cell.receive(1, time.monotonic() + 10)
    assert left_of(spec) == []
    with cells.open(spec_of("report(1)")) as cell:
        assert reported(cell) == 1


def parents_of(kind: Kind, others: list[int]) -> list[int]:
    """The parents that are new."""
    return sorted(set(kind.parents()) - set(others))


def test_closing_leaves_nothing(kind: Kind, spec_of: Spec, reported: Reported) -> None:
    """The parent goes, with its control group or container; a later sandbox starts another."""
    others = kind.parents()
    backend = kind.make(pytest.fail)
    for _ in range(2):
        with backend.open(spec_of("report(1)")) as cell:
            assert reported(cell) == 1
        assert len(parents_of(kind, others)) == 1
        backend.close()
        backend.close()
        assert parents_of(kind, others) == []


def test_where_no_cell_can_be_made_each_sandbox_stands_alone(
    kind: Kind, spec_of: Spec, reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that lets nobody nest namespaces costs time, not walls, and it is said once."""
    said: list[str] = []
    monkeypatch.setattr("harness.host.sandbox.nest.JOINED", b"?")  # the builder does not go on
    with closing(kind.make(said.append)) as backend:
        for _ in range(2):
            with backend.open(spec_of("report(os.getuid())")) as sandbox:
                assert reported(sandbox) == 1000
    assert len(said) == 1
    assert "each sandbox imports torch by itself" in said[0]


def test_memory_that_a_cell_inherits_counts(cells: Backend, train: Train) -> None:
    """A limit means the same as in a sandbox that imported torch itself, and so does the peak."""
    result = train(cells, "raise RuntimeError('the search is done')")
    assert result.usage.peak_memory_bytes is not None
    assert result.usage.peak_memory_bytes > 100 << 20


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({}, True),
        ({"kernel/unprivileged_userns_clone": "1", "user/max_user_namespaces": "63536"}, True),
        ({"kernel/unprivileged_userns_clone": "0"}, False),
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, False),
        ({"user/max_user_namespaces": "0"}, False),
    ],
)
def test_kernel_that_forbids_namespaces_is_not_asked_for_cells(
    tmp_path: Path, settings: dict[str, str], *, allowed: bool
) -> None:
    """Trying would cost each command the start of a container."""
    for name, value in settings.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{value}\n")
    assert namespaces_are_allowed(tmp_path) is allowed
