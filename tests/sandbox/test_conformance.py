"""What every backend promises, whichever it is: the stream, its deadlines, the limits, and the end."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError, Wall

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Backend, SandboxSpec

    Spec = Callable[..., SandboxSpec]
    Reported = Callable[..., Any]
    Probe = Callable[..., Any]
    LeftOf = Callable[[SandboxSpec], list[str]]

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


def test_what_is_sent_comes_back(any_backend: Backend, spec_of: Spec) -> None:
    """The guest's standard input and output are the stream, byte for byte."""
    with any_backend.open(spec_of("sys.stdout.buffer.write(sys.stdin.buffer.read(5)[::-1])")) as sandbox:
        sandbox.send(b"", deadline())
        sandbox.send(b"hel", deadline())
        sandbox.send(memoryview(b"lo"), deadline())
        assert sandbox.receive(2, deadline()) == b"ol"
        assert sandbox.receive(0, deadline()) == b""
        assert sandbox.receive(3, deadline()) == b"leh"


def test_tens_of_megabytes_go_each_way(any_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """Bytes arrive as they were sent, however many they are."""
    size = 32 * MIB
    code = f"""
import hashlib
data = sys.stdin.buffer.read({size})
report(hashlib.sha256(data).hexdigest())
sys.stdout.buffer.write(data[::-1])
"""
    payload = os.urandom(size)
    with any_backend.open(spec_of(code, memory_bytes=256 * MIB)) as sandbox:
        sandbox.send(memoryview(payload), deadline())
        assert reported(sandbox) == hashlib.sha256(payload).hexdigest()
        assert sandbox.receive(size, deadline()) == payload[::-1]


@pytest.mark.parametrize(
    "code",
    [SLEEP, "report(0)\nwhile True: sys.stderr.write('x' * 65536)"],
    ids=["silent", "endless errors"],
)
def test_receive_ends_at_its_deadline(
    any_backend: Backend, spec_of: Spec, reported: Reported, code: str
) -> None:
    """Neither silence nor an endless error stream holds the host past its deadline."""
    with any_backend.open(spec_of(code)) as sandbox:
        reported(sandbox)
        began = time.monotonic()
        with pytest.raises(SandboxTimeoutError):
            sandbox.receive(1, deadline(0.3))
        assert 0.25 < time.monotonic() - began < 3


def test_send_ends_at_its_deadline(any_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """A guest that does not read cannot hold the host past its deadline."""
    with any_backend.open(spec_of(SLEEP)) as sandbox:
        reported(sandbox)
        began = time.monotonic()
        with pytest.raises(SandboxTimeoutError):
            sandbox.send(bytes(32 * MIB), deadline(0.3))
        assert time.monotonic() - began < 3


def test_end_of_the_guest_is_told_apart_from_a_deadline(any_backend: Backend, spec_of: Spec) -> None:
    """The end is seen at once and after the guest's last byte, and its last words are kept."""
    with any_backend.open(spec_of(LAST_WORDS)) as sandbox:
        assert sandbox.receive(4, deadline()) == b"last"
        with pytest.raises(SandboxClosedError):
            sandbox.receive(1, deadline())
        with pytest.raises(SandboxClosedError):
            sandbox.send(bytes(8 * MIB), deadline())
        assert sandbox.diagnostics() == "why"


def test_what_a_sandbox_says_of_itself_is_bounded(
    any_backend: Backend, spec_of: Spec, reported: Reported
) -> None:
    """Staff get the end of the error stream, and never more than 16 KiB of it."""
    code = f"sys.stderr.write('a' * 300_000 + 'end'); {SLEEP}"
    with any_backend.open(spec_of(code)) as sandbox:
        reported(sandbox)
        until = deadline()
        while not sandbox.diagnostics().endswith("aaaend"):  # an engine brings the two streams out of step
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(sandbox.diagnostics()) == 16_384


def test_kill_wakes_a_thread_that_waits(any_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """Any thread can end a sandbox, once or often, and whoever waits for it is told so."""
    with any_backend.open(spec_of(SLEEP)) as sandbox:
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
    any_backend: Backend, spec_of: Spec, reported: Reported
) -> None:
    """A sandbox that a pool's thread opened does not end with that thread."""
    with ThreadPoolExecutor(1) as pool:
        sandbox = pool.submit(any_backend.open, spec_of("report(0); report(input())")).result()
        pool.submit(reported, sandbox).result()
    with sandbox:
        time.sleep(0.1)  # for a signal that must not come
        sandbox.send(b"still here\n", deadline())
        assert reported(sandbox) == "still here"


CHILDREN = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
parent = os.getpid()
for _ in range(3):
    if not os.fork():
        os.setsid()
if os.getpid() == parent:
    time.sleep(0.3)
    report(parent)
time.sleep(60)
"""
DAEMON = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        report(os.getppid())
        time.sleep(60)
    os._exit(0)
"""


def test_kill_ends_a_tree_that_ignores_signals(
    any_backend: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """Eight processes in sessions of their own that ignore what can be ignored are gone after a kill."""
    spec = spec_of(CHILDREN)
    with any_backend.open(spec) as sandbox:
        reported(sandbox)
        assert len([name for name in left_of(spec) if name.startswith("/proc/")]) >= 8
        began = time.monotonic()
        sandbox.kill()
        assert time.monotonic() - began < 10
    assert left_of(spec) == []


def test_first_process_takes_its_daemons_with_it(
    backend: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """A daemon that holds the stream ends with the first process, and the host sees the end."""
    spec = spec_of(DAEMON + "time.sleep(1)")
    with backend.open(spec) as sandbox:
        reported(sandbox)
        with pytest.raises(SandboxClosedError):
            sandbox.receive(1, deadline(10))
    assert left_of(spec) == []


def test_nothing_is_left_of_a_sandbox(
    any_backend: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """After its end there is no process, group, container or folder of it, which can be seen before."""
    spec = spec_of(SLEEP)
    with any_backend.open(spec) as sandbox:
        reported(sandbox)
        kinds = {name.split("/")[1] for name in left_of(spec) if name.startswith("/")}
        assert "proc" in kinds
        assert len(left_of(spec)) > 1
    assert left_of(spec) == []


def test_usage_is_what_was_used(any_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """Processor time and the peak of memory are near what the guest spent, and stay known after its end."""
    code = f"""
import time
held = b"x" * {64 * MIB}
while time.process_time() < 0.5: sum(range(1000))
time.sleep(0.3)
report(time.process_time())
time.sleep(60)
"""
    with any_backend.open(spec_of(code)) as sandbox:
        spent = reported(sandbox)
        usage = sandbox.usage()
        assert usage.cpu_seconds is not None
        assert usage.peak_memory_bytes is not None
        assert 0.8 * spent < usage.cpu_seconds < spent + 1
        assert 64 * MIB <= usage.peak_memory_bytes <= 128 * MIB
        assert (usage.out_of_memory, usage.processes_refused) == (0, 0)
    after = sandbox.usage().cpu_seconds
    assert after is not None
    assert after >= usage.cpu_seconds


ALLOCATE = f"""
import time
pid = os.fork()
if not pid:
    held = b"x" * {300 * MIB}
    time.sleep(0.5)
    os._exit(0)
report(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
time.sleep(60)
"""


def test_memory_limit_is_counted(any_backend: Backend, spec_of: Spec, reported: Reported) -> None:
    """A child over the limit is ended, whoever holds the limit, and the host knows why."""
    with any_backend.open(spec_of(ALLOCATE)) as sandbox:
        if any_backend.limits_enforced_by == "cgroup":
            assert reported(sandbox) == -signal.SIGKILL
            assert (sandbox.usage().peak_memory_bytes or 0) <= 128 * MIB
        else:
            with pytest.raises(SandboxClosedError):
                reported(sandbox)
        assert sandbox.usage().out_of_memory >= 1


FORK = """
import time
made = 0
try:
    while made < 60:
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError:
    pass
report(made)
time.sleep(60)
"""


def test_process_limit_is_counted(
    any_backend: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """No more processes than the limit stay, and the host knows that the limit was met."""
    spec = spec_of(FORK)
    with any_backend.open(spec) as sandbox:
        if any_backend.limits_enforced_by == "cgroup":
            assert 25 < reported(sandbox) < 32
        else:
            with suppress(SandboxClosedError):
                reported(sandbox)
            with pytest.raises(SandboxClosedError):
                sandbox.receive(1, deadline())
        assert sandbox.usage().processes_refused >= 1
    assert left_of(spec) == []


def test_processor_share_is_kept(backend: Backend, probe: Probe) -> None:
    """Half a processor gives about half of the time."""
    if backend.limits_enforced_by != "cgroup":
        pytest.skip("shares of processors need a control group")
    code = """
import time
began = time.monotonic()
while time.monotonic() < began + 1: sum(range(1000))
report(time.process_time())
"""
    assert probe(backend, code, cpus=0.5) < 0.75


def test_open_files_are_limited(backend: Backend, probe: Probe) -> None:
    """The number of descriptors is the one that the specification gives."""
    code = "import resource; report(resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert probe(backend, code, open_files=100) == [100, 100]


ORPHAN = """
import sys, time
from harness.host.sandbox.base import ALL_WALLS, SandboxSpec
from harness.host.sandbox.bubblewrap import BubblewrapBackend
spec = SandboxSpec(command=("-S", "-c", sys.argv[1]), run_id=sys.argv[2], memory_bytes=1 << 27, cpus=1,
    processes=8, scratch_bytes=1 << 20, shared_memory_bytes=1 << 20)
sandbox = BubblewrapBackend().open(spec)
print(sandbox.receive(1, time.monotonic() + 30), flush=True)
time.sleep(600)
"""


@pytest.mark.bubblewrap
def test_killed_harness_leaves_no_process_and_its_groups_are_swept(
    bubblewrap_backend: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf
) -> None:
    """A sandbox dies with its harness; the next start removes what remains, and nothing that is in use."""
    theirs, mine = spec_of("print(1, flush=True); import time; time.sleep(600)"), spec_of(SLEEP)
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, theirs.command[-1], theirs.run_id], stdout=subprocess.PIPE
    ) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"b'1'\n"
        bubblewrap_backend.sweep()
        in_use = left_of(theirs)
        assert any(name.startswith("/proc/") for name in in_use)
        harness.kill()
    end = deadline(10)
    while any(name.startswith("/proc/") for name in left_of(theirs)):
        assert time.monotonic() < end, "the sandbox outlived its harness"
        time.sleep(0.02)
    with bubblewrap_backend.open(mine) as sandbox:
        reported(sandbox)
        bubblewrap_backend.sweep()
        assert left_of(theirs) == []
        assert left_of(mine) != []


def test_limits_that_were_not_met_are_not_counted(
    backend: Backend, spec_of: Spec, reported: Reported
) -> None:
    """A guest that ends in order is not said to have met a limit, with limits or without."""
    for without in ((), (Wall.MEMORY, Wall.PROCESSES)):
        with backend.open(spec_of("report(1)", without=without)) as sandbox:
            assert reported(sandbox) == 1
            with suppress(SandboxClosedError):
                sandbox.receive(1, deadline())
            usage = sandbox.usage()
        assert (usage.out_of_memory, usage.processes_refused) == (0, 0)
