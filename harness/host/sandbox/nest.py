"""Sandboxes out of one warmed parent: a process that has imported torch forks, and builds fresh walls.

The parent runs in bubblewrap and holds no byte of any submission; `harness.guest.nest` is its program. It is
asked for cells, each with walls, a control group and streams of its own, like every sandbox. A cell is
there in about a tenth of a second, where a sandbox that has to import torch takes one to two.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from harness.host.errors import SandboxError
from harness.host.guest_code import guest_bundle, guest_command
from harness.host.records import Usage
from harness.host.sandbox import cgroup
from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError
from harness.host.sandbox.seccomp import bpf_program
from harness.host.sandbox.stream import PipeStream
from harness.protocol import Message, ProtocolError, encode, read_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import IO

    from harness.host.sandbox.base import Sandbox, SandboxSpec

READY_SECONDS = 120.0  # of the machine: a cold disk has to give torch's libraries
WALLS_SECONDS = 30.0
KILL_SECONDS = 10.0
CREDENTIALS = struct.Struct("3i")
JOINED, WALLS_UP = b"g", b"w"
_counter = itertools.count(1)


class Parent(Protocol):
    """A started parent."""

    @property
    def sandbox(self) -> Sandbox:
        """Its own sandbox."""

    def connect(self) -> socket.socket:
        """The end at which it is asked for cells, once it has said that it is ready.

        Raises:
            OSError: it is gone, or cannot be reached from here.
        """

    def close(self) -> None:
        """End it; a second call does nothing."""


@dataclass(frozen=True, slots=True)
class CellSettings:
    """What is the same in all cells.

    Attributes:
        uid: of the student's processes, as they see it.
        environment: of the guest.
        masked: names under ``/proc`` that cells do not get to see.
    """

    uid: int
    environment: dict[str, str]
    masked: tuple[str, ...]


class Nest:
    """One warmed parent, from its start until it is closed.

    Args:
        parent: just started; it is ended with the nest.
        settings: of all cells.

    Attributes:
        lost: whether the parent turned out to have ended.

    Raises:
        SandboxError: it did not start.
    """

    def __init__(self, parent: Parent, settings: CellSettings) -> None:
        self._settings = settings
        self._requests = threading.Lock()
        self._inherited_bytes: int | None = None
        self._control: socket.socket | None = None
        self._parent = parent
        self.lost = False
        try:
            deadline = time.monotonic() + READY_SECONDS
            parent.sandbox.send(guest_bundle(), deadline)
            for part in encode(Message("nest", {}, {"policy": bpf_program()})):
                parent.sandbox.send(part, deadline)
        except (SandboxTimeoutError, SandboxClosedError) as error:
            self.close()
            raise self._broken(error) from error

    def open(self, spec: SandboxSpec) -> Cell:
        """Make a cell; it returns when all its walls are up.

        Raises:
            SandboxError: it could not be made.
        """
        own_bytes = self._wait_until_ready()
        inherited = own_bytes if _is_warm(spec) else 0
        limits = cgroup.Limits(max(1, spec.memory_bytes - inherited), spec.processes, spec.cpus)
        full = cgroup.Priority(cores=spec.cores)
        first = cgroup.Priority(cgroup.LOW_SHARES) if spec.low_priority else full
        group = cgroup.create(f"{spec.run_id}-cell{next(_counter)}", limits, first)
        if group is None:
            raise SandboxError("a cell needs a control group, and none can be made here", "harness doctor")
        try:
            stream = self._ask(spec, group)
        except BaseException:
            group.remove(time.monotonic() + KILL_SECONDS)
            raise
        return Cell(self, stream, group, full, inherited)

    def close(self) -> None:
        """End the parent; cells that are open end with it. A second call does nothing."""
        if self._control is not None:
            self._control.close()
        self._parent.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, spec: SandboxSpec, group: cgroup.Cgroup) -> PipeStream:
        pipes = Pipes()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with ours:
            try:
                with pipes.inside(), theirs:
                    self._request(spec, [*pipes.descriptors, theirs.fileno()])
                ours.settimeout(WALLS_SECONDS)
                group.join(_sender_of(ours))
                ours.sendall(JOINED)
                if ours.recv(1) != WALLS_UP:
                    raise ConnectionResetError("it ended before its walls were up")
            except (OSError, SandboxTimeoutError, SandboxClosedError, ProtocolError) as error:
                raise self._broken(error, PipeStream(pipes)) from error
        return PipeStream(pipes)

    def _request(self, spec: SandboxSpec, descriptors: list[int]) -> None:
        scratch = {"/tmp": spec.scratch_bytes, "/dev/shm": spec.shared_memory_bytes}  # noqa: S108  inside
        request: dict[str, Any] = {
            "command": [] if _is_warm(spec) else list(spec.command),
            "uid": self._settings.uid,
            "environment": self._settings.environment,
            "masked": self._settings.masked,
            "open_files": spec.open_files,
            "scratch": {
                path: f"size={size},nr_inodes={spec.scratch_files}" for path, size in scratch.items()
            },
        }
        with self._requests:
            try:
                if self._control is None:
                    raise ConnectionResetError("the parent was never ready")
                socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            except OSError:
                self.lost = True
                raise

    def _wait_until_ready(self) -> int:
        """Wait for the parent's imports; how much memory they took, which every cell begins with.

        It is charged to the parent, once. So that a limit means the same in every sandbox, and so does the
        peak, it counts as each warm cell's own. The parent says how much it is, since what the kernel charges
        its group has files in it too, more or less of them as they were read before; it runs no student code.
        """
        with self._requests:
            if self._inherited_bytes is None:
                deadline = time.monotonic() + READY_SECONDS
                try:
                    guest = self._parent.sandbox
                    ready = read_message(lambda size: guest.receive(size, deadline), max_blob_bytes=0)
                    self._control = self._parent.connect()
                except (OSError, SandboxTimeoutError, SandboxClosedError, ProtocolError) as error:
                    raise self._broken(error) from error
                self._inherited_bytes = int(ready.fields["own_bytes"])
            return self._inherited_bytes

    def _broken(self, error: Exception, cell: PipeStream | None = None) -> SandboxError:
        said = f"{cell.tail() if cell is not None else ''}{self._parent.sandbox.diagnostics()}".strip()[
            -2000:
        ]
        if cell is not None:
            cell.close()
        return SandboxError(
            f"a cell could not be made: {error!r}{f'; it wrote: {said}' if said else ''}", "harness doctor"
        )


class Pipes:
    """Three pipes to a guest.

    Attributes:
        descriptors: the guest's ends of its input, its output and its errors.
    """

    def __init__(self) -> None:
        read_input, write_input = os.pipe()
        read_output, write_output = os.pipe()
        read_errors, write_errors = os.pipe()
        self.descriptors = [read_input, write_output, write_errors]
        self.stdin: IO[bytes] = os.fdopen(write_input, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(read_output, "rb", buffering=0)
        self.stderr: IO[bytes] = os.fdopen(read_errors, "rb", buffering=0)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While the guest's ends are handed over; afterwards they are only the guest's."""
        try:
            yield
        finally:
            for descriptor in self.descriptors:
                os.close(descriptor)


