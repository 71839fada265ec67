"""``harness batch``: many submissions side by side, of which none stops the others."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.report.document import staff_document
from harness.host.sandbox.watch import descendants
from harness.host.store.listing import current_runs, list_faults, list_runs
from harness.host.store.place import place_of
from harness.host.store.rows import read_report
from harness.host.store.store import Store
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


def words(folder: Path, home: Path, *options: str) -> list[str]:
    """The command; its store is in `home`."""
    store = ["--store", str(home / "runs.sqlite")]
    return [str(HARNESS), "batch", str(folder), *store, "--sandbox", "bubblewrap", *options]


def batch(folder: Path, home: Path, cwd: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        words(folder, home, *options), cwd=cwd, capture_output=True, text=True, check=False, timeout=SECONDS
    )


@contextmanager
def started(folder: Path, home: Path, cwd: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which is killed in any case."""
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words(folder, home, *options), cwd=cwd, **streams) as command:
        try:
            yield command
        finally:
            command.kill()


def results_in(home: Path, assignment: str = "sum") -> dict[str, dict[str, Any]]:
    """The staff reports of the results in the store, by student; two of one student are an error."""
    if not (home / "runs.sqlite").exists():
        return {}
    store = Store(place_of(str(home / "runs.sqlite"), None, home))
    found = {}
    for rows in current_runs(store, assignment, private=True):
        assert rows.run["student"] not in found
        report = read_report(rows.run, rows.curve, rows.score, rows.private)
        found[rows.run["student"]] = staff_document(report)
    return found


@pytest.mark.parametrize("sandbox", [DOCKER, BUBBLEWRAP])
def test_all_are_graded_as_they_are_alone(
    handed_in: Path, course: Path, tmp_path: Path, grade: Callable[..., Graded], sandbox: str
) -> None:
    """Folders and archives have a report each; what is wrong with one is its own affair."""
    home = tmp_path / "new" / "results"

    done = batch(handed_in, home, course, "--sandbox", sandbox)

    assert done.returncode == 0, done.stdout + done.stderr
    found = results_in(home)
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
    assert lines[-5].startswith("5 of 5 submissions in ")
    assert [line.split()[:2] for line in lines[-4:-1]] == [
        ["ok", "3"],
        *sorted(
            [["import_error", "1"], ["invalid_submission", "1"]], key=lambda each: done.stdout.index(each[0])
        ),
    ]
    assert lines[-1] == "leaderboard: harness leaderboard sum"


@pytest.mark.bubblewrap
def test_what_cannot_be_graded_is_told_and_counts(handed_in: Path, course: Path, tmp_path: Path) -> None:
    """A line of the roster that leads nowhere is nobody's grade, and stops nobody else's."""
    roster = handed_in / "roster.csv"
    roster.write_text("student,submission\ns001,good\ns002,nowhere\ns003,\ns001,good too\n")

    done = batch(roster, tmp_path, course)

    assert done.returncode == 3
    assert "2/3  s002: not graded: there is no submission" in done.stdout.replace("1/3", "2/3"), done.stdout
    assert "harness runs sum --faults" in done.stdout
    store = Store(place_of(str(tmp_path / "runs.sqlite"), None, tmp_path))
    assert [row["student"] for row in list_runs(store, "sum", None, None, 9)] == ["s001", "s001"]
    assert [row["student"] for row in list_faults(store, "sum", 9)] == ["s002"]


@pytest.mark.bubblewrap
def test_what_is_graded_is_not_run_again(handed_in: Path, course: Path, tmp_path: Path) -> None:
    """The same command goes on where it stood; what was changed since is graded."""
    batch(handed_in, tmp_path, course)
    before = results_in(tmp_path)
    config = handed_in / "good" / "config.toml"
    config.write_text(config.read_text() + "# another\n")
    shutil.rmtree(handed_in / "crashes")

    done = batch(handed_in, tmp_path, course)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "graded before  3" in done.stdout
    store = Store(place_of(str(tmp_path / "runs.sqlite"), None, tmp_path))
    newest = list_runs(store, "sum", None, None, 99)
    assert len(newest) == 6
    assert newest[0]["student"] == "good"
    assert newest[0]["id"] != before["good"]["run_id"]


def test_wrong_use_is_told_before_anything_runs(handed_in: Path, course: Path, tmp_path: Path) -> None:
    """A folder that is not there, one without submissions, two of one name, an assignment that is none."""
    (tmp_path / "empty").mkdir()
    shutil.copytree(handed_in / "good", handed_in / "zipped")
    for folder, options, said in [
        (tmp_path / "missing", [], "there is no"),
        (tmp_path / "empty", [], "there is no submission in"),
        (handed_in, [], "are both of zipped"),
        (handed_in, ["--assignment", "no-such"], "there is no assignment"),
        (handed_in / "roster.csv", [], "there is no column"),
    ]:
        done = batch(folder, tmp_path, course, *options)
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
    with started(slow, tmp_path, course, "--jobs", "1") as command:
        wait_for(lambda: groups_of(workers_of(command)))
        killed = workers_of(command)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        output, _ = command.communicate(timeout=SECONDS)

    assert command.returncode == 0, output
    assert {name: report["outcome"] for name, report in results_in(tmp_path).items()} == {
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
    with started(slow, tmp_path, course, "--jobs", "1") as command:
        wait_for(lambda: results_in(tmp_path))
        workers = workers_of(command)
        wait_for(lambda: groups_of(workers))
        command.send_signal(end)
        output, _ = command.communicate(timeout=SECONDS)

    assert command.returncode == 3, output
    assert "interrupted; what was graded is kept" in output
    assert "left undone" in output
    assert 1 <= len(results_in(tmp_path)) < 3
    wait_for(lambda: not groups_of(workers))


@pytest.mark.bubblewrap
def test_answers_that_change_meanwhile_give_no_result(slow: Path, course: Path, tmp_path: Path) -> None:
    """Nobody could say which answers a score is by; the next batch scores it by those that there are now."""
    answers = course / "reference" / "sum" / "answers.csv"
    with started(slow, tmp_path, course, "--jobs", "1") as command:
        wait_for(lambda: groups_of(workers_of(command)))
        answers.write_text(answers.read_text().replace("0,", "0,1"))
        output, _ = command.communicate(timeout=SECONDS)
    done = batch(slow, tmp_path, course)

    assert command.returncode == 3, output
    assert "were changed while it was graded" in output
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(results_in(tmp_path)) == ["one", "three", "two"]
