"""Workers that die, and gradings that are ended: nobody gets a wrong grade, and nothing is left."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from harness.host.cluster import Cluster, Done, Task
from harness.host.errors import MachineError
from harness.protocol import Outcome
from tests.cluster.conftest import SECONDS, DaskProcesses, bikes, cells_of, groups_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.bubblewrap
SLEEPS = "import time; time.sleep({})"
DAYS = SLEEPS.format(100_000)


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Do something in another thread; it has to be done by the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001  it is raised in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(SECONDS)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def tasks_of(*folders: Path) -> list[Task]:
    """Each with its folder's name."""
    return [Task(folder.name, bikes(folder), "bubblewrap") for folder in folders]


def outcomes(done: list[Done]) -> dict[str, Outcome | None]:
    """By name; None for a fault."""
    return {each.task.name: each.graded[1].outcome if each.graded else None for each in done}


def test_worker_that_is_killed_costs_nobody_a_grade(
    dask_processes: DaskProcesses, submission: Callable[..., Path]
) -> None:
    """Three workers, of which one is gone in the middle: all scores are what they would have been."""
    pids = dask_processes.ensure(3)
    folders = [submission(f"s{number}", before=SLEEPS.format(0.2)) for number in range(5)]
    killed: list[int] = []

    def kill() -> None:
        pid = wait_for(lambda: next((pid for pid in pids if cells_of({pid})), None))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    done: list[Done] = []
    with Cluster(dask_processes.address, lambda _: None) as cluster, meanwhile(kill):
        cluster.run(tasks_of(*folders), done.append)

    assert outcomes(done) == {f"s{number}": Outcome.OK for number in range(5)}
    scores = {each.graded[1].score for each in done if each.graded}
    assert len(scores) == 1, "all are the same model"
    dead = dask_processes.workers.pop(killed[0])
    assert dead.wait() == -signal.SIGKILL
    dask_processes.ensure(3)
    with Cluster(dask_processes.address, lambda _: None) as cluster:
        cluster.run(tasks_of(folders[0]), done.append)
    assert groups_of(set(killed)) == [], "the next grading sweeps what the dead worker left"


def begun(client: Client) -> dict[str, str]:
    """Parcels that are out and that a worker has begun to work on: their keys, and the workers' addresses."""
    found = {}
    for key in [key for keys in client.processing().values() for key in keys]:
        session, _, name = key.rpartition("-")
        for _, event in client.get_events(session):
            if event.get("started") == name:
                found[key] = event["worker"]
    return found


def test_submission_that_kills_its_worker_twice_is_set_aside(
    dask_processes: DaskProcesses, submission: Callable[..., Path]
) -> None:
    """It gets no grade, and the others get theirs, on the worker that is left."""
    dask_processes.ensure(3)
    pids = {address: pid for pid, address in dask_processes.addresses().items()}
    others = [submission(f"s{number}", before=SLEEPS.format(0.1)) for number in range(4)]
    done: list[Done] = []

    def kill_its_workers() -> None:
        with Client(dask_processes.address, set_as_default=False) as client:
            first = wait_for(lambda: [where for key, where in begun(client).items() if key.endswith("-1")])
            os.kill(pids[first[0]], signal.SIGKILL)
            wait_for(lambda: len(done) == len(others))  # then it is alone
            (second,) = wait_for(lambda: set(begun(client).values()) - set(first))
            os.kill(pids[second], signal.SIGKILL)

    with Cluster(dask_processes.address, lambda _: None) as cluster, meanwhile(kill_its_workers):
        cluster.run(tasks_of(submission("poison", before=DAYS), *others), done.append)

    assert outcomes(done) == {"poison": None, **{f"s{number}": Outcome.OK for number in range(4)}}
    (poison,) = [each for each in done if each.fault]
    assert poison.set_aside
    assert poison.fault is not None
    assert poison.fault.message == "the worker that graded it died, 2 times"


