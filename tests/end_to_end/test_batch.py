"""``harness batch``: many submissions side by side, of which none stops the others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.sandbox.watch import descendants
from tests.end_to_end.conftest import HARNESS, Graded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 90.0
SLOW = "import time\ntime.sleep(1.5)\n"
DOCKER = pytest.param("docker", marks=pytest.mark.docker)
BUBBLEWRAP = pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)


@pytest.fixture
def handed_in(submission: Path, tmp_path: Path) -> Path:
    """A folder with submissions of several kinds and forms."""
    folder = tmp_path / "handed in"
    folder.mkdir()
    for name in ("good", "crashes", "no model", "good too"):
        shutil.copytree(submission, folder / name)
    shutil.make_archive(str(folder / "zipped"), "zip", submission)
    model = folder / "crashes" / "model.py"
    model.write_text(model.read_text() + "\nraise RuntimeError('at import')\n")
    (folder / "no model" / "model.py").unlink()
    (folder / "good too" / "config.toml").write_text(
        (submission / "config.toml").read_text().replace("seed = ", "seed = 1")
    )
    (folder / "roster.csv").write_text("not,a,submission\n")
    (folder / ".hidden").mkdir()
    return folder


def batch(folder: Path, reports: Path, cwd: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    words = [str(HARNESS), "batch", str(folder), "--reports", str(reports), "--sandbox", "bubblewrap"]
    words += options
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=SECONDS)


@contextmanager
def started(folder: Path, reports: Path, cwd: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which is killed in any case."""
    words = [str(HARNESS), "batch", str(folder), "--reports", str(reports), "--sandbox", "bubblewrap"]
    words += options
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, cwd=cwd, **streams) as command:
        try:
            yield command
        finally:
            command.kill()


def reports_in(folder: Path) -> dict[str, dict[str, Any]]:
    """The reports by name."""
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.mark.parametrize("sandbox", [DOCKER, BUBBLEWRAP])
def test_all_are_graded_as_they_are_alone(
    handed_in: Path, course: Path, tmp_path: Path, grade: Callable[..., Graded], sandbox: str
) -> None:
    """Folders and archives have a report each; what is wrong with one is its own affair."""
    reports = tmp_path / "new" / "reports"

    done = batch(handed_in, reports, course, "--sandbox", sandbox)

    assert done.returncode == 0, done.stdout + done.stderr
    found = reports_in(reports)
    outcomes = {name: report["outcome"] for name, report in found.items()}
    assert outcomes == {
        "crashes": "import_error",
        "good": "ok",
        "good too": "ok",
        "no model": "invalid_submission",
        "zipped": "ok",
    }
    assert found["good"]["metric"] == found["zipped"]["metric"]
    assert found["good"]["loss"] != found["good too"]["loss"]
    alone = grade(handed_in / "good", "--sandbox", sandbox, cwd=course).report
    assert {key: found["good"][key] for key in ("metric", "loss", "points")} == {
        key: alone[key] for key in ("metric", "loss", "points")
    }
    lines = done.stdout.splitlines()
    assert any("no model: invalid_submission" in line for line in lines)
    assert lines[-2].startswith("5 of 5 submissions in ")
    assert "3 ok, 1 import_error, 1 invalid_submission" in lines[-2]
    assert lines[-1] == f"reports: {reports}"


@pytest.mark.bubblewrap
def test_what_cannot_be_graded_is_told_and_counts(handed_in: Path, course: Path, tmp_path: Path) -> None:
    """Nobody's fault but the command's: each says so, and the status does."""
    done = batch(handed_in, tmp_path / "reports", course, "--assignment", "no-such")

    assert done.returncode == 3
    assert done.stdout.count("not graded: there is no assignment") == 5, done.stdout
    assert list((tmp_path / "reports").iterdir()) == []


def test_wrong_use_is_told_before_anything_runs(handed_in: Path, course: Path, tmp_path: Path) -> None:
    """A folder that is not there, one without submissions, two that would overwrite each other's report."""
    (tmp_path / "empty").mkdir()
    shutil.copytree(handed_in / "good", handed_in / "zipped")
    for folder, said in [
        (tmp_path / "missing", "there is no folder"),
        (tmp_path / "empty", "there is no submission in"),
        (handed_in, "would have one report, zipped.json"),
    ]:
        done = batch(folder, tmp_path / "reports", course)
        assert done.returncode == 2
        assert said in done.stderr


@pytest.fixture
def slow(submission: Path, tmp_path: Path) -> Path:
    """Three submissions that each take some seconds."""
    folder = tmp_path / "slow"
    for name in ("one", "two", "three"):
        shutil.copytree(submission, folder / name)
        model = folder / name / "model.py"
        model.write_text(SLOW + model.read_text())
    return folder


def workers_of(command: subprocess.Popen[str]) -> list[int]:
    """The processes that grade."""
    found = []
    for pid in descendants(command.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended
            continue
        if b"harness.host.batch_worker" in words:
            found.append(pid)
    return found


def groups_of(pids: list[int]) -> list[str]:
    """Control groups that processes made."""
    prefixes = tuple(f"harness-{pid}-" for pid in pids)
    folders = (Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return [str(folder) for folder in folders if folder.name.startswith(prefixes)]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.mark.bubblewrap
def test_worker_that_is_killed_costs_nobody_a_grade(slow: Path, course: Path, tmp_path: Path) -> None:
    """Its submission is graded by another one, and what it left is swept."""
    reports = tmp_path / "reports"
    with started(slow, reports, course, "--jobs", "1") as command:
        wait_for(lambda: groups_of(workers_of(command)))
        killed = workers_of(command)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        output, _ = command.communicate(timeout=SECONDS)

    assert command.returncode == 0, output
    assert {name: report["outcome"] for name, report in reports_in(reports).items()} == {
        "one": "ok",
        "two": "ok",
        "three": "ok",
    }
    assert groups_of(killed) == []


@pytest.mark.bubblewrap
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_batch_keeps_what_is_done_and_leaves_nothing(
    slow: Path, course: Path, tmp_path: Path, end: signal.Signals
) -> None:
    """It ends at once, not after those that run."""
    reports = tmp_path / "reports"
    with started(slow, reports, course, "--jobs", "1") as command:
        wait_for(lambda: reports_in(reports))
        workers = workers_of(command)
        wait_for(lambda: groups_of(workers))
        command.send_signal(end)
        output, _ = command.communicate(timeout=SECONDS)

    assert command.returncode == 3, output
    assert "interrupted; the reports that were written stay" in output
    assert "left undone" in output
    assert 1 <= len(reports_in(reports)) < 3
    wait_for(lambda: not groups_of(workers))
