"""The guest's side of `harness.protocol`, for guests that a test makes up: what one hears and says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from harness.protocol import Message, encode, read_message

if TYPE_CHECKING:
    from tests.fake_guest import Guest

MAX_JOB_BYTES = 1 << 30


class Wire:
    """A guest's streams as messages.

    Attributes:
        heard: what the host has said so far.
    """

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.heard: list[Message] = []

    def code(self) -> bytes:
        """The guest's code, with the length before it, as the bootstrap program takes it."""
        length = self._read(8)
        return length + self._read(int.from_bytes(length, "big"))

    def hear(self) -> Message:
        """The host's next message."""
        self.heard.append(read_message(self._read, max_blob_bytes=MAX_JOB_BYTES))
        return self.heard[-1]

    def say(self, *items: Message | bytes) -> None:
        """Send messages, or bytes that are none."""
        for item in items:
            for part in [item] if isinstance(item, bytes) else encode(item):
                self._guest.stdout.buffer.write(part)
        self._guest.stdout.flush()

    def be_late(self) -> Message:
        """Say nothing before the host's deadline, which passes at once; what the host says then."""
        self._guest.fall_silent()
        return self.hear()

    def hang(self) -> NoReturn:
        """Say nothing more, whatever the host says."""
        while True:
            self.be_late()

    def _read(self, size: int) -> bytes:
        return self._guest.stdin.buffer.read(size)
