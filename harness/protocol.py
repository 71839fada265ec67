"""What host and guest say to each other: outcomes, phases and length-capped messages.

Both sides import this module and nothing else of each other. It stands on the standard library alone,
because it travels into sandboxes whose Python has nothing but torch.

A message on the wire (all integers big-endian)::

    magic    4 bytes   b"HRN1"
    length   4 bytes   of the header
    header   JSON      {"kind": str, "fields": {...}, "blobs": [[name, size], ...]}
    blobs    bytes     one after the other, in the header's order

The reader states the most it will take before it reads; a longer message raises `ProtocolError` before
any of its bytes are kept.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAGIC = b"HRN1"
PREFIX = struct.Struct(">4sI")
MAX_HEADER = 1 << 20
MAX_BLOBS = 16
MAX_BLOB_BYTES = 1 << 62  # whatever a reader takes; a sum of sizes of any length could not even be shown


class Outcome(StrEnum):
    """The verdict on a submission; a fault of the harness or the machine is an exception instead."""

    OK = "ok"
    INVALID_SUBMISSION = "invalid_submission"
    IMPORT_ERROR = "import_error"
    CONTRACT_ERROR = "contract_error"
    RUNTIME_ERROR = "runtime_error"
    DIVERGED = "diverged"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    PROCESS_LIMIT = "process_limit"
    OUTPUT_LIMIT = "output_limit"
    INVALID_PREDICTIONS = "invalid_predictions"


# Either side may be the one that finds a limit reached, and the student reads the same advice.
MEMORY_HINT = "use a smaller batch_size or a smaller model, and keep loss.item(), not loss, of past batches"
PROCESS_HINT = "start fewer processes and threads; DataLoader workers are not needed for data in memory"


class Phase(StrEnum):
    """Where a submission stood when its outcome was decided."""

    SUBMISSION = "submission"
    TRAIN = "train"
    PREDICT = "predict"
    CHECK = "check"  # of a preflight, which neither trains to the end nor is graded


class ProtocolError(Exception):
    """The bytes are no message, or a message that is longer than was agreed."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a kind, small JSON fields, and named binary parts."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    blobs: Mapping[str, bytes | memoryview] = field(default_factory=dict)


def encode(message: Message) -> Iterator[bytes | memoryview]:
    """Yield the message's wire bytes in order, without copying its blobs."""
    header = json.dumps(
        {
            "kind": message.kind,
            "fields": dict(message.fields),
            "blobs": [[name, memoryview(blob).nbytes] for name, blob in message.blobs.items()],
        },
        separators=(",", ":"),
        allow_nan=False,
    ).encode()
    if len(header) > MAX_HEADER:
        raise ProtocolError(
            f"a header of {len(header)} bytes is over the {MAX_HEADER} that a message may have"
        )
    yield PREFIX.pack(MAGIC, len(header)) + header
    yield from message.blobs.values()


def parsing(*, max_blob_bytes: int, max_header: int = MAX_HEADER) -> Generator[int, bytes, Message]:
    """Parse one message, without doing any input or output itself.

    It yields how many bytes it needs next, is sent exactly these, and returns the message.

    Args:
        max_blob_bytes: the most that all binary parts together may have.
        max_header: the most that the JSON header may have.

    Raises:
        ProtocolError: what came is no message or over a cap.
    """
    magic, length = PREFIX.unpack((yield PREFIX.size))
    if magic != MAGIC:
        raise ProtocolError("the bytes that came are not a message")
    if length > max_header:
        raise ProtocolError(f"a header of {length} bytes came where {max_header} are allowed")
    kind, fields, sizes = _parse_header((yield length))
    total = sum(size for _, size in sizes)
    if total > max_blob_bytes:
        raise ProtocolError(f"{total} bytes of {kind!r} came where {max_blob_bytes} are allowed")
    blobs: dict[str, bytes | memoryview] = {}
    for name, size in sizes:
        blobs[name] = yield size
    return Message(kind, fields, blobs)


def read_message(
    read_exactly: Callable[[int], bytes], *, max_blob_bytes: int, max_header: int = MAX_HEADER
) -> Message:
    """Read one message with a function that returns exactly as many bytes as it is asked for, or raises.

    Raises:
        ProtocolError: what came is no message or over a cap; see `parsing`.
    """
    steps = parsing(max_blob_bytes=max_blob_bytes, max_header=max_header)
    wanted = next(steps)
    while True:
        try:
            wanted = steps.send(read_exactly(wanted))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


class Decoder:
    """Messages out of bytes that arrive in pieces of any size."""

    def __init__(self, *, max_blob_bytes: int, max_header: int = MAX_HEADER) -> None:
        self._caps = {"max_blob_bytes": max_blob_bytes, "max_header": max_header}
        self._buffer = bytearray()
        self._start()

    def _start(self) -> None:
        self._steps = parsing(**self._caps)
        self._wanted = next(self._steps)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take more bytes and yield the messages that they complete.

        Raises:
            ProtocolError: see `parsing`; the decoder is of no use afterwards.
        """
        self._buffer += data
        while len(self._buffer) >= self._wanted:
            piece = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            try:
                self._wanted = self._steps.send(piece)
            except StopIteration as stop:
                self._start()
                yield stop.value


def _parse_header(header: bytes) -> tuple[str, dict[str, Any], list[tuple[str, int]]]:
    try:
        parsed = json.loads(header)
        kind, fields, blobs = parsed["kind"], parsed["fields"], parsed["blobs"]
        sizes = [(name, size) for name, size in blobs]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError("a message's header is not of the agreed form") from error
    well_formed = (
        isinstance(kind, str)
        and isinstance(fields, dict)
        and len(sizes) <= MAX_BLOBS
        and all(isinstance(name, str) and type(size) is int for name, size in sizes)
        and all(0 <= size <= MAX_BLOB_BYTES for _, size in sizes)
        and len(dict(sizes)) == len(sizes)
    )
    if not well_formed:
        raise ProtocolError("a message's header is not of the agreed form")
    return kind, fields, sizes
