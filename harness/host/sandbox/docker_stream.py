"""The stream to a container: one attached socket with deadlines, standard output and error told apart.

What comes from the engine is a row of frames: a byte that names the stream (1 output, 2 error), three
zeros, the length as four big-endian bytes, and that many bytes
(https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach).
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME = struct.Struct(">BxxxL")
STDOUT, STDERR = 1, 2
CHUNK = 1 << 18
TAIL_BYTES = 16_384
MAX_UNREAD = 8 << 20  # of the guest's output, kept while nobody asks for it
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Closeable(Protocol):
    """Something with a descriptor."""

    def close(self) -> None:
        """Give it back."""


class Demultiplexer:
    """Takes the engine's frames apart, wherever the chunks they come in are cut."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.tail = bytearray()
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes: output is kept, of the error stream the last `TAIL_BYTES`."""
        rest = memoryview(chunk)
        while rest:
            if not self._left:
                missing = FRAME.size - len(self._header)
                self._header += rest[:missing]
                rest = rest[missing:]
                if len(self._header) == FRAME.size:
                    self._stream, self._left = FRAME.unpack(self._header)
                    self._header.clear()
                continue
            part = rest[: self._left]
            rest = rest[len(part) :]
            self._left -= len(part)
            if self._stream == STDOUT:
                self.output += part
            elif self._stream == STDERR:
                self.tail += part
                del self.tail[:-TAIL_BYTES]


class AttachedStream:
    """A container's standard streams over one socket; a call never waits past its deadline.

    While it sends it also reads, so a guest that writes before it has read everything does not block both
    sides. One thread at a time uses it, except for `close`, which wakes that thread.

    Args:
        attached: the connection, after the engine's answer to the request.
        holder: the HTTP answer that the connection belongs to; it is closed with it.
    """

    def __init__(self, attached: socket.socket, holder: Closeable | None = None) -> None:
        self._socket = attached
        self._holder = holder
        self._socket.settimeout(0)
        self._frames = Demultiplexer()
        self._ended = False
        self._lock = threading.Lock()
        self._in_use = False
        self._closed = False

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Write all of `data`; see `Sandbox.send`."""
        rest = memoryview(data)
        rest = rest.cast("B") if rest.nbytes else memoryview(b"")
        with self._using():
            while rest:
                _check(deadline)
                sent = self._send_some(rest[:CHUNK])
                rest = rest[sent:]
                room = len(self._frames.output) < MAX_UNREAD
                received = room and not self._ended and self._receive_some()
                if self._ended and rest:
                    raise SandboxClosedError("the guest no longer reads")  # the engine would take it for ever
                if not sent and not received:
                    self._wait(select.POLLOUT | (select.POLLIN if room and not self._ended else 0), deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        """Read exactly `size` bytes of standard output; see `Sandbox.receive`."""
        if not size:
            return b""
        output = self._frames.output
        with self._using():
            _check(deadline)
            while len(output) < size:
                if self._ended:
                    raise SandboxClosedError("the guest's last process is gone")
                if not self._receive_some():
                    self._wait(select.POLLIN, deadline)
                _check(deadline)  # here too: an endless error stream is always ready
        wanted = bytes(memoryview(output)[:size])
        del output[:size]
        return wanted

    def tail(self) -> str:
        """The last of what was written to standard error, as far as it has come."""
        with suppress(SandboxClosedError), self._using():
            self._drain()
        return self._frames.tail.decode(errors="replace")

    def close(self) -> None:
        """Take in what has come and close the socket; a thread that waits gets `SandboxClosedError`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._in_use:
                self._drain()
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            if not self._in_use:
                self._release()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keep `close` from taking the descriptor away under a thread that waits on it."""
        with self._lock:
            if self._closed:
                raise SandboxClosedError("the sandbox was ended")
            self._in_use = True
        try:
            yield
        finally:
            with self._lock:
                self._in_use = False
                if self._closed:
                    self._release()

    def _release(self) -> None:
        self._socket.close()
        if self._holder is not None:
            self._holder.close()

    def _drain(self) -> None:
        """Read what has come already, and not for ever where more keeps coming."""
        for _ in range(MAX_UNREAD // CHUNK):
            if self._ended or not self._receive_some():
                break

    def _send_some(self, data: memoryview) -> int:
        try:
            return self._socket.send(data)
        except WOULD_BLOCK:
            return 0
        except OSError as error:
            raise SandboxClosedError("the guest no longer reads") from error

    def _receive_some(self) -> bool:
        try:
            chunk = self._socket.recv(CHUNK)
        except WOULD_BLOCK:
            return False
        except OSError:
            chunk = b""  # the engine cut the line
        if not chunk:
            self._ended = True
        self._frames.feed(chunk)
        return bool(chunk)

    def _wait(self, events: int, deadline: float) -> None:
        poller = select.poll()
        poller.register(self._socket, events)
        poller.poll(max(0.0, deadline - time.monotonic()) * 1000)


def _check(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise SandboxTimeoutError
