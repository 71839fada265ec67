"""``harness grade --watch``: a student edits, and sees what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.conftest import HARNESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 60.0


def groups_of(pid: int) -> list[str]:
    """Control groups that a process made."""
    return [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if f"harness-{pid}-" in folder]


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
def test_submission_is_graded_again_when_it_changes(course: Path, submission: Path, tmp_path: Path) -> None:
    """Each edit has its verdict, a broken one too; Ctrl-C ends it, and nothing is left."""
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
    words = [
        str(HARNESS),
        "grade",
        str(submission),
        "--sandbox",
        "bubblewrap",
        "--watch",
        "--json",
        str(report),
    ]
    runs = []
    with (
        terminal.open("wb") as output,
        subprocess.Popen(
            [*words, "--assignment", "sum"], cwd=course, stdout=output, stderr=output
        ) as command,
    ):
        for edit, outcome in steps:
            edit()
            found = next_report(report)
            assert found["outcome"] == outcome, terminal.read_text()
            runs.append(found["run_id"])
            time.sleep(0.5)  # until it watches
        command.send_signal(signal.SIGINT)
        assert command.wait(SECONDS) == 0, terminal.read_text()
        assert groups_of(command.pid) == []
    assert len(set(runs)) == len(steps)
    assert terminal.read_text().count("watching ") == len(steps)


@pytest.mark.bubblewrap
def test_fault_does_not_end_the_watching(course: Path, submission: Path, tmp_path: Path) -> None:
    """A config that names no assignment is said, and the next edit is graded."""
    config, report, terminal = submission / "config.toml", tmp_path / "report.json", tmp_path / "terminal"
    sound = config.read_text()
    config.write_text(sound.replace('"sum"', '"product"'))
    words = [
        str(HARNESS),
        "grade",
        str(submission),
        "--sandbox",
        "bubblewrap",
        "--watch",
        "--json",
        str(report),
    ]
    with (
        terminal.open("wb") as output,
        subprocess.Popen(words, cwd=course, stdout=output, stderr=output) as command,
    ):
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
