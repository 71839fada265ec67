"""The stream to a guest that is a process of this machine: pipes with deadlines, and a bounded tail."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError

if TYPE_CHECKING:
    from typing import IO

CHUNK = 1 << 20
TAIL_BYTES = 16_384
DRAIN_READS = 8
SECONDS_BETWEEN_LOOKS = 0.5  # of a thread that waits, for another one that closes


def start_and_stay(
    command: list[str], descriptors: tuple[int, ...], environment: dict[str, str] | None
) -> subprocess.Popen[bytes]:
    """Start a process from a thread of its own that ends only after it, with three pipes.

    bubblewrap dies with its parent, and to the kernel a parent is the thread that started it: a sandbox that
    was opened in a pool's thread would end with that thread.

    Args:
        command: the argument list.
        descriptors: what it inherits beside the pipes.
        environment: None for this process's own.

    Raises:
        OSError: it did not start.
    """
    started: Future[subprocess.Popen[bytes]] = Future()

    def parent() -> None:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=descriptors,
                env=environment,
                start_new_session=True,
            )
        except BaseException as error:  # noqa: BLE001  it is raised in the thread that asked
            started.set_exception(error)
            return
        started.set_result(process)
        with suppress(ChildProcessError):  # it was waited for already
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    threading.Thread(target=parent, name="sandbox-parent", daemon=True).start()
    return started.result()


class ThreePipes(Protocol):
    """What a guest's streams are at this end, such as a `subprocess.Popen` with three pipes."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Its input."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Its output."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """Its errors."""


class PipeStream:
    """Reads and writes a process's pipes, none of which ever blocks past a deadline.

    One thread at a time uses it, except for `wait_closed` and `close`: these wait until no thread is inside
    `send` or `receive`, since a descriptor that is closed under a thread may be another file's by then.
    """

    def __init__(self, process: ThreePipes) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process must have been started with three pipes")
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._tail = bytearray()
        self._stderr_open = True
        self._in_use = threading.Lock()
        self._closing = False
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Write all of `data`; see `Sandbox.send`."""
        rest = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b"")
        with self._in_use:
            while rest:
                self._wait(self._stdin, select.POLLOUT, deadline)
                try:
                    rest = rest[os.write(self._stdin.fileno(), rest[:CHUNK]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise SandboxClosedError("the guest no longer reads") from error

    def receive(self, size: int, deadline: float) -> bytes:
        """Read exactly `size` bytes; see `Sandbox.receive`."""
        received = bytearray()
        with self._in_use:
            while len(received) < size:
                self._wait(self._stdout, select.POLLIN, deadline)
                try:
                    chunk = os.read(self._stdout.fileno(), min(CHUNK, size - len(received)))
                except BlockingIOError:
                    continue
                if not chunk:
                    raise SandboxClosedError("the guest's last process is gone")
                received += chunk
        return bytes(received)

    def wait_closed(self, deadline: float) -> bool:
        """Discard what still comes until every process at the other end is gone; False at the deadline."""
        if not self._in_use.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        try:
            while True:
                self._wait(self._stdout, select.POLLIN, deadline)
                if not os.read(self._stdout.fileno(), CHUNK):
                    return True
        except SandboxTimeoutError:
            return False
        finally:
            self._in_use.release()

    def tail(self) -> str:
        """The last of what was written to standard error."""
        self._drain_stderr()
        return self._tail.decode(errors="replace")

    def close(self) -> None:
        """Close all three pipes; a thread that waits on them gets `SandboxClosedError`."""
        self._closing = True
        with self._in_use:
            self._drain_stderr()
            for pipe in (self._stdin, self._stdout, self._stderr):
                with suppress(OSError):
                    pipe.close()
            self._stderr_open = False

    def _wait(self, pipe: IO[bytes], event: int, deadline: float) -> None:
        while True:
            if self._closing:
                raise SandboxClosedError("the sandbox was ended")
            descriptor = pipe.fileno()
            poller = select.poll()
            poller.register(descriptor, event)
            if self._stderr_open:
                poller.register(self._stderr.fileno(), select.POLLIN)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise SandboxTimeoutError
            ready = [which for which, _ in poller.poll(min(remaining, SECONDS_BETWEEN_LOOKS) * 1000)]
            if self._stderr_open and self._stderr.fileno() in ready:
                self._drain_stderr()
            if descriptor in ready:
                return

    def _drain_stderr(self) -> None:
        """Take what has come, but no more than a pipe holds: an endless writer must not keep us here."""
        for _ in range(DRAIN_READS):
            if not self._stderr_open:
                return
            try:
                chunk = os.read(self._stderr.fileno(), TAIL_BYTES)
            except BlockingIOError:
                return
            self._stderr_open = bool(chunk)
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
