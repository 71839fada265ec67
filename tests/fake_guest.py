"""The guest of a fake sandbox: a thread of this process at the other end of two bounded pipes."""

from __future__ import annotations

import builtins
import functools
import hashlib
import io
import json
import math
import sys
import threading
import time
import traceback
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import SandboxSpec

CAPACITY = 1 << 16  # of a pipe, as Linux has it


class GuestKilledError(BaseException):
    """Ends a guest's thread; no ``except Exception`` of a guest's program keeps it back."""


class Pipe:
    """Bytes on their way from one thread to another. Few fit in, so that a writer waits for the reader."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._closed = self._silent = False

    def write(self, data: memoryview, deadline: float = math.inf) -> None:
        """Write all of `data`.

        Raises:
            SandboxTimeoutError: the deadline passed first.
            SandboxClosedError: it is closed.
        """
        while data:
            with self._changed:
                self._wait(lambda: len(self._bytes) < CAPACITY, deadline)
                if self._closed:
                    raise SandboxClosedError
                room = CAPACITY - len(self._bytes)
                self._bytes += data[:room]
                self._changed.notify_all()
            data = data[room:]

    def read(self, most: int, deadline: float = math.inf) -> bytes:
        """Read at least one byte; what was written before the end is read before it.

        Raises:
            SandboxTimeoutError: the deadline passed first, or the writer fell silent.
            SandboxClosedError: it is closed and empty.
        """
        with self._changed:
            self._wait(lambda: self._bytes or self._silent, deadline)
            if not self._bytes:
                raise SandboxClosedError if self._closed else SandboxTimeoutError
            data = bytes(self._bytes[:most])
            del self._bytes[:most]
            self._changed.notify_all()
        return data

    def fall_silent(self, *, silent: bool = True) -> None:
        """Say whether a reader need not wait for its deadline, since nothing comes before it."""
        with self._changed:
            self._silent = silent
            self._changed.notify_all()

    def close(self, *, discard: bool = False) -> None:
        """Take no further bytes, and wake whoever waits.

        Args:
            discard: whether what lies in it can no longer be read either.
        """
        with self._changed:
            self._closed = True
            if discard:
                self._bytes.clear()
            self._changed.notify_all()

    def _wait(self, is_ready: Callable[[], Any], deadline: float) -> None:
        while not self._closed:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise SandboxTimeoutError
            if is_ready():
                return
            self._changed.wait(min(remaining, threading.TIMEOUT_MAX))


class _Input(io.RawIOBase):
    """Something to read from, as a file."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._read(view.nbytes)
        except SandboxClosedError:
            raise GuestKilledError from None
        view[: len(data)] = data
        return len(data)


class _Output(io.RawIOBase):
    """Something to write to, as a file."""

    def __init__(self, write: Callable[[memoryview], None]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        try:
            self._write(view)
        except SandboxClosedError:
            raise GuestKilledError from None
        return view.nbytes


class Guest:
    """The guest's end of a sandbox. Whatever it waits for ends when the sandbox is killed.

    Args:
        spec: what the sandbox was opened with.
        received: what the host sends.
        sent: what the host receives.
        complain: takes what is written to standard error.
        killed: set when the sandbox is killed; the pipes are closed then.

    Attributes:
        stdin: as ``sys.stdin`` is, with a ``buffer`` for bytes.
        stdout: as ``sys.stdout`` is.
        stderr: as ``sys.stderr`` is.
    """

    def __init__(
        self,
        spec: SandboxSpec,
        received: Pipe,
        sent: Pipe,
        complain: Callable[[memoryview], None],
        killed: threading.Event,
    ) -> None:
        self.spec = spec
        self._sent, self._killed = sent, killed
        self._files = _Input(received.read), _Output(sent.write), _Output(complain)
        self.stdin = io.TextIOWrapper(io.BufferedReader(self._files[0]), "utf-8")
        self.stdout = io.TextIOWrapper(io.BufferedWriter(self._files[1]), "utf-8")
        self.stderr = io.TextIOWrapper(io.BufferedWriter(self._files[2]), "utf-8", line_buffering=True)

    def sleep(self, seconds: float) -> None:
        """Wait as ``time.sleep`` does."""
        if self._killed.wait(seconds):
            raise GuestKilledError

    def fall_silent(self) -> None:
        """Say that nothing more is written before the host sends something, so that a test need not wait.

        Where the host would wait for the guest until its deadline, that passes at once.
        """
        self._sent.fall_silent()

    def live(self, play: Callable[[Guest], None]) -> None:
        """Run a guest to its end as an interpreter does: its traceback is shown, its output is flushed."""
        with suppress(GuestKilledError):
            try:
                play(self)
            except SystemExit:
                pass
            except Exception:  # noqa: BLE001  whatever it is, it is shown
                traceback.print_exc(file=self.stderr)
            self.stdout.flush()
            self.stderr.flush()
        for file in self._files:
            file.close()  # so that nobody tries to flush what a kill left in the buffers


def run_program(guest: Guest) -> None:
    """Run the Python program of the specification's command, which may use its streams and the time.

    Its ``sys``, ``time``, ``print`` and ``input`` are the sandbox's own, and there are few other modules: it
    runs in this process, so what it could do to a process would be done to this one.
    """
    program = guest.spec.command[guest.spec.command.index("-c") + 1]
    streams = SimpleNamespace(stdin=guest.stdin, stdout=guest.stdout, stderr=guest.stderr, exit=sys.exit)
    clock = SimpleNamespace(**{**vars(time), "sleep": guest.sleep})
    modules = {"sys": streams, "time": clock, "os": SimpleNamespace(), "json": json, "hashlib": hashlib}

    def find(name: str, *_: Any) -> Any:
        if name not in modules:
            raise ImportError(f"a fake sandbox has no module {name}")
        return modules[name]

    def read_line() -> str:
        line = guest.stdin.readline()
        return line.removesuffix("\n")

    known = vars(builtins) | {
        "__import__": find,
        "input": read_line,
        "print": functools.partial(print, file=guest.stdout),
    }
    del known["open"]
    exec(compile(program, "<string>", "exec"), {"__name__": "__main__", "__builtins__": known})  # noqa: S102
