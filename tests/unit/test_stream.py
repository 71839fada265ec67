"""The stream to a process of this machine: nothing waits past its deadline or grows without bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError
from harness.host.sandbox.stream import TAIL_BYTES, PipeStream, start_and_stay

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
SLEEP = "import time; time.sleep(60)"
ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read({size})[::-1])"


def deadline(seconds: float = 20.0) -> float:
    """So many seconds from now."""
    return time.monotonic() + seconds


def python(code: str) -> list[str]:
    """The argument list of a small Python program."""
    return [sys.executable, "-I", "-S", "-c", code]


@contextmanager
def stream_to(code: str) -> Iterator[PipeStream]:
    """A stream to a process that runs `code`; both are ended."""
    process = start_and_stay(python(code), (), None)
    stream = PipeStream(process)
    try:
        yield stream
    finally:
        process.kill()
        process.wait()
        stream.close()


def test_bytes_come_back() -> None:
    """More than a pipe holds goes each way, in any kind of buffer."""
    payload = os.urandom(4 * MIB)
    with stream_to(ECHO.format(size=len(payload) + 8)) as stream:
        stream.send(payload, deadline())
        stream.send(b"", deadline())
        stream.send(memoryview(bytearray(b"8 bytes!")).cast("i"), deadline())
        assert stream.receive(8, deadline()) == b"!setyb 8"
        assert stream.receive(len(payload), deadline()) == payload[::-1]


@pytest.mark.parametrize(
    "code",
    [SLEEP, "import os\nwhile True: os.write(2, bytes(65536))", f"print('x', end='', flush=True); {SLEEP}"],
    ids=["silent", "endless errors", "too few bytes"],
)
def test_receive_ends_at_its_deadline(code: str) -> None:
    """Whatever the process does instead of answering."""
    with stream_to(code) as stream:
        began = time.monotonic()
        with pytest.raises(SandboxTimeoutError):
            stream.receive(2, deadline(0.3))
        assert 0.25 < time.monotonic() - began < 3


def test_send_ends_at_its_deadline() -> None:
    """A pipe that nobody empties is full soon."""
    with stream_to(SLEEP) as stream:
        began = time.monotonic()
        with pytest.raises(SandboxTimeoutError):
            stream.send(bytes(MIB), deadline(0.3))
        assert time.monotonic() - began < 3


def test_deadline_that_has_passed_is_kept_even_when_bytes_are_there() -> None:
    """A guest that is always ready gets no more time than another."""
    with stream_to(f"import os; os.write(1, b'x'); {SLEEP}") as stream:
        with pytest.raises(SandboxTimeoutError):
            stream.receive(1, deadline(-1))
        assert stream.receive(1, deadline()) == b"x"


def test_end_is_told_to_both_sides() -> None:
    """Reading and writing both say that the process is gone, after its last byte was read."""
    with stream_to("print('last', end='')") as stream:
        assert stream.receive(4, deadline()) == b"last"
        with pytest.raises(SandboxClosedError, match="last process"):
            stream.receive(1, deadline())
        with pytest.raises(SandboxClosedError, match="no longer reads"):
            stream.send(bytes(MIB), deadline())


def test_tail_is_the_end_of_the_error_stream() -> None:
    """No more than 16 KiB are kept, of the end, and bytes that are no text do not matter."""
    with stream_to(
        "import os; [os.write(2, b'a' * 1000) for _ in range(900)]; os.write(2, b'\\xffend')"
    ) as stream:
        with pytest.raises(SandboxClosedError):
            stream.receive(1, deadline())
        assert stream.tail().endswith("aaa\N{REPLACEMENT CHARACTER}end")
        assert len(stream.tail()) == TAIL_BYTES
    assert stream.tail().endswith("end")


def test_tail_of_an_endless_error_stream_can_be_had() -> None:
    """Asking for it does not take as long as the process goes on writing."""
    with stream_to("import os\nwhile True: os.write(2, b'x' * 65536)") as stream:
        end = deadline(5)
        while len(stream.tail()) < TAIL_BYTES:
            assert time.monotonic() < end
        assert len(stream.tail()) == TAIL_BYTES


def test_end_of_all_processes_can_be_waited_for() -> None:
    """Output that nobody wanted is thrown away, and the end is told apart from the deadline."""
    with stream_to(f"import os; os.write(1, bytes({MIB}))") as stream:
        assert stream.wait_closed(deadline())
    with stream_to(SLEEP) as stream:
        assert not stream.wait_closed(deadline(0.1))


def test_daemon_that_holds_the_stream_is_seen() -> None:
    """The first process's end is not the end while another can still write."""
    code = "import os, time\nif os.fork() == 0:\n    time.sleep(0.5); os.write(1, b'daemon')"
    with stream_to(code) as stream:
        assert not stream.wait_closed(deadline(0.1))
        assert stream.wait_closed(deadline())


def test_close_wakes_a_thread_that_waits() -> None:
    """Whoever waits for a process that goes on is told that the sandbox was ended."""
    with stream_to(SLEEP) as stream:
        closer = threading.Timer(0.2, stream.close)
        closer.start()
        with pytest.raises(SandboxClosedError, match="ended"):
            stream.receive(1, deadline())
        closer.join()
        with pytest.raises(SandboxClosedError, match="ended"):
            stream.send(b"x", deadline())
        stream.close()


def test_process_without_pipes_is_refused() -> None:
    """All three streams must be pipes, or a guest could write where it likes."""
    with (
        subprocess.Popen(python("pass"), stdin=subprocess.PIPE) as process,
        pytest.raises(ValueError, match="three"),
    ):
        PipeStream(process)


def test_process_dies_with_the_harness_and_not_with_the_thread_that_started_it() -> None:
    """The kernel takes the starting thread for the parent, so that thread stays as long as the process."""
    die_with_parent = f"import ctypes; ctypes.CDLL(None).prctl(1, 9); print('x', end='', flush=True); {SLEEP}"
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(
        target=lambda: started.append(start_and_stay(python(die_with_parent), (), None))
    )
    thread.start()
    thread.join()
    (process,) = started
    stream = PipeStream(process)
    assert stream.receive(1, deadline()) == b"x"
    time.sleep(0.1)  # for a signal that must not come
    assert process.poll() is None
    process.kill()
    process.wait()
    stream.close()


def test_process_that_does_not_start_is_an_error_of_the_caller() -> None:
    """What goes wrong in the thread that starts it is raised where it was asked for."""
    with pytest.raises(FileNotFoundError):
        start_and_stay(["/no/such/program"], (), None)


def test_process_gets_the_descriptors_and_the_environment_that_were_given() -> None:
    """And no other variable of this process."""
    reader, writer = os.pipe()
    code = f"import json, os; os.write({writer}, json.dumps(dict(os.environ)).encode())"
    process = start_and_stay(python(code), (writer,), {"ONLY": "this", "LC_ALL": "C.UTF-8"})
    process.wait()
    PipeStream(process).close()
    os.close(writer)
    with os.fdopen(reader) as file:
        assert json.load(file) == {"ONLY": "this", "LC_ALL": "C.UTF-8"}
