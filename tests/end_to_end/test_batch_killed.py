"""A batch that is killed again and again comes to the same results as if nothing had happened.

``HARNESS_CROWD=200`` makes the class as large as a real one; the default is small enough for every change.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from harness.host.errors import HarnessError
from harness.host.machine import Machine
from harness.host.report.document import staff_document
from harness.host.sandbox.watch import descendants
from harness.host.session import Means, grade_submission
from harness.host.store.listing import current_runs
from harness.host.store.place import place_of
from harness.host.store.rows import read_report
from harness.host.store.store import Store
from tests.crowd import ASSIGNMENT, fill, make_course
from tests.end_to_end.conftest import HARNESS

if TYPE_CHECKING:
    from pathlib import Path

SIZE = int(os.environ.get("HARNESS_CROWD", "24"))
KILLS = 3
MOST_BETWEEN = SIZE // 5  # results between two kills
SECONDS_FOR_A_RESULT = 90.0
SECONDS_TO_VANISH = 30.0
SAME = ("outcome", "points", "max_points", "metric", "baselines")  # of two gradings of one submission


def words(folder: Path, store: Path) -> list[str]:
    """The command."""
    where = ["--assignment", ASSIGNMENT, "--sandbox", "bubblewrap", "--store", str(store)]
    return [str(HARNESS), "batch", str(folder), *where]


def run_ids(store: Store) -> list[str]:
    """The ids of all runs, in the order of recording."""
    return [rows.run["id"] for rows in current_runs(store, ASSIGNMENT, private=False)]


def wait_for_results(store: Store, count: int) -> None:
    """Wait until so many are stored."""
    deadline = time.monotonic() + SECONDS_FOR_A_RESULT * MOST_BETWEEN
    while len(run_ids(store)) < count:
        assert time.monotonic() < deadline, "there are too few results"
        time.sleep(0.1)


def kill(command: subprocess.Popen[bytes], *, workers_too: bool) -> set[int]:
    """Kill the batch with no chance to tidy up, and its workers if need be; return who they were."""
    family = {command.pid, *descendants(command.pid)}
    workers = [pid for pid in family if pid != command.pid and _is_worker(pid)]
    command.kill()
    for pid in workers if workers_too else ():
        os.kill(pid, signal.SIGKILL)
    command.wait()
    return family


def _is_worker(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  of the kernel
            return b"harness.host.batch_worker" in file.read()
    except OSError:
        return False


def left_over(families: set[int], store: Path) -> list[str]:
    """Processes, control groups and unfinished files that are there because of killed batches."""
    processes = [f"process {pid}" for pid in families if os.path.exists(f"/proc/{pid}/exe")]  # noqa: PTH110
    prefixes = tuple(f"harness-{pid}-" for pid in families)
    groups = [
        folder
        for folder, _, _ in os.walk("/sys/fs/cgroup")
        if os.path.basename(folder).startswith(prefixes)  # noqa: PTH119
    ]
    unfinished = store.parent / "artifacts" / "unfinished"
    return [*processes, *groups, *(map(str, unfinished.iterdir()) if unfinished.is_dir() else ())]


def alone(folder: Path, names: list[str], course: Path) -> dict[str, dict[str, Any]]:
    """What each submission gets by itself."""
    reference = course / "reference" / ASSIGNMENT
    means = Means("bubblewrap", "cpu", None, ASSIGNMENT, reference)
    reports = {}
    with Machine(print) as machine:
        for name in names:
            try:
                graded = grade_submission(folder / name, means, Console(quiet=True), machine)
            except HarnessError as error:
                pytest.fail(f"{name} alone: {error.message}")
            reports[name] = staff_document(graded.report)
    return reports


def essence(report: dict[str, Any]) -> dict[str, Any]:
    """What two gradings of one submission have in common."""
    checks = [(check["name"], check["outcome"]) for check in report["checks"]]
    loss = report["loss"] if report["outcome"] == "ok" else None  # how far it came may differ
    return {key: report[key] for key in SAME} | {"checks": checks, "loss": loss}


@pytest.mark.bubblewrap
@pytest.mark.timeout(120 + 20 * SIZE)
def test_killed_batch_goes_on_to_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each submission has one result, as it gets it alone; what was finished stays, and nothing is left."""
    course = make_course(tmp_path / "course")
    monkeypatch.chdir(course)
    names = fill(tmp_path / "class", SIZE)
    file = tmp_path / "results" / "runs.sqlite"
    place = place_of(str(file), None, course)
    chance, finished, families = random.Random(SIZE), list[str](), set[int]()  # noqa: S311  only to wait

    for number in range(KILLS):
        with subprocess.Popen(
            words(tmp_path / "class", file), cwd=course, stdout=subprocess.DEVNULL
        ) as command:
            wait_for_results(Store(place), len(finished) + chance.randint(1, MOST_BETWEEN))
            time.sleep(chance.random())
            assert command.poll() is None, "it was done before it was killed: make the class larger"
            families |= kill(command, workers_too=number == 1)
        ids = run_ids(Store(place))
        assert ids[: len(finished)] == finished
        finished = ids
    done = subprocess.run(
        words(tmp_path / "class", file), cwd=course, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert 0 < len(finished) < SIZE
    assert re.search(rf"^  graded before +{len(finished)} ", done.stdout, re.MULTILINE), done.stdout
    store = Store(place)
    results = [
        (rows.run["student"], staff_document(read_report(rows.run, rows.curve, rows.score, rows.private)))
        for rows in current_runs(store, ASSIGNMENT, private=True)
    ]
    assert run_ids(store)[: len(finished)] == finished
    assert sorted(name for name, _ in results) == sorted(names)
    expected = alone(tmp_path / "class", names, course)
    different = {
        name: (essence(report), essence(expected[name]))
        for name, report in results
        if essence(report) != essence(expected[name])
    }
    assert different == {}
    deadline = time.monotonic() + SECONDS_TO_VANISH
    while (left := left_over(families, file)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []
