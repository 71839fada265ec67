"""A batch's process listens for the end of the batch while it works."""

from __future__ import annotations

import subprocess
import sys

FORKS_WHILE_IT_LISTENS = """
import multiprocessing, time
from harness.host.batch_worker import Jobs, own_input
jobs = Jobs(own_input())
assert jobs.next() == "the first\\n"
time.sleep(0.2)  # by now the next line is waited for
child = multiprocessing.get_context("fork").Process(target=lambda: None)
child.start()
child.join(20)
print("forked", child.exitcode)
"""
WORKS_FOR_LONG = """
import signal, time
from harness.host.batch_worker import Jobs, own_input
signal.signal(signal.SIGTERM, signal.default_int_handler)
jobs = Jobs(own_input())
try:
    while jobs.next() is not None:
        print("works", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("ended")
"""


def started(program: str) -> subprocess.Popen[str]:
    """A process that got one job."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write("the first\n")
    process.stdin.flush()
    return process


def test_children_can_be_forked_while_it_listens() -> None:
    """Python compiles in such children where the guest's packages are laid out for the first time."""
    with started(FORKS_WHILE_IT_LISTENS) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked 0\n"


def test_work_ends_when_the_batch_is_gone() -> None:
    """Nobody waits for its result."""
    with started(WORKS_FOR_LONG) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "works\n"
        output, _ = process.communicate(timeout=30)  # which closes its input

    assert output == "ended\n"
