"""The Docker backend with a runtime of the engine: gVisor, where ``runsc`` is there, keeps the promises.

What differs is stated here too: gVisor is the kernel that a submission sees, so a limit that would end one
process ends the whole sandbox, and the system-call policy is gVisor's own.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.host.backends import choose
from harness.host.errors import MachineError, UsageError
from harness.host.image import connect, find_image
from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError
from harness.host.sandbox.docker import DockerBackend
from harness.host.sandbox.docker_options import GVISOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.host.sandbox.base import SandboxSpec

    Spec = Callable[..., SandboxSpec]
    Reported = Callable[..., Any]
    Probe = Callable[..., Any]
    LeftOf = Callable[[SandboxSpec], list[str]]

MIB = 1 << 20
SECONDS = 60.0
SLEEP = "import time; report(0); time.sleep(60)"


@pytest.fixture(scope="module")
def gvisor() -> Iterator[DockerBackend]:
    """The backend with gVisor."""
    client = connect()
    image = find_image(client)
    assert image is not None  # the marker has seen to it
    yield DockerBackend(client, image, GVISOR)
    client.close()


def deadline(seconds: float = SECONDS) -> float:
    """So many seconds from now."""
    return time.monotonic() + seconds


@pytest.mark.gvisor
def test_submission_sees_another_kernel(gvisor: DockerBackend, probe: Probe) -> None:
    """The kernel inside is gVisor's, not this machine's."""
    inside = probe(gvisor, "report(list(os.uname())[2:4])", memory_bytes=256 * MIB)
    assert inside != [os.uname().release, os.uname().version]


@pytest.mark.gvisor
def test_bytes_go_each_way(gvisor: DockerBackend, spec_of: Spec, reported: Reported) -> None:
    """Bytes arrive as they were sent, however many they are."""
    size = 16 * MIB
    code = f"""
import hashlib
data = sys.stdin.buffer.read({size})
report(hashlib.sha256(data).hexdigest())
sys.stdout.buffer.write(data[::-1])
"""
    payload = os.urandom(size)
    with gvisor.open(spec_of(code, memory_bytes=512 * MIB)) as sandbox:
        sandbox.send(payload, deadline())
        assert reported(sandbox) == hashlib.sha256(payload).hexdigest()
        assert sandbox.receive(size, deadline()) == payload[::-1]


@pytest.mark.gvisor
def test_walls_stand(gvisor: DockerBackend, probe: Probe) -> None:
    """No network, no writable root, no privilege, and an environment of ours."""
    code = """
import socket
def fails(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False
report({
    "network": fails(lambda: socket.create_connection(("1.1.1.1", 53), 2)),
    "root": fails(lambda: open("/written", "w")),
    "chroot": fails(lambda: os.chroot("/tmp")),
    "user": os.getuid() != 0,
    "environment": sorted(set(os.environ) - {"PATH", "LC_CTYPE"}),
})
"""
    found = probe(gvisor, code, memory_bytes=256 * MIB)
    names = ["HOME", "HOSTNAME", "LANG", "NVIDIA_VISIBLE_DEVICES", "PYTHONHASHSEED"]
    assert found.pop("environment") == names
    assert found == dict.fromkeys(found, True)


@pytest.mark.gvisor
def test_scratch_space_is_bounded(gvisor: DockerBackend, probe: Probe) -> None:
    """``/tmp`` takes what it was given and no more."""
    code = """
written = 0
try:
    with open("/tmp/full", "wb", buffering=0) as file:
        while written < 64 << 20:
            written += file.write(bytes(1 << 20))
except OSError:
    pass
report(written)
"""
    assert 0 < probe(gvisor, code, memory_bytes=256 * MIB, scratch_bytes=8 * MIB) <= 8 * MIB


@pytest.mark.gvisor
def test_memory_limit_ends_the_sandbox_and_is_counted(
    gvisor: DockerBackend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """What takes too much is ended with its whole sandbox, and the host knows why."""
    spec = spec_of(f"report(0); held = b'x' * {1024 * MIB}; report(1)", memory_bytes=256 * MIB)
    with gvisor.open(spec) as sandbox:
        reported(sandbox)
        with pytest.raises(SandboxClosedError):
            reported(sandbox)
        assert sandbox.usage().out_of_memory >= 1
    assert left_of(spec) == []


@pytest.mark.gvisor
def test_fork_bomb_stays_inside(
    gvisor: DockerBackend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """Ever more processes end their own sandbox, and nothing of them is left."""
    spec = spec_of("report(0)\nwhile True: os.fork()", memory_bytes=256 * MIB)
    with gvisor.open(spec) as sandbox:
        reported(sandbox)
        with pytest.raises((SandboxClosedError, SandboxTimeoutError)):
            sandbox.receive(1, deadline(10))
        began = time.monotonic()
        sandbox.kill()
        assert time.monotonic() - began < 20
    assert left_of(spec) == []


@pytest.mark.gvisor
def test_nothing_is_left(gvisor: DockerBackend, spec_of: Spec, reported: Reported, left_of: LeftOf) -> None:
    """After its end there is no process and no container of it, which can be seen before."""
    spec = spec_of(SLEEP, memory_bytes=256 * MIB)
    with gvisor.open(spec) as sandbox:
        reported(sandbox)
        assert left_of(spec) != []
    assert left_of(spec) == []


class Engine:
    """As much of an engine as the backend looks at, with one runtime."""

    def __init__(self) -> None:
        self.images = self
        self.id = "sha256:image"

    def get(self, _reference: str) -> Engine:
        """It has every image."""
        return self

    def info(self) -> dict[str, Any]:
        """What it runs on, and with."""
        return {"OSType": "linux", "NCPU": 2, "Runtimes": {"runc": {}}}


def test_runtime_that_the_engine_does_not_know_is_an_error_with_the_way_to_add_it() -> None:
    """A runtime that was asked for is there or nothing runs."""
    DockerBackend(cast("Any", Engine()), "image", "runc")
    with pytest.raises(MachineError, match="no runtime 'runsc'; it has: runc") as raised:
        DockerBackend(cast("Any", Engine()), "image", GVISOR)
    assert "daemon.json" in raised.value.fix


@pytest.mark.parametrize("sandbox", ["bubblewrap", "none"])
def test_runtime_is_refused_where_there_is_none_to_choose(sandbox: str) -> None:
    """``--runtime`` with a sandbox that is not Docker's is wrong use, and never left out in silence."""
    with pytest.raises(UsageError, match=f"--sandbox {sandbox}"):
        choose(sandbox, "cpu", lambda _: None, GVISOR)
