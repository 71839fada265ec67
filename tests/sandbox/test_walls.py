"""Each wall stops something: the same probe fails with all walls up, and succeeds with that one wall down."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.runtime import ensure_guest_runtime
from harness.host.sandbox.base import Wall

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Backend, SandboxSpec

    Probe = Callable[..., Any]

MIB = 1 << 20
CHECKOUT = Path(__file__).parents[2]

root_only = pytest.mark.skipif(
    os.getuid() != 0, reason="shows what would happen to a harness that runs as root"
)


# Network

CONNECT = """
import socket
def connects(family, address):
    with socket.socket(family) as end:
        end.settimeout(2)
        try:
            end.connect(address)
            return end.recv(5).decode()
        except OSError as error:
            return type(error).__name__
report([connects(socket.AF_INET, ("127.0.0.1", PORT)), connects(socket.AF_UNIX, NAME)])
"""


def test_no_connection_leaves_the_sandbox(backend: Backend, probe: Probe) -> None:
    """Neither a local TCP service nor an abstract unix socket of this machine can be reached."""
    name = f"\0harness-test-{uuid.uuid4().hex}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(name)
        abstract.listen()
        port = tcp.getsockname()[1]
        code = CONNECT.replace("PORT", str(port)).replace("NAME", repr(name))
        assert probe(backend, code) == ["ConnectionRefusedError", "ConnectionRefusedError"]

        with ThreadPoolExecutor(1) as pool:
            greeted = pool.submit(greet, tcp, abstract)
            assert probe(backend, code, without={Wall.NETWORK}) == ["hello", "hello"]
            greeted.result()


def greet(*listeners: socket.socket) -> None:
    """Say hello to the first who connects to each of them."""
    for listener in listeners:
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"hello")


# Environment, paths and other processes (lesson 3)

SEARCH = """
from contextlib import suppress
needles = [bytes.fromhex(text) for text in NEEDLES]
texts = {"os.environ": repr(sorted(os.environ.items())).encode()}
for process in ["self", *filter(str.isdecimal, os.listdir("/proc"))]:
    for name in "environ cmdline mountinfo mounts mountstats maps cgroup comm status".split():
        with suppress(OSError), open(f"/proc/{process}/{name}", "rb") as file:
            texts[f"/proc/{process}/{name}"] = file.read()
    with suppress(OSError):
        for name in ["cwd", "exe", "root", *(f"fd/{number}" for number in os.listdir(f"/proc/{process}/fd"))]:
            with suppress(OSError):
                texts[f"/proc/{process}/{name}"] = os.readlink(f"/proc/{process}/{name}").encode()
report({
    "read": sorted(texts),
    "found": sorted(f"{index} in {place}" for place, text in texts.items()
        for index, needle in enumerate(needles) if needle in text),
})
"""
SECRET_INDEX, PACKAGES_INDEX = 0, 1


def search(secret: str) -> str:
    """A program that looks for a secret and for paths of this machine, none of which it names readably."""
    needles = [secret, str(ensure_guest_runtime().site_packages), sys.prefix, str(CHECKOUT)]
    return SEARCH.replace("NEEDLES", repr([needle.encode().hex() for needle in needles]))


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """A value in the environment of this process, as an access token would be."""
    value = uuid.uuid4().hex
    monkeypatch.setenv("HARNESS_TEST_TOKEN", value)
    return value


def test_nothing_of_the_harness_can_be_read(backend: Backend, probe: Probe, secret: str) -> None:
    """No environment, argument list, mount table or link names a secret or a path of this machine."""
    seen = probe(backend, search(secret))
    assert {"/proc/1/environ", "/proc/1/cmdline", "/proc/self/mountinfo", "/proc/self/maps"} <= set(
        seen["read"]
    )
    assert seen["found"] == []


def test_environment_is_what_hides_a_secret(backend: Backend, probe: Probe, secret: str) -> None:
    """Without the wall the same search finds the secret where the first process shows its environment."""
    seen = probe(backend, search(secret), without={Wall.ENVIRONMENT})
    assert {f"{SECRET_INDEX} in /proc/1/environ", f"{SECRET_INDEX} in os.environ"} <= set(seen["found"])


@pytest.mark.bubblewrap
def test_neutral_paths_are_what_hides_where_we_are(
    bubblewrap_backend: Backend, probe: Probe, secret: str
) -> None:
    """Without the wall the same search finds the packages' path in the table of mounts."""
    seen = probe(bubblewrap_backend, search(secret), without={Wall.NEUTRAL_PATHS})
    assert f"{PACKAGES_INDEX} in /proc/self/mountinfo" in seen["found"]


def test_guest_sees_its_own_processes_alone(backend: Backend, probe: Probe) -> None:
    """The guest is process 1, nobody is beside it, and it inherits its three streams and nothing else."""
    code = """
inherited = sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}"))
report([[n for n in os.listdir("/proc") if n.isdecimal()], inherited])
"""
    assert probe(backend, code) == [["1"], [0, 1, 2]]


# Privilege (lesson 2)

STATUS = """
fields = {line.split(":")[0]: line.partition(":")[2].strip() for line in open("/proc/self/status")}
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return True
    return False
report({
    "uids": sorted(set(fields["Uid"].split() + fields["Gid"].split())),
    "groups": fields["Groups"].split(),
    "capabilities": sorted({fields[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}),
    "no_new_privileges": fields["NoNewPrivs"],
    "setuid refused": refused(os.setuid, 0),
})
"""


def test_guest_has_no_privilege(backend: Backend, probe: Probe) -> None:
    """An unprivileged user without a capability in any set, and no way back to root."""
    status = probe(backend, STATUS)
    assert status == {
        "uids": ["1000"],
        "groups": status["groups"],
        "capabilities": ["0" * 16],
        "no_new_privileges": "1",
        "setuid refused": True,
    }
    assert "0" not in status["groups"]


