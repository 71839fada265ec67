"""What every backend promises of processes and limits: what was used, what is ended, and what is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.sandbox.base import SandboxClosedError, Wall

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


def deadline(seconds: float = SECONDS) -> float:
    """So many seconds from now."""
    return time.monotonic() + seconds


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