class Cell:
    """One open cell; made by `Nest.open`."""

    def __init__(
        self,
        nest: Nest,
        stream: PipeStream,
        group: cgroup.Cgroup,
        full_priority: cgroup.Priority,
        inherited_bytes: int,
    ) -> None:
        self._nest = nest  # which lives as long as its cells
        self._stream, self._group, self._full_priority = stream, group, full_priority
        self._inherited_bytes = inherited_bytes
        self._last_usage = Usage()
        self._kill_lock = threading.Lock()
        self._killed = False

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """See `Sandbox.send`."""
        self._stream.send(data, deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        """See `Sandbox.receive`."""
        return self._stream.receive(size, deadline)

    def raise_priority(self) -> None:
        """See `Sandbox.raise_priority`."""
        with self._kill_lock:
            if not self._killed:
                self._group.set_priority(self._full_priority)

    def usage(self) -> Usage:
        """See `Sandbox.usage`."""
        if not self._killed:
            usage = self._group.usage()
            peak = usage.peak_memory_bytes
            self._last_usage = replace(
                usage, peak_memory_bytes=None if peak is None else peak + self._inherited_bytes
            )
        return self._last_usage

    def diagnostics(self) -> str:
        """See `Sandbox.diagnostics`."""
        return self._stream.tail()

    def kill(self) -> None:
        """See `Sandbox.kill`."""
        with self._kill_lock:
            if self._killed:
                return
            self.usage()
            self._killed = True
            deadline = time.monotonic() + KILL_SECONDS
            try:
                self._group.remove(deadline)
                gone = self._stream.wait_closed(deadline)
            finally:
                self._stream.close()
            if not gone:
                raise SandboxError("processes of a cell would not end")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _is_warm(spec: SandboxSpec) -> bool:
    """Whether the guest is the one that the parent has loaded; another command is executed anew."""
    return spec.command == guest_command()


def _sender_of(end: socket.socket) -> int:
    """The process that said hello, by this machine's count."""
    hello, ancillary, _, _ = end.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS.size))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and hello:
            pid: int = CREDENTIALS.unpack(data)[0]
            if pid > 1:
                return pid
    raise ConnectionResetError("it did not say who it is")
