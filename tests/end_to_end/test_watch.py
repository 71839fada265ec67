"""``harness grade --watch``: a student edits, and sees what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.conftest import HARNESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 60.0


def groups_of(pid: int) -> list[str]:
    """Control groups that a process made."""
    return [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if f"harness-{pid}-" in folder]


@contextmanager
def watching(submission: Path, report: Path, terminal: Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command, which is ended in any case."""
    words = [str(HARNESS), "grade", str(submission), "--sandbox", "bubblewrap", "--watch"]
    with (
        terminal.open("wb") as output,
        subprocess.Popen([*words, "--json", str(report)], cwd=cwd, stdout=output, stderr=output) as command,
    ):
        try:
            yield command
        finally:
            command.kill()


def next_report(file: Path) -> dict[str, Any]:
    """The report that is written next; it is taken away, so that the one after it is told apart."""
    deadline = time.monotonic() + SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, "no report was written"
        time.sleep(0.02)
    report: dict[str, Any] = json.loads(file.read_text())
    file.unlink()
    return report


@pytest.mark.bubblewrap
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_submission_is_graded_again_when_it_changes(
    course: Path, submission: Path, tmp_path: Path, end: signal.Signals
) -> None:
    """Each edit has its verdict, a broken one too; Ctrl-C and a polite kill end it, and nothing is left."""
    report, terminal = tmp_path / "report.json", tmp_path / "terminal"
    config = submission / "config.toml"
    steps: list[tuple[Callable[[], object], str]] = [
        (lambda: None, "ok"),
        (
            lambda: config.write_text(config.read_text().replace("epochs = 30", "epochs = x")),
            "invalid_submission",
        ),
        (lambda: config.write_text(config.read_text().replace("epochs = x", "epochs = 3")), "ok"),
        ((submission / "model.py").unlink, "invalid_submission"),
    ]
    runs = []
    with watching(submission, report, terminal, course) as command:
        for edit, outcome in steps if end is signal.SIGINT else steps[:1]:
            edit()
            found = next_report(report)
            assert found["outcome"] == outcome, terminal.read_text()
            runs.append(found["run_id"])
            time.sleep(0.5)  # a student needs longer to edit
        command.send_signal(end)
        assert command.wait(SECONDS) == 0, terminal.read_text()
        assert groups_of(command.pid) == []
    assert len(set(runs)) == len(runs)
    assert terminal.read_text().count("watching ") == len(runs)


@pytest.mark.bubblewrap
def test_fault_does_not_end_the_watching(course: Path, submission: Path, tmp_path: Path) -> None:
    """A config that names no assignment is said, and the next edit is graded."""
    config, report, terminal = submission / "config.toml", tmp_path / "report.json", tmp_path / "terminal"
    sound = config.read_text()
    config.write_text(sound.replace('"sum"', '"product"'))
    with watching(submission, report, terminal, course) as command:
        deadline = time.monotonic() + SECONDS
        while "watching " not in terminal.read_text():
            assert time.monotonic() < deadline, terminal.read_text()
            time.sleep(0.02)
        config.write_text(sound)
        assert next_report(report)["outcome"] == "ok"
        time.sleep(0.5)
        command.send_signal(signal.SIGINT)
        assert command.wait(SECONDS) == 0
    assert "there is no assignment 'product'" in terminal.read_text()
