"""``harness batch --cluster``: a class gets there what it gets here, whatever becomes of a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.report.document import staff_document
from harness.host.store.listing import current_runs, list_faults
from harness.host.store.place import place_of
from harness.host.store.rows import read_report
from harness.host.store.store import Store
from tests.cluster.conftest import SECONDS, cells_of, wait_for
from tests.crowd import ASSIGNMENT, fill, make_course

if TYPE_CHECKING:
    from tests.cluster.conftest import DaskProcesses

HARNESS = Path(sys.prefix, "bin", "harness")
SIZE = 12
SAME = ("outcome", "points", "max_points", "metric", "baselines", "checks")

pytestmark = pytest.mark.bubblewrap


def words(folder: Path, home: Path, *options: str) -> list[str]:
    """The command; its store is in `home`."""
    where = ["--assignment", ASSIGNMENT, "--sandbox", "bubblewrap", "--store", str(home / "runs.sqlite")]
    return [str(HARNESS), "batch", str(folder), *where, *options]


def store_in(home: Path) -> Store:
    """The store of a batch."""
    return Store(place_of(str(home / "runs.sqlite"), None, home))


def results_in(home: Path) -> dict[str, dict[str, Any]]:
    """What each student got."""
    found = {}
    for rows in current_runs(store_in(home), ASSIGNMENT, private=True):
        assert rows.run["student"] not in found
        report = staff_document(read_report(rows.run, rows.curve, rows.score, rows.private))
        loss = report["loss"] if report["outcome"] == "ok" else None  # how far it came may differ
        found[rows.run["student"]] = {key: report[key] for key in SAME} | {"loss": loss}
    return found


def test_three_workers_of_which_one_is_killed_give_the_local_batchs_results(
    dask_processes: DaskProcesses, source: Path, tmp_path: Path
) -> None:
    """Every submission has one result, and it is the same one; going on finds nothing left to do."""
    course = make_course(tmp_path / "course")
    names = fill(tmp_path / "class", SIZE)
    environment = {**os.environ, "PYTHONPATH": str(source)}
    workers = dask_processes.ensure(3)
    cluster = words(tmp_path / "class", tmp_path / "far", "--cluster", dask_processes.address)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}

    with subprocess.Popen(cluster, cwd=course, env=environment, **pipes) as command:
        busy = wait_for(lambda: [pid for pid in workers if cells_of({pid})])
        os.kill(busy[0], signal.SIGKILL)
        output, _ = command.communicate(timeout=2 * SECONDS)
    again = subprocess.run(cluster, cwd=course, env=environment, check=False, timeout=SECONDS, **pipes)
    local = words(tmp_path / "class", tmp_path / "near")
    subprocess.run(local, cwd=course, check=True, timeout=4 * SECONDS, stdout=subprocess.DEVNULL)

    assert command.returncode == 0, output
    assert sorted(results_in(tmp_path / "far")) == sorted(names)
    assert results_in(tmp_path / "far") == results_in(tmp_path / "near")
    assert list_faults(store_in(tmp_path / "far"), ASSIGNMENT, 9) == []
    assert again.returncode == 0, again.stdout
    assert f"graded before  {SIZE}" in again.stdout


def test_attempts_are_counted_on_a_cluster_too(
    dask_processes: DaskProcesses, source: Path, tmp_path: Path
) -> None:
    """Where the assignment caps them: the second of a student's submissions on one day is not run."""
    course = make_course(tmp_path / "course")
    file = course / "assignments" / ASSIGNMENT / "assignment.toml"
    file.write_text(f"attempts_per_day = 1\n{file.read_text()}")
    first, _, second = fill(tmp_path / "class", 3)
    roster = tmp_path / "class" / "roster.csv"
    roster.write_text(f"student,submission\ns001,{first}\ns001,{second}\ns002,{second}\n")
    dask_processes.ensure(1)
    command = words(roster, tmp_path / "far", "--cluster", dask_processes.address)
    environment = {**os.environ, "PYTHONPATH": str(source)}

    done = subprocess.run(
        command, cwd=course, env=environment, check=False, timeout=SECONDS, capture_output=True, text=True
    )

    assert done.returncode == 3, done.stdout + done.stderr
    assert sorted(results_in(tmp_path / "far")) == ["s001", "s002"]
    (fault,) = list_faults(store_in(tmp_path / "far"), ASSIGNMENT, 9)
    assert fault["student"] == "s001"
    assert "has used the 1 attempt of" in fault["message"]


def test_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    """The message names the address, and nothing is graded."""
    course = make_course(tmp_path / "course")
    fill(tmp_path / "class", 1)
    command = words(tmp_path / "class", tmp_path / "far", "--cluster", "tcp://127.0.0.1:9")

    done = subprocess.run(command, cwd=course, check=False, timeout=SECONDS, capture_output=True, text=True)

    assert done.returncode == 3
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in done.stderr
    assert "1 left undone" in done.stdout
