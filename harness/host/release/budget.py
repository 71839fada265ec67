"""How much may be unpacked of a kit, so that no file keeps the search busy without end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_BYTES = 1 << 28  # of all that is unpacked of a kit
MOST_PARTS = 100_000
CHUNK = 1 << 20


class UnreadableError(Exception):
    """A part that cannot be looked into; its text says why."""


@dataclass(slots=True)
class Budget:
    """What may still be unpacked."""

    size: int = MOST_BYTES
    parts: int = MOST_PARTS

    def take(self, data: bytes) -> bytes:
        """Count bytes that were unpacked.

        Raises:
            UnreadableError: they are too many.
        """
        self.size -= len(data)
        self.parts -= 1
        if self.size < 0 or self.parts < 0:
            raise UnreadableError("it unpacks to more than can be looked through")
        return data

    def read(self, stream: Any) -> bytes:  # noqa: ANN401  a file of any of the readers
        """Read a stream to its end, but never more than is left."""
        pieces = []
        while piece := stream.read(CHUNK):
            pieces.append(self.take(piece))
            self.parts += 1
        return b"".join(pieces)
