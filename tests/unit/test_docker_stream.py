"""The stream to a container, over a socket pair whose other end plays the engine."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError
from harness.host.sandbox.docker_stream import FRAME, MAX_UNREAD, TAIL_BYTES, AttachedStream, Demultiplexer

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTPUT, ERROR = 1, 2
SECONDS = 10.0


def frame(stream: int, content: bytes) -> bytes:
    """Wrap bytes as the engine does."""
    return FRAME.pack(stream, len(content)) + content


def soon(seconds: float = SECONDS) -> float:
    """So many seconds from now."""
    return time.monotonic() + seconds


class Holder:
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.fixture
def pair() -> Iterator[tuple[AttachedStream, socket.socket]]:
    """A stream, and the engine's end of it."""
    near, engine = socket.socketpair()
    stream = AttachedStream(near)
    yield stream, engine
    stream.close()
    engine.close()


@given(
    frames=st.lists(st.tuples(st.sampled_from([OUTPUT, ERROR]), st.binary(max_size=40)), max_size=8),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
)
def test_frames_come_apart_wherever_they_are_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """Output and errors are the same bytes in the same order, however the network cuts the frames."""
    demultiplexer = Demultiplexer()
    wire = b"".join(frame(stream, content) for stream, content in frames)
    turn = 0
    while wire:
        cut = cuts[turn % len(cuts)]
        demultiplexer.feed(wire[:cut])
        wire, turn = wire[cut:], turn + 1
    assert demultiplexer.output == b"".join(content for stream, content in frames if stream == OUTPUT)
    assert demultiplexer.tail == b"".join(content for stream, content in frames if stream == ERROR)


def test_error_stream_keeps_its_end_only() -> None:
    """However much a guest writes to standard error, 16 KiB of it are held."""
    demultiplexer = Demultiplexer()
    for _ in range(100):
        demultiplexer.feed(frame(ERROR, b"x" * 1000))
    demultiplexer.feed(frame(ERROR, b"end"))
    assert len(demultiplexer.tail) == TAIL_BYTES
    assert demultiplexer.tail.endswith(b"xend")


def test_receive_gives_exactly_what_is_asked_for(pair: tuple[AttachedStream, socket.socket]) -> None:
    """Sizes of reads do not have to match sizes of frames, and nothing may be asked for too."""
    stream, engine = pair
    engine.sendall(frame(OUTPUT, b"abcdef") + frame(ERROR, b"!") + frame(OUTPUT, b"gh"))
    assert stream.receive(0, soon()) == b""
    assert stream.receive(4, soon()) == b"abcd"
    assert stream.receive(4, soon()) == b"efgh"
    assert stream.tail() == "!"


def test_send_of_nothing_needs_no_reader(pair: tuple[AttachedStream, socket.socket]) -> None:
    """An empty part of a message is no write."""
    stream, engine = pair
    stream.send(b"", soon(0))
    stream.send(memoryview(b""), soon(0))
    engine.settimeout(0)
    with pytest.raises(BlockingIOError):
        engine.recv(1)


def test_send_takes_any_buffer(pair: tuple[AttachedStream, socket.socket]) -> None:
    """Numbers are sent as their bytes, without a copy."""
    stream, engine = pair
    stream.send(memoryview(b"\1\2\3\4").cast("I"), soon())
    assert engine.recv(8) == b"\1\2\3\4"


def test_a_flood_while_sending_is_held_back(pair: tuple[AttachedStream, socket.socket]) -> None:
    """While the host sends, it keeps a bounded part of what the guest writes, and its deadline."""
    stream, engine = pair
    flood = threading.Thread(target=_flood, args=(engine,), daemon=True)
    flood.start()
    with pytest.raises(SandboxTimeoutError):
        stream.send(bytes(8 << 20), soon(0.5))
    held = len(stream._frames.output)
    stream.close()
    engine.close()
    flood.join(SECONDS)
    assert MAX_UNREAD <= held < 2 * MAX_UNREAD


def _flood(engine: socket.socket) -> None:
    try:
        while True:
            engine.sendall(frame(OUTPUT, bytes(65_536)))
    except OSError:
        return


def test_closed_line_is_told_after_its_last_byte(pair: tuple[AttachedStream, socket.socket]) -> None:
    """What came before the end is still given; what did not come is no message."""
    stream, engine = pair
    engine.sendall(frame(OUTPUT, b"abc"))
    engine.close()
    assert stream.receive(2, soon()) == b"ab"
    with pytest.raises(SandboxClosedError):
        stream.receive(2, soon())
    with pytest.raises(SandboxClosedError):
        stream.send(b"more", soon())


def test_deadline_that_has_passed_is_an_error_at_once(pair: tuple[AttachedStream, socket.socket]) -> None:
    """No call starts to wait after its deadline."""
    stream, _ = pair
    with pytest.raises(SandboxTimeoutError):
        stream.receive(1, soon(-1))


def test_close_wakes_the_thread_that_waits_and_frees_once() -> None:
    """Another thread may close; the connection is given back once, after its user has let go."""
    near, engine = socket.socketpair()
    holder = Holder()
    stream = AttachedStream(near, holder)
    closer = threading.Timer(0.2, stream.close)
    closer.start()
    with pytest.raises(SandboxClosedError):
        stream.receive(1, soon())
    closer.join()
    stream.close()
    engine.close()
    assert holder.closed == 1
    assert near.fileno() == -1


def test_after_a_kill_only_the_last_words_are_left(pair: tuple[AttachedStream, socket.socket]) -> None:
    """As with every sandbox: nothing is read any more, and staff still get what was written as errors."""
    stream, engine = pair
    engine.sendall(frame(OUTPUT, b"result") + frame(ERROR, b"reason"))
    assert stream.receive(1, soon()) == b"r"
    stream.close()
    assert stream.tail() == "reason"
    with pytest.raises(SandboxClosedError):
        stream.receive(1, soon())
