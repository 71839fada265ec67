"""What workers do is graded as if it had been done here, and they learn nothing of the reference."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.host.backends import choose
from harness.host.cluster import Cluster, Done, Task
from harness.host.errors import MachineError
from harness.host.grade import grade
from harness.host.report.live import SilentProgress
from harness.protocol import Outcome
from tests.cluster.conftest import COMPILED, ROOT, DaskProcesses, bikes, cells_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.records import Run

pytestmark = pytest.mark.bubblewrap


def on_cluster(processes: DaskProcesses, folders: dict[str, Path]) -> dict[str, Done]:
    """What becomes of submissions."""
    done: dict[str, Done] = {}
    notes: list[str] = []
    with Cluster(processes.address, notes.append) as cluster:
        tasks = (Task(name, bikes(folder), "bubblewrap") for name, folder in folders.items())
        cluster.run(tasks, lambda each: done.update({each.task.name: each}))
    return done


def runs_of(done: dict[str, Done]) -> dict[str, Run]:
    """The runs; there must be no fault."""
    assert {name: each.fault for name, each in done.items() if each.fault} == {}
    return {name: each.graded[1] for name, each in done.items() if each.graded}


def assert_same(one: Run, other: Run) -> None:
    """They have the same outcome, score and losses, to the last bit."""
    for name in (
        "outcome",
        "phase",
        "message",
        "hint",
        "place",
        "score",
        "baselines",
        "best_epoch",
        "finding",
    ):
        assert getattr(one, name) == getattr(other, name), name
    theirs, own = ([(each.train_loss, each.valid_loss) for each in run.epochs] for run in (one, other))
    assert np.array_equal(theirs, own, equal_nan=True)
    assert (one.predictions is None) == (other.predictions is None)
    if one.predictions is not None and other.predictions is not None:
        assert np.array_equal(one.predictions.view(np.uint32), other.predictions.view(np.uint32))
    assert one.environment.image == other.environment.image
    assert one.environment.isolated


def test_results_are_those_of_this_machine(
    dask_processes: DaskProcesses, submission: Callable[..., Path], tmp_path: Path
) -> None:
    """Good ones, one with a data set of its own, and some that fail in several ways."""
    dask_processes.ensure(2)
    own = shutil.copytree(ROOT / "examples" / "hw1-bikes" / "simple-with-own-dataset", tmp_path / "own")
    config = own / "config.toml"
    config.write_text(config.read_text().replace("epochs = 20", "epochs = 2"))
    folders = {
        "good": submission("good"),
        "own data set": own,
        "import error": submission("import error", before="import no_such_package"),
        "raises": submission("raises", forward="raise ValueError('no such layer')"),
        "dies": submission("dies", forward="import os; os._exit(3)"),
        "diverges": submission("diverges", forward="x = x * float('nan')"),
        "depends on the batch": submission("depends", forward="x = x - x.mean(0) * 0.5"),
        "invalid": submission("invalid", epochs=-1),
    }

    runs = runs_of(on_cluster(dask_processes, folders))

    with closing(choose("bubblewrap", "cpu", lambda _: None).backend) as backend:
        alone = {name: grade(bikes(path), backend, SilentProgress())[1] for name, path in folders.items()}
    assert {name: run.outcome for name, run in alone.items()} == {
        "good": Outcome.OK,
        "own data set": Outcome.OK,
        "import error": Outcome.IMPORT_ERROR,
        "raises": Outcome.RUNTIME_ERROR,
        "dies": Outcome.RUNTIME_ERROR,
        "diverges": Outcome.DIVERGED,
        "depends on the batch": Outcome.OK,
        "invalid": Outcome.INVALID_SUBMISSION,
    }
    assert runs.keys() == alone.keys()
    assert alone["depends on the batch"].finding
    for name in folders.keys() - {"invalid"}:
        assert_same(runs[name], alone[name])
    assert runs["invalid"].message == alone["invalid"].message


def memory_of(pid: int) -> bytes:
    """All that a process has in its memory."""
    pieces = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found:
                start, end = (int(each, 16) for each in found.groups())
                memory.seek(start)
                try:
                    pieces.append(memory.read(end - start))
                except OSError:  # a device's
                    continue
    return b"".join(pieces)


def test_reference_is_nowhere_in_a_workers_memory(
    dask_processes: DaskProcesses, submission: Callable[..., Path], tmp_path: Path
) -> None:
    """While it works: the submission is found there, and neither the key of the split nor an answer."""
    (pid,) = dask_processes.ensure(1)
    course = tmp_path / "course"
    reference = shutil.copytree(
        ROOT / "reference" / "hw1-bikes", course, ignore=shutil.ignore_patterns("solutions")
    )
    key = "a7d1c39e5b24f8806e913d7752ca40bf1f68e2395dab7c04931ee5d6b8027f4c"
    settings = reference / "reference.toml"
    settings.write_text(re.sub('"[0-9a-f]{64}"', f'"{key}"', settings.read_text()))
    answers = reference / "answers.csv"
    head, *lines = answers.read_text().splitlines()
    ids = [line.partition(",")[0] for line in lines]
    answers.write_text("\n".join([head, *(f"{each},7340031.6875" for each in ids)]) + "\n")
    slow = submission("slow", before="import time; time.sleep(600)  # 5e17ab1eee1fc7e7")
    order = bikes(slow)
    planted = type(order)(order.assignment, order.submission, reference, "cpu", "")
    seen: list[bytes] = []

    def look() -> bool:
        if cells_of({pid}):
            seen.append(memory_of(pid))
        return bool(seen)

    with Cluster(dask_processes.address, lambda _: None) as cluster:
        cluster.run([Task("s001", planted, "bubblewrap")], lambda _: None, look)

    (memory,) = seen
    assert b"# 5e17ab1eee1fc7e7" in memory
    value = np.full(4, 7340031.6875)  # in a row, since a few bytes alone can be anything
    numbers = [value.tobytes(), value.astype(np.float32).tobytes()]
    forms = [key.encode(), bytes.fromhex(key), b"7340031.6875", *numbers]
    assert [form for form in forms if form in memory] == []


def test_gpu_is_a_resource_of_workers(dask_processes: DaskProcesses, submission: Callable[..., Path]) -> None:
    """What needs one goes to a worker that has one: here to one that says so, and cannot show it."""
    (plain,) = dask_processes.ensure(1)
    pid = dask_processes.start_worker("--resources", "GPU=1")
    addresses = dask_processes.addresses()
    order = bikes(submission("good"))
    on_gpu = type(order)(order.assignment, order.submission, order.reference, "cuda", "")
    done: list[Done] = []
    with Cluster(dask_processes.address, lambda _: None) as cluster:
        assert cluster.gpus() == 1
        cluster.run([Task("s001", on_gpu, "bubblewrap")], done.append)
    dask_processes.end(pid)

    (each,) = done
    assert addresses[plain] != addresses[pid]
    assert each.worker == addresses[pid]
    assert isinstance(each.fault, MachineError)
    assert "no NVIDIA driver is loaded here" in each.fault.message


@pytest.fixture
def other_edition(tmp_path: Path) -> dict[str, str]:
    """The environment of a worker whose harness was changed."""
    copy = tmp_path / "other" / "harness"
    shutil.copytree(ROOT / "harness", copy, ignore=COMPILED)
    with (copy / "guest" / "loops.py").open("a") as file:
        file.write("# another edition\n")
    return {"PYTHONPATH": str(copy.parent)}


def test_worker_of_another_edition_is_refused(
    dask_processes: DaskProcesses, other_edition: dict[str, str]
) -> None:
    """The command says which worker has what, before anything is sent."""
    dask_processes.ensure(0)
    pid = dask_processes.start_worker(environment=other_edition)
    address = dask_processes.addresses()[pid]
    with (
        pytest.raises(MachineError, match=f"{address} has another edition of the harness: harness is"),
        Cluster(dask_processes.address, pytest.fail),
    ):
        pass
    dask_processes.end(pid)


def test_worker_of_another_edition_that_comes_later_leaves(
    dask_processes: DaskProcesses,
    other_edition: dict[str, str],
    submission: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others grade; where there are no others, the command ends and says why."""
    dask_processes.ensure(1)
    tasks = [Task("s001", bikes(submission("good")), "bubblewrap")]
    notes: list[str] = []
    done: list[Done] = []
    with Cluster(dask_processes.address, notes.append) as cluster:
        late = dask_processes.start_worker(environment=other_edition)
        wait_for(lambda: dask_processes.workers[late].poll() is not None)
        cluster.run(tasks, done.append)
        assert [each.fault for each in done] == [None]
        assert any("it leaves, since it has another edition" in note for note in notes)

        dask_processes.ensure(0)
        monkeypatch.setattr("harness.host.cluster.session.SECONDS_FOR_ANOTHER", 0.5)
        with pytest.raises(MachineError, match="all workers have another edition"):
            cluster.run(tasks, done.append)
