"""What every backend promises, whichever it is: the stream, its deadlines, the last words, and the end.

The fake promises it too, so that what is tested with it stands on the same ground.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Backend, SandboxSpec

    Spec = Callable[..., SandboxSpec]
    Reported = Callable[..., Any]

MIB = 1 << 20
SECONDS = 30.0
SLEEP = "import time; report(0); time.sleep(60)"
# An engine may cut off what is written in the same moment as the end, as no guest of ours does.
LAST_WORDS = """
import time
for stream, words in ((sys.stderr, 'why'), (sys.stdout, 'last')):
    stream.write(words)
    stream.flush()
time.sleep(0.3)
"""


def deadline(seconds: float = SECONDS) -> float:
    """So many seconds from now."""
    return time.monotonic() + seconds


def test_what_is_sent_comes_back(every_backend: Backend, spec_of: Spec) -> None:
    """The guest's standard input and output are the stream, byte for byte."""
    with every_backend.open(spec_of("sys.stdout.buffer.write(sys.stdin.buffer.read(5)[::-1])")) as sandbox:
        sandbox.send(b"", deadline())
        sandbox.send(b"hel", deadline())
        sandbox.send(memoryview(b"lo"), deadline())
        assert sandbox.receive(2, deadline()) == b"ol"
        assert sandbox.receive(0, deadline()) == b""
        assert sandbox.receive(3, deadline()) == b"leh"


def test_two_hundred_megabytes_go_each_way(every_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """Bytes arrive as they were sent, also where they are more than the guest could hold."""
    megabyte, count = 10**6, 200
    code = f"""
import hashlib
came, went = hashlib.sha256(), hashlib.sha256()
for _ in range({count}):
    came.update(sys.stdin.buffer.read({megabyte}))
report(came.hexdigest())
for number in range({count}):
    data = hashlib.shake_128(number.to_bytes(4, "big")).digest({megabyte})
    went.update(data)
    sys.stdout.buffer.write(data)
report(went.hexdigest())
"""
    payload = os.urandom(count * megabyte)
    with every_backend.open(spec_of(code)) as sandbox:
        sandbox.send(memoryview(payload), deadline())
        assert reported(sandbox) == hashlib.sha256(payload).hexdigest()
        received = sandbox.receive(count * megabyte, deadline())
        assert reported(sandbox) == hashlib.sha256(received).hexdigest()


@pytest.mark.parametrize(
    "code",
    [SLEEP, "report(0)\nwhile True: sys.stderr.write('x' * 65536)"],
    ids=["silent", "endless errors"],
)
def test_receive_ends_at_its_deadline(
    every_backend: Backend, spec_of: Spec, reported: Reported, code: str
) -> None:
    """Neither silence nor an endless error stream holds the host past its deadline."""
    with every_backend.open(spec_of(code)) as sandbox:
        reported(sandbox)
        began = time.monotonic()
        with pytest.raises(SandboxTimeoutError):
            sandbox.receive(1, deadline(0.3))
        assert 0.25 < time.monotonic() - began < 3


def test_send_ends_at_its_deadline(every_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """A guest that does not read cannot hold the host past its deadline."""
    with every_backend.open(spec_of(SLEEP)) as sandbox:
        reported(sandbox)
        began = time.monotonic()
        with pytest.raises(SandboxTimeoutError):
            sandbox.send(bytes(32 * MIB), deadline(0.3))
        assert time.monotonic() - began < 3


def test_end_of_the_guest_is_told_apart_from_a_deadline(every_backend: Backend, spec_of: Spec) -> None:
    """The end is seen at once and after the guest's last byte, and its last words are kept."""
    with every_backend.open(spec_of(LAST_WORDS)) as sandbox:
        assert sandbox.receive(4, deadline()) == b"last"
        with pytest.raises(SandboxClosedError):
            sandbox.receive(1, deadline())
        with pytest.raises(SandboxClosedError):
            sandbox.send(bytes(8 * MIB), deadline())
        assert sandbox.diagnostics() == "why"


def test_what_a_sandbox_says_of_itself_is_bounded(
    every_backend: Backend, spec_of: Spec, reported: Reported
) -> None:
    """Staff get the end of the error stream, and never more than 16 KiB of it."""
    code = f"sys.stderr.write('a' * 300_000 + 'end'); {SLEEP}"
    with every_backend.open(spec_of(code)) as sandbox:
        reported(sandbox)
        until = deadline()
        while not sandbox.diagnostics().endswith("aaaend"):  # an engine brings the two streams out of step
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(sandbox.diagnostics()) == 16_384


def test_kill_wakes_a_thread_that_waits(every_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """Any thread can end a sandbox, once or often, and whoever waits for it is told so."""
    with every_backend.open(spec_of(SLEEP)) as sandbox:
        reported(sandbox)
        killers = [threading.Timer(0.2, sandbox.kill) for _ in range(2)]
        for killer in killers:
            killer.start()
        began = time.monotonic()
        with pytest.raises(SandboxClosedError):
            sandbox.receive(1, deadline())
        assert time.monotonic() - began < 10
        for killer in killers:
            killer.join()
        sandbox.kill()
        with pytest.raises(SandboxClosedError):
            sandbox.receive(1, deadline())


def test_sandbox_outlives_the_thread_that_opened_it(
    every_backend: Backend, spec_of: Spec, reported: Reported
) -> None:
    """A sandbox that a pool's thread opened does not end with that thread."""
    with ThreadPoolExecutor(1) as pool:
        sandbox = pool.submit(every_backend.open, spec_of("report(0); report(input())")).result()
        pool.submit(reported, sandbox).result()
    with sandbox:
        time.sleep(0.1)  # for a signal that must not come
        sandbox.send(b"still here\n", deadline())
        assert reported(sandbox) == "still here"
