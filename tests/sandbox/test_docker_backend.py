"""What the Docker backend alone promises; what every backend promises is in the conformance tests."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.errors import NotFound

from harness.host.errors import SandboxError
from harness.host.image import connect, ensure_image
from harness.host.sandbox.base import (
    ALL_WALLS,
    SandboxClosedError,
    SandboxSpec,
    SandboxTimeoutError,
    Wall,
)
from harness.host.sandbox.docker import DockerBackend
from harness.host.sandbox.docker_sandbox import DockerSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

pytestmark = pytest.mark.docker

MIB = 1 << 20
SECONDS = 30.0
LINE = 65_536

REPORT = """
import json, sys
def report(value):
    sys.stdout.buffer.write(json.dumps(value).encode().ljust(65536))
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    """The engine in use; tests marked for Docker do not get here without one."""
    engine = connect()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def backend(client: DockerClient) -> DockerBackend:
    """The backend, with the image for what is installed here; each sandbox is a container."""
    return DockerBackend(client, ensure_image(client, build=False, progress=print), cells=False)


def opened(backend: DockerBackend, spec: SandboxSpec) -> DockerSandbox:
    """A sandbox, which is a container."""
    sandbox = backend.open(spec)
    assert isinstance(sandbox, DockerSandbox)
    return sandbox


def spec_of(code: str, *, without: Wall | None = None, **changes: Any) -> SandboxSpec:
    """Small limits for a guest that runs `code`, with `report` in reach and one wall down if asked."""
    limits: dict[str, Any] = {
        "run_id": "test-docker-backend",
        "memory_bytes": 128 * MIB,
        "cpus": 1.0,
        "processes": 32,
        "scratch_bytes": 8 * MIB,
        "shared_memory_bytes": 4 * MIB,
        "scratch_files": 64,
    }
    walls = ALL_WALLS - {without} if without else ALL_WALLS
    return SandboxSpec(command=("-I", "-S", "-c", REPORT + code), walls=walls, **(limits | changes))


def deadline(seconds: float = SECONDS) -> float:
    """So many seconds from now."""
    return time.monotonic() + seconds


def reported(sandbox: DockerSandbox) -> Any:
    """What the guest gave to `report`."""
    return json.loads(sandbox.receive(LINE, deadline()))


def run(backend: DockerBackend, code: str, **changes: Any) -> Any:
    """Run `code` in a sandbox of its own and return what it reported."""
    with opened(backend, spec_of(code, **changes)) as sandbox:
        return reported(sandbox)


def is_there(client: DockerClient, container: str) -> bool:
    """Whether the engine still has a container."""
    try:
        client.api.inspect_container(container)
    except NotFound:
        return False
    return True


def test_guest_that_writes_before_it_reads_blocks_nobody(backend: DockerBackend) -> None:
    """Both sides may send megabytes at once."""
    code = f"""
sys.stdout.buffer.write(bytes({4 * MIB})); sys.stdout.flush()
report(len(sys.stdin.buffer.read({4 * MIB})))
"""
    with opened(backend, spec_of(code)) as sandbox:
        sandbox.send(bytes(4 * MIB), deadline())
        assert sandbox.receive(4 * MIB, deadline()) == bytes(4 * MIB)
        assert reported(sandbox) == 4 * MIB


def test_out_of_memory_of_the_first_process_is_counted(backend: DockerBackend) -> None:
    """When the first process itself was killed at the limit, the engine's word for it counts."""
    with opened(backend, spec_of("held = bytearray(300 << 20)")) as sandbox:
        with pytest.raises(SandboxClosedError):
            sandbox.receive(1, deadline())
        assert sandbox.usage().out_of_memory == 1


UNSHARE = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
report(libc.unshare(0x10000000) and errno.errorcode[ctypes.get_errno()])  # CLONE_NEWUSER
"""


def test_policy_is_ours_and_is_what_refuses(backend: DockerBackend) -> None:
    """User namespaces are closed by the policy, and open without it."""
    assert run(backend, UNSHARE) == "EPERM"
    assert run(backend, UNSHARE, without=Wall.SECCOMP) == 0


def test_environment_is_empty_but_for_what_is_set(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the host's environment gets in, not even proxies of the client's configuration."""
    monkeypatch.setenv("PLANTED", "sentinel")
    code = "import os; report(dict(os.environ))"
    inside = run(backend, code)
    assert inside == {
        "PATH": inside["PATH"],
        "HOSTNAME": "sandbox",
        "HOME": "/tmp",  # noqa: S108  a path inside
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }
    assert run(backend, code, without=Wall.ENVIRONMENT)["PLANTED"] == "sentinel"


WRITE_ROOT = """
import errno
try:
    open("/opt/written", "w").close()
    report("written")
except OSError as error:
    report(errno.errorcode[error.errno])
"""


def test_root_is_read_only_even_for_root(backend: DockerBackend) -> None:
    """The file system takes no writes, whoever asks; without the wall, root could write."""
    privileged = ALL_WALLS - {Wall.UNPRIVILEGED}
    for walls, outcome in [(privileged, "EROFS"), (privileged - {Wall.READ_ONLY_ROOT}, "written")]:
        with opened(backend, dataclasses.replace(spec_of(WRITE_ROOT), walls=walls)) as sandbox:
            assert reported(sandbox) == outcome


def test_no_network_interface_but_loopback(backend: DockerBackend) -> None:
    """There is nothing to reach anything with."""
    names = "import os; report(sorted(os.listdir('/sys/class/net')))"
    assert run(backend, names) == ["lo"]
    assert run(backend, names, without=Wall.NETWORK) == sorted(os.listdir("/sys/class/net"))  # noqa: PTH208  the same call as inside