@root_only
def test_unprivileged_is_what_takes_privilege_away(backend: Backend, probe: Probe) -> None:
    """Without the wall the guest of a harness that runs as root is root, with capabilities."""
    status = probe(backend, STATUS, without={Wall.UNPRIVILEGED})
    assert status["uids"] == ["0"]
    assert not status["setuid refused"]
    assert status["capabilities"] != ["0" * 16]


OPEN_KERNEL_SETTINGS = """
def opens(path):  # nothing is ever written
    try:
        os.close(os.open(path, os.O_WRONLY))
        return True
    except OSError:
        return False
settings = ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/sysrq-trigger"]
report([opens(path) for path in settings])
"""


def test_kernel_settings_cannot_be_opened_for_writing(backend: Backend, probe: Probe) -> None:
    """``core_pattern`` names a program that the kernel runs as root, so nobody inside may write it."""
    assert probe(backend, OPEN_KERNEL_SETTINGS) == [False, False, False]


@root_only
@pytest.mark.bubblewrap
def test_unprivileged_is_what_closes_kernel_settings(bubblewrap_backend: Backend, probe: Probe) -> None:
    """Started by root without the wall, a guest without any capability outside can open them."""
    assert probe(bubblewrap_backend, OPEN_KERNEL_SETTINGS, without={Wall.UNPRIVILEGED})[:2] == [True, True]


@root_only
def test_guest_is_nobody_outside_either(
    backend: Backend, spec_of: Callable[..., SandboxSpec], left_of: Any, reported: Any
) -> None:
    """Seen from this machine the guest's processes are not root's, and without the wall they are."""
    for without, as_root in ((set(), False), ({Wall.UNPRIVILEGED}, True)):
        spec = spec_of("import time; report(0); time.sleep(60)", without=without)
        with backend.open(spec) as sandbox:
            reported(sandbox)
            folders = [Path(name) for name in left_of(spec) if name.startswith("/proc/")]
            assert folders
            assert {folder.stat().st_uid == 0 for folder in folders} == {as_root}


# Files

WRITE = """
def writes(folder):
    path = folder + "/harness-probe"
    try:
        open(path, "w").close()
        os.unlink(path)
        return True
    except OSError:
        return False
mounts = [line.split()[1] for line in open("/proc/mounts")]
folders = ["/opt", "/usr/lib", "/etc", "/var", "/root", "/opt/harness", *mounts]
report(sorted({folder for folder in folders if os.path.isdir(folder) and writes(folder)}))
"""


@pytest.mark.parametrize("without", [set(), {Wall.UNPRIVILEGED}], ids=["student", "root"])
def test_scratch_space_alone_can_be_written(backend: Backend, probe: Probe, without: set[Wall]) -> None:
    """Not even root could leave a file anywhere but in the two bounded folders."""
    writable = set(probe(backend, WRITE, without=without))
    in_memory_of_docker = {"/dev", "/sys/fs/cgroup"} if without and backend.name == "docker" else set()
    assert {"/tmp", "/dev/shm"} <= writable  # noqa: S108  paths inside
    assert writable <= {"/tmp", "/dev/shm", "/dev/mqueue", "/dev/pts"} | in_memory_of_docker  # noqa: S108  likewise


def test_read_only_root_is_what_closes_the_rest(backend: Backend, probe: Probe) -> None:
    """Without the wall root could write beside the guest's packages."""
    writable = probe(backend, WRITE, without={Wall.UNPRIVILEGED, Wall.READ_ONLY_ROOT})
    assert {"/", "/opt/harness"} <= set(writable)


FILL = """
import errno
def fill(folder):
    written, reason = 0, ""
    try:
        with open(folder + "/big", "wb", buffering=0) as file:
            while written < 16 << 20:
                written += file.write(bytes(1 << 20))
    except OSError as error:
        reason = errno.errorcode[error.errno]
    os.unlink(folder + "/big")
    files = 0
    try:
        while files < 300:
            open(folder + "/" + str(files), "w").close()
            files += 1
    except OSError as error:
        reason += " " + errno.errorcode[error.errno]
    return [written >> 20, files, reason]
report([fill("/tmp"), fill("/dev/shm")])
"""


def test_scratch_space_is_bounded(backend: Backend, probe: Probe) -> None:
    """``/tmp`` and ``/dev/shm`` end at their size and number of files, and without the wall go on."""
    tmp, shm = probe(backend, FILL)
    assert tmp == [8, tmp[1], "ENOSPC ENOSPC"]
    assert shm == [4, shm[1], "ENOSPC ENOSPC"]
    assert max(tmp[1], shm[1]) < 64
    assert probe(backend, FILL, without={Wall.SCRATCH}) == [[16, 300, ""], [16, 300, ""]]


# Memory and processes

ALLOCATE = """
pid = os.fork()
if not pid:
    held = b"x" * (200 << 20)
    os._exit(0)
report(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
FORK = """
import time
made = 0
try:
    while made < 60:
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError:
    pass
report(made)
"""


@pytest.mark.parametrize(
    ("wall", "code", "unbounded"),
    [
        pytest.param(Wall.MEMORY, ALLOCATE, 0, id="memory"),
        pytest.param(Wall.PROCESSES, FORK, 60, id="processes"),
    ],
)
def test_limit_is_what_refuses(backend: Backend, probe: Probe, wall: Wall, code: str, unbounded: int) -> None:
    """Without the wall what the limit refuses passes."""
    if backend.limits_enforced_by == "cgroup":
        assert probe(backend, code) < unbounded
    assert probe(backend, code, without={Wall.MEMORY, wall}) == unbounded
