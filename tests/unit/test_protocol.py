"""Messages arrive as they were sent, however they are cut up, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocol import (
    MAGIC,
    MAX_BLOBS,
    MAX_HEADER,
    PREFIX,
    Decoder,
    Message,
    ProtocolError,
    encode,
    read_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
messages = st.builds(
    Message,
    st.text(),
    st.dictionaries(st.text(), values, max_size=4),
    st.dictionaries(st.text(), st.binary(max_size=200), max_size=4),
)


def wire(*sent: Message) -> bytes:
    """All bytes of some messages."""
    return b"".join(bytes(part) for message in sent for part in encode(message))


def from_bytes(data: bytes) -> Callable[[int], bytes]:
    """A function that gives out `data` exactly, as `read_message` wants it."""
    stream = io.BytesIO(data)

    def read_exactly(size: int) -> bytes:
        piece = stream.read(size)
        if len(piece) < size:
            raise EOFError
        return piece

    return read_exactly


def with_header(header: Any) -> bytes:
    """The start of a message whose header is any JSON."""
    text = json.dumps(header).encode()
    return PREFIX.pack(MAGIC, len(text)) + text


@given(messages)
def test_message_is_read_as_it_was_written(message: Message) -> None:
    """Kind, fields and blobs come back equal."""
    assert read_message(from_bytes(wire(message)), max_blob_bytes=1000) == message


@given(st.lists(messages, max_size=3), st.data())
def test_messages_come_out_of_pieces_of_any_size(sent: list[Message], data: st.DataObject) -> None:
    """Where a network or a pipe cuts the bytes does not matter."""
    stream = wire(*sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = Decoder(max_blob_bytes=1000)
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [message for piece in pieces for message in decoder.feed(piece)] == sent


def test_memory_is_sent_without_a_copy() -> None:
    """A blob is passed on as it is, and counted in bytes whatever its items are."""
    numbers = memoryview(bytearray(16)).cast("i")
    header, blob = encode(Message("x", {}, {"numbers": numbers}))
    assert blob is numbers
    assert json.loads(bytes(header)[PREFIX.size :])["blobs"] == [["numbers", 16]]


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    """Random bytes either wait for more or are no message; no other error comes out."""
    decoder = Decoder(max_blob_bytes=100)
    try:
        list(decoder.feed(garbage))
    except ProtocolError:
        return
    assert len(garbage) < PREFIX.size or garbage.startswith(MAGIC)


@given(values | st.fixed_dictionaries({"kind": values, "fields": values, "blobs": values}))
def test_any_header_is_a_message_or_refused(header: Any) -> None:
    """A header of the wrong form is a `ProtocolError`, never a `TypeError` of ours."""
    try:
        list(Decoder(max_blob_bytes=100).feed(with_header(header)))
    except ProtocolError:
        return
    assert isinstance(header["kind"], str)
    assert isinstance(header["fields"], dict)


@pytest.mark.parametrize(
    "blobs",
    [
        [["a", -1]],
        [["a", 1.0]],
        [["a", True]],
        [["a", "1"]],
        [["a", 1], ["a", 1]],
        [[["a"], 1]],
        [[1, 1]],
        [["a"]],
        {"a": 1},
        None,
        7,
        [[str(number), 0] for number in range(MAX_BLOBS + 1)],
    ],
)
def test_table_of_blobs_is_checked(blobs: Any) -> None:
    """Sizes are whole numbers, names are texts that occur once, and there are not too many."""
    with pytest.raises(ProtocolError, match="agreed form"):
        list(Decoder(max_blob_bytes=100).feed(with_header({"kind": "x", "fields": {}, "blobs": blobs})))


@pytest.mark.parametrize(
    "header", [b"\xff", b"[" * 100_000, b"1" * 10_000, b"", b"{", b'"text"'], ids=lambda header: header[:2]
)
def test_header_that_is_no_json_is_refused(header: bytes) -> None:
    """Invalid UTF-8, endless nesting and huge numbers are refused like any other text."""
    with pytest.raises(ProtocolError, match="agreed form"):
        read_message(from_bytes(PREFIX.pack(MAGIC, len(header)) + header), max_blob_bytes=0)


def test_other_bytes_are_refused_at_the_first_eight() -> None:
    """A stray print is seen before anything is waited for."""
    with pytest.raises(ProtocolError, match="not a message"):
        list(Decoder(max_blob_bytes=0).feed(b"epoch 1:"))


def test_long_header_is_refused_before_it_is_read() -> None:
    """Only its length has come when the reader gives up."""
    with pytest.raises(ProtocolError, match="101 bytes came where 100"):
        read_message(from_bytes(PREFIX.pack(MAGIC, 101)), max_blob_bytes=0, max_header=100)


def test_long_blobs_are_refused_before_they_are_read() -> None:
    """Only their sizes have come when the reader gives up, and it is their sum that counts."""
    header = {"kind": "result", "fields": {}, "blobs": [["a", 60], ["b", 41]]}
    with pytest.raises(ProtocolError, match="101 bytes of 'result' came where 100"):
        read_message(from_bytes(with_header(header)), max_blob_bytes=100)


def test_blobs_up_to_the_cap_are_read() -> None:
    """The cap itself is allowed."""
    message = Message("result", {}, {"a": bytes(60), "b": bytes(40)})
    assert read_message(from_bytes(wire(message)), max_blob_bytes=100) == message


def test_header_that_is_too_long_is_not_written() -> None:
    """The writer keeps to what the reader will take."""
    with pytest.raises(ProtocolError, match=str(MAX_HEADER)):
        list(encode(Message("x", {"text": "x" * MAX_HEADER})))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_not_written(value: float) -> None:
    """NaN and Infinity are no JSON."""
    with pytest.raises(ValueError, match="JSON compliant"):
        list(encode(Message("x", {"value": value})))