def test_guest_learns_no_control_group_of_the_host(backend: DockerBackend) -> None:
    """Control groups show as the root of a namespace, without the container's id."""
    groups = run(backend, "report([line.rstrip().split(':')[2] for line in open('/proc/self/cgroup')])")
    assert set(groups) == {"/"}


def test_packages_are_found_without_the_environment(backend: DockerBackend) -> None:
    """The image's interpreter finds torch by itself, once `site` runs."""
    code = "import site; site.main(); import importlib.util as u; report(u.find_spec('torch').origin)"
    assert run(backend, code) == "/opt/harness/lib/python3.11/site-packages/torch/__init__.py"


class Relay:
    """Listens on TCP and passes connections on to the local engine, which looks remote from there."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65_536):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Cut every connection."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_engine_over_tcp_serves_as_well(backend: DockerBackend, client: DockerClient) -> None:
    """A remote engine takes the same stream and the same end."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        pytest.skip("the engine in use is not on a local socket")
    relay = Relay(address.removeprefix("unix://"))
    remote = docker.DockerClient(base_url=relay.url)
    try:
        payload = os.urandom(4 * MIB)
        code = f"sys.stdout.buffer.write(sys.stdin.buffer.read({len(payload)})[::-1]); input()"
        with opened(DockerBackend(remote, backend.image, cells=False), spec_of(code)) as sandbox:
            sandbox.send(payload, deadline())
            assert sandbox.receive(len(payload), deadline()) == payload[::-1]
            with pytest.raises(SandboxTimeoutError):
                sandbox.receive(1, deadline(0.2))
        assert not is_there(client, sandbox.container)
    finally:
        remote.close()
        relay.close()


def test_usage_comes_from_the_engine_where_its_processes_cannot_be_seen(backend: DockerBackend) -> None:
    """On a remote engine the engine's own counters stand in for the control group's files."""
    code = "held = bytearray(64 << 20); total = sum(range(3_000_000)); report(0); input()"
    with opened(backend, spec_of(code)) as sandbox:
        reported(sandbox)
        seen_here = sandbox.usage()
        sandbox._groups.clear()
        usage = sandbox.usage()
    assert seen_here.cpu_seconds is not None
    assert usage.cpu_seconds == pytest.approx(seen_here.cpu_seconds, rel=0.2)
    assert usage.peak_memory_bytes is not None
    assert usage.peak_memory_bytes > 64 * MIB


ORPHAN = """
import sys, time
from harness.host.image import connect
from harness.host.sandbox.base import SandboxSpec
from harness.host.sandbox.docker import DockerBackend
spec = SandboxSpec(
    command=("-I", "-c", "import time; time.sleep(600)"), run_id="test-orphan", memory_bytes=1 << 27, cpus=1,
    processes=8, scratch_bytes=1 << 20, shared_memory_bytes=1 << 20)
print(DockerBackend(connect(), sys.argv[1], cells=False).open(spec).container, flush=True)
time.sleep(600)
"""


def test_sweep_removes_what_a_killed_harness_left(backend: DockerBackend, client: DockerClient) -> None:
    """A sandbox whose harness was killed is removed at the next start; one that is in use is not."""
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, backend.image], stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdout is not None
        orphan = harness.stdout.readline().strip()
        with opened(backend, spec_of("import time; time.sleep(60)")) as mine:
            backend.sweep()
            assert is_there(client, orphan)
            harness.kill()
            harness.wait()
            assert backend.sweep() >= 1
            assert not is_there(client, orphan)
            assert is_there(client, mine.container)


def test_guest_reads_the_end_when_its_harness_is_gone(backend: DockerBackend) -> None:
    """A guest that waits for input ends with the harness that would have sent it."""
    with opened(backend, spec_of("sys.stdin.buffer.read(); report('end')")) as sandbox:
        client = connect()
        sandbox._stream.close()
        result = client.api.wait(sandbox.container, timeout=10)
        client.close()
    assert result["StatusCode"] in {0, 120}  # 120: its last words found nobody


def test_image_that_is_not_there_is_named(client: DockerClient) -> None:
    """A missing image is a fault of the machine, with the command that mends it."""
    with pytest.raises(SandboxError, match="harness-guest:none") as raised:
        DockerBackend(client, "harness-guest:none")
    assert raised.value.fix == "harness image"


def test_container_that_cannot_start_is_removed(client: DockerClient) -> None:
    """An image without the guest's Python is a fault of the machine, and leaves nothing behind."""
    client.api.import_image_from_data(tar_of_one_file(), repository="harness-test-empty", tag="1")
    try:
        broken = DockerBackend(client, "harness-test-empty:1")
        with pytest.raises(SandboxError):
            broken.open(spec_of("", run_id="test-not-started"))
    finally:
        client.images.remove("harness-test-empty:1")
    assert client.api.containers(all=True, filters={"label": "harness.run=test-not-started"}) == []


def tar_of_one_file() -> bytes:
    """A file system with nothing in it but an empty file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    return buffer.getvalue()


def test_an_unknown_runtime_is_refused(backend: DockerBackend, client: DockerClient) -> None:
    """A runtime that the engine does not know is named, with those that it has, before anything is made."""
    with pytest.raises(SandboxError, match="no-such-runtime"):
        DockerBackend(client, backend.image, runtime="no-such-runtime")


def test_guest_learns_no_name_of_this_machine(backend: DockerBackend) -> None:
    """Neither the host's name nor its resolver is in the sandbox."""
    code = "report([open('/etc/hostname').read().strip(), open('/etc/resolv.conf').read().strip()])"
    assert run(backend, code) == ["sandbox", ""]
