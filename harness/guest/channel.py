"""Messages over file descriptors, for the supervisor and its child."""

from __future__ import annotations

import os
import threading

from harness import protocol

CHUNK = 1 << 20


class ChannelClosedError(Exception):
    """The other end is gone."""


def read_exactly(descriptor: int, size: int) -> bytes:
    """Read `size` bytes from a blocking descriptor.

    Raises:
        ChannelClosedError: the other end closed first.
    """
    received = bytearray()
    while len(received) < size:
        chunk = os.read(descriptor, min(CHUNK, size - len(received)))
        if not chunk:
            raise ChannelClosedError
        received += chunk
    return bytes(received)


def write(descriptor: int, message: protocol.Message) -> None:
    """Write a message to a blocking descriptor.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    for part in protocol.encode(message):
        rest = memoryview(part).cast("B") if memoryview(part).nbytes else memoryview(b"")
        while rest:
            rest = rest[os.write(descriptor, rest[:CHUNK]) :]


class Sender:
    """Writes messages from the child to the supervisor, one at a time whichever thread asks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: protocol.Message) -> None:
        """Write one message."""
        with self._lock:
            write(self._descriptor, message)
