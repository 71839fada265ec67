"""A backend that needs no sandbox: the guest is a thread of this process, behind no wall at all.

It keeps what `Sandbox` and `Backend` say of streams, deadlines and the end, and passes the same conformance
tests, so that what lies above them is tested without an engine, a process or torch. Nothing is limited, and
of its usage is known what a test says.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from harness.host.errors import SandboxError
from harness.host.records import Usage
from harness.host.sandbox.base import SandboxClosedError
from tests.fake_guest import Guest, Pipe, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from harness.host.sandbox.base import SandboxSpec

TAIL_BYTES = 16_384
SECONDS_TO_END = 10.0
NOTHING_USED = Usage()


class FakeSandbox:
    """One guest in a thread of its own.

    Only a guest that waits can be ended: for its streams, or in `Guest.sleep`.

    Attributes:
        spec: what it was opened with.
        used: what `usage` says; a test may change it at any time.
        priority_raised: whether `raise_priority` was called.
        killed: whether it was ended, and its thread with it.
    """

    def __init__(self, spec: SandboxSpec, play: Callable[[Guest], None], used: Usage) -> None:
        self.spec, self.used = spec, used
        self.priority_raised = self.killed = False
        self._was_killed = threading.Event()
        self._output = Pipe()
        self._input = Pipe()
        self._tail = b""
        self._kill_lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, args=(play,), name="fake-guest", daemon=True)
        self._thread.start()

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """See `Sandbox.send`."""
        if memoryview(data).nbytes:
            self._output.fall_silent(silent=False)
            self._input.write(memoryview(data).cast("B"), deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        """See `Sandbox.receive`."""
        received = bytearray()
        while len(received) < size:
            received += self._output.read(size - len(received), deadline)
        return bytes(received)

    def usage(self) -> Usage:
        """What the test says was used."""
        return self.used

    def diagnostics(self) -> str:
        """See `Sandbox.diagnostics`; the traceback of a guest that failed is in it."""
        return self._tail.decode(errors="replace")

    def raise_priority(self) -> None:
        """Remember it."""
        self.priority_raised = True

    def kill(self) -> None:
        """See `Sandbox.kill`."""
        with self._kill_lock:
            self._was_killed.set()
            for pipe in (self._input, self._output):
                pipe.close(discard=True)
            if self._thread is not threading.current_thread():
                self._thread.join(SECONDS_TO_END)
                if self._thread.is_alive():
                    raise SandboxError("the guest's thread would not end")
            self.killed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _live(self, play: Callable[[Guest], None]) -> None:
        try:
            Guest(self.spec, self._input, self._output, self._keep_tail, self._was_killed).live(play)
        finally:
            self._input.close()
            self._output.close()

    def _keep_tail(self, data: memoryview) -> None:
        if self._was_killed.is_set():
            raise SandboxClosedError
        self._tail = (self._tail + data)[-TAIL_BYTES:]


class FakeBackend:
    """Opens sandboxes that are threads.

    Args:
        guest: plays the guest in each of them; without it, they run the program of their command.
        usage: what they say was used.
        failures: raised at the openings with these numbers, counted from 0.

    Attributes:
        asked: the specification of each opening, whether it failed or not.
        opened: the sandboxes, in the order of their opening.
        closings: how often it was closed.
    """

    name = "fake"
    isolated = False
    image = ""
    limits_enforced_by = "nothing"

    def __init__(
        self,
        guest: Callable[[Guest], None] = run_program,
        *,
        usage: Usage = NOTHING_USED,
        failures: Mapping[int, Exception] | None = None,
    ) -> None:
        self.asked: list[SandboxSpec] = []
        self.opened: list[FakeSandbox] = []
        self.closings = 0
        self._guest, self._usage, self._failures = guest, usage, failures or {}
        self._lock = threading.Lock()

    def open(self, spec: SandboxSpec) -> FakeSandbox:
        """See `Backend.open`; no wall is raised and no limit is set."""
        with self._lock:
            failure = self._failures.get(len(self.asked))
            self.asked.append(spec)
            if failure is not None:
                raise failure
            sandbox = FakeSandbox(spec, self._guest, self._usage)
            self.opened.append(sandbox)
            return sandbox

    def close(self) -> None:
        """Count it."""
        self.closings += 1

    def sweep(self) -> int:
        """Nothing outlives this process."""
        return 0
