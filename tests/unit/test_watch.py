"""Where no control group can be made, the host itself sees a limit being passed and ends everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.sandbox.cgroup import Limits
from harness.host.sandbox.watch import Watch, descendants, end_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
ROOMY = Limits(memory_bytes=1024 * MIB, processes=100, cpus=1.0)
HOLD = "held = b'x' * (100 << 20); print('held', flush=True); import time; time.sleep(60)"
CHILDREN = """
import os, time
for _ in range({count}):
    if not os.fork():
        os.setsid()
        time.sleep(60)
        os._exit(0)
print("forked", flush=True)
time.sleep(60)
"""
ENDLESS = """
import os, time
for generation in range(400):
    if os.fork():
        time.sleep(60)
    else:
        time.sleep(0.002)
        if generation == 5: print("forking", flush=True)
"""


@contextmanager
def process_of(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs `code` and has said so; whatever comes, it and its descendants are ended."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            if process.poll() is None:
                end_tree(process.pid)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, though its parent may not have taken notice."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  one line of the kernel's
            return file.read().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True


@pytest.mark.parametrize(
    ("code", "limits", "counted"),
    [
        pytest.param(HOLD, Limits(50 * MIB, 100, 1.0), (1, 0), id="memory"),
        pytest.param(CHILDREN.format(count=6), Limits(1024 * MIB, 5, 1.0), (0, 1), id="processes"),
        pytest.param(
            "import os, time\nif os.fork(): time.sleep(60)\n" + HOLD,
            Limits(50 * MIB, 100, 1.0),
            (1, 0),
            id="memory of a child",
        ),
        pytest.param(
            "from threading import Thread; from time import sleep\n"
            "for _ in range(6): Thread(target=sleep, args=(60,)).start()\n"
            "print(flush=True)",
            Limits(1024 * MIB, 5, 1.0),
            (0, 1),
            id="threads",
        ),
    ],
)
def test_limit_ends_the_whole_tree_and_is_counted(
    code: str, limits: Limits, counted: tuple[int, int]
) -> None:
    """Whoever passes it, the first process and its descendants end within a second or so."""
    with process_of(code) as process:
        tree = descendants(process.pid)
        watch = Watch(process, limits)
        assert process.wait(10) == -signal.SIGKILL
        watch.stop()
        assert [pid for pid in tree if not is_gone(pid)] == []
        usage = watch.usage()
        assert (usage.out_of_memory, usage.processes_refused) == counted


@pytest.mark.parametrize("limits", [ROOMY, Limits(None, None, 1.0)], ids=["below", "off"])
def test_what_stays_below_its_limits_is_left_alone(limits: Limits) -> None:
    """Usage is known all the same: time in seconds, memory in bytes, and no limit counted."""
    code = "held = b'x' * (50 << 20)\nimport time\nwhile time.process_time() < 0.2: pass\n" + CHILDREN.format(
        count=2
    )
    with process_of(code) as process:
        watch = Watch(process, limits)
        end = time.monotonic() + 10
        while watch.usage().peak_memory_bytes is None and time.monotonic() < end:
            time.sleep(0.02)
        assert process.poll() is None
        watch.stop()
        usage = watch.usage()
    assert usage.cpu_seconds is not None
    assert usage.peak_memory_bytes is not None
    assert 0.15 < usage.cpu_seconds < 5
    assert 50 * MIB < usage.peak_memory_bytes < 300 * MIB
    assert (usage.out_of_memory, usage.processes_refused) == (0, 0)


def test_watch_of_a_process_that_ended_stops() -> None:
    """A process that is gone uses nothing and passes no limit."""
    with process_of("print(flush=True)") as process:
        process.wait(10)
        watch = Watch(process, Limits(0, 0, 1.0))
        time.sleep(0.25)
        watch.stop()
        assert (watch.usage().out_of_memory, watch.usage().processes_refused) == (0, 0)


def test_descendants_are_found_in_other_sessions_and_generations() -> None:
    """A process and all that it started, once each."""
    code = "import os\nfor _ in range(2): os.fork()\nprint(flush=True); import time; time.sleep(60)"
    with process_of(code) as process:
        end = time.monotonic() + 10
        while len(descendants(process.pid)) < 4 and time.monotonic() < end:
            time.sleep(0.01)
        tree = descendants(process.pid)
        assert tree[0] == process.pid
        assert len(set(tree)) == len(tree) == 4
        assert os.getpid() not in tree


def test_tree_that_goes_on_forking_is_ended_whole() -> None:
    """A chain in which each generation makes the next does not outrun the end."""
    with process_of(ENDLESS) as process:
        assert len(descendants(process.pid)) > 3
        assert end_tree(process.pid)
        assert process.wait(10) == -signal.SIGKILL
    assert not any(_runs_the_chain(path) for path in Path("/proc").glob("[0-9]*/cmdline"))


def _runs_the_chain(arguments: Path) -> bool:
    try:
        return ENDLESS.encode() in arguments.read_bytes()
    except OSError:  # it ended while we looked
        return False