def test_worker_that_leaves_politely_blames_nobody(
    dask_processes: DaskProcesses, submission: Callable[..., Path]
) -> None:
    """As one whose job's time is over: what it worked on is graded elsewhere, however often that happens."""
    dask_processes.ensure(1)
    folder = submission("s001", before=SLEEPS.format(0.5))
    done: list[Done] = []

    def end_its_workers() -> None:
        for _ in range(2):
            (pid,) = dask_processes.workers
            wait_for(functools.partial(cells_of, {pid}))
            dask_processes.start_worker()
            dask_processes.end(pid)
            assert groups_of({pid}) == []

    with Cluster(dask_processes.address, lambda _: None) as cluster, meanwhile(end_its_workers):
        cluster.run(tasks_of(folder), done.append)
    assert outcomes(done) == {"s001": Outcome.OK}


def test_worker_that_cannot_grade_costs_nobody_a_grade(
    dask_processes: DaskProcesses, submission: Callable[..., Path]
) -> None:
    """Here its disk takes no byte. It is quick, so it is given much; others do all of that."""
    dask_processes.ensure(1)
    full = 'ulimit -f 0; exec "$@" >/dev/null 2>&1'
    broken = dask_processes.start_worker(wrapper=("bash", "-c", full, "bash"))
    address = dask_processes.addresses()[broken]
    done: list[Done] = []
    with Cluster(dask_processes.address, lambda _: None) as cluster:
        cluster.run(tasks_of(*(submission(f"s{number}") for number in range(4))), done.append)
    assert outcomes(done) == {f"s{number}": Outcome.OK for number in range(4)}
    assert address not in {each.worker for each in done}

    dask_processes.end(next(pid for pid in dask_processes.workers if pid != broken))
    with Cluster(dask_processes.address, lambda _: None) as cluster:
        cluster.run(tasks_of(submission("alone")), done.append)
    (alone,) = [each for each in done if each.fault]
    assert alone.fault is not None
    assert f"(on {address})" in alone.fault.message
    assert not alone.set_aside
    dask_processes.end(broken)


@pytest.mark.parametrize("how", ["should_stop", "interrupt"])
def test_grading_that_is_ended_ends_at_once(
    dask_processes: DaskProcesses, submission: Callable[..., Path], how: str
) -> None:
    """Not after what runs; the workers are as they were before, and grade for the next one."""
    pids = dask_processes.ensure(2)
    forever = [submission(f"s{number}", before=DAYS) for number in range(3)]
    done: list[Done] = []
    ends: list[float] = []

    def stop() -> bool:
        if all(cells_of({pid}) for pid in pids):
            ends.append(time.monotonic())
            if how == "interrupt":
                raise KeyboardInterrupt
        return bool(ends)

    with Cluster(dask_processes.address, lambda _: None) as cluster:
        if how == "interrupt":
            with pytest.raises(KeyboardInterrupt):
                cluster.run(tasks_of(*forever), done.append, stop)
        else:
            cluster.run(tasks_of(*forever), done.append, stop)
        assert dask_processes.leftovers() == []
        assert time.monotonic() - ends[0] < 5
        with pytest.raises(MachineError, match="was ended"):
            cluster.run(tasks_of(*forever), done.append)
    assert done == []
    with Cluster(dask_processes.address, lambda _: None) as cluster:
        cluster.run(tasks_of(submission("good")), done.append)
    assert outcomes(done) == {"good": Outcome.OK}


def test_scheduler_that_is_gone_is_said(
    tmp_path: Path, source: Path, submission: Callable[..., Path]
) -> None:
    """The command ends, rather than wait for ever."""
    processes = DaskProcesses(tmp_path, source)
    try:
        processes.ensure(1)
        with Cluster(processes.address, lambda _: None) as cluster:
            stops = threading.Timer(1.0, processes.end_scheduler)
            stops.start()
            with pytest.raises(MachineError, match="the cluster's scheduler is gone"):
                cluster.run(tasks_of(submission("s001", before=DAYS)), lambda _: None)
            stops.join()
        ((pid, worker),) = processes.workers.items()
        wait_for(lambda: worker.poll() is not None)
        assert groups_of({pid}) == [], "a worker that loses its scheduler leaves by itself"
    finally:
        processes.close()
