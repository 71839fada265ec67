"""``harness grade`` in CI: annotations, a summary, files in any case, and nothing private."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.end_to_end.conftest import HARNESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Grade = Callable[..., Any]

pytestmark = pytest.mark.bubblewrap
BUBBLEWRAP = ("--sandbox", "bubblewrap")
OK, NOT_OK, WRONG_USE, MACHINE = 0, 1, 2, 3
FORGES = """
import sys
print("::error::forged")
print("\\x1b[0Ksection_end:1:report\\r\\x1b[0K", file=sys.stderr)
raise ValueError("::set-output name=a::b")
"""


@pytest.fixture
def on_github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The variables of a job; returns the file of the step's summary."""
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    return summary


def cases(path: Path) -> dict[str | None, list[str]]:
    """The elements in each test case of a JUnit file."""
    root = ET.parse(path).getroot()  # noqa: S314  just written here
    return {
        case.get("name"): [e.tag for e in case if e.tag != "properties"] for case in root.iter("testcase")
    }


def commands(output: str) -> list[str]:
    """The lines that GitHub acts on: those that begin with a command while none has stopped it."""
    found: list[str] = []
    stopped = ""
    for line in output.splitlines():
        if stopped:
            stopped = "" if line == f"::{stopped}::" else stopped
        elif line.startswith("::stop-commands::"):
            stopped = line.removeprefix("::stop-commands::")
        elif line.lstrip().startswith("::") or "##[" in line:
            found.append(line)
    assert not stopped
    return found


def test_nothing_private_is_told_to_a_ci_system(
    grade: Grade, course: Path, submission: Path, on_github: Path, tmp_path: Path
) -> None:
    """With the reference at hand, log, summary and JUnit file have the public side alone; JSON has all."""
    junit = tmp_path / "junit.xml"
    done = grade(submission, *BUBBLEWRAP, "--junit", str(junit), "--fail-under", "5.5", cwd=course)

    assert done.status == NOT_OK, done.errors
    assert done.report["points"] == 5.0
    assert "4.5 / 5 points" in done.output
    summary = on_github.read_text()
    assert "**4.5 of 5 points**" in summary
    assert "┤" in summary
    shown = done.output + done.errors + summary + junit.read_text()
    assert "private" not in shown
    assert f"{done.report['metric']['private']:.4g}" not in shown
    assert "the points are under the 5.5" in done.errors
    assert list(cases(junit)) == [
        check["name"] for check in done.report["checks"] if "private" not in check["name"]
    ]
    assert [line.split("::")[1] for line in commands(done.output)] == [
        "warning title=beats_impossible[public]"
    ]


def test_a_submission_cannot_speak_to_the_ci_system(
    grade: Grade, course: Path, submission: Path, on_github: Path
) -> None:
    """Commands that it prints or raises are shown and not obeyed; its failure stands on its line."""
    (submission / "model.py").write_text(FORGES)
    done = grade(submission, *BUBBLEWRAP, cwd=course)

    assert done.status == NOT_OK, done.errors
    (error, *others) = commands(done.output)
    assert error.startswith("::error file=linear/model.py,line=5,title=import_error::")
    assert all(line.startswith("::warning ") for line in others)
    assert not [
        line for line in (done.errors + done.output).splitlines() if line.startswith("::error::forged")
    ]
    assert "\x1b" not in done.output + done.errors
    assert "import_error" in on_github.read_text()


def test_gitlab_gets_sections_and_files(
    grade: Grade, course: Path, submission: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The log folds, and the code quality report has the failure on its line."""
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(submission))
    (submission / "model.py").write_text(FORGES)
    report = tmp_path / "gl-code-quality-report.json"
    done = grade(submission, *BUBBLEWRAP, "--code-quality", str(report), cwd=course)

    assert done.status == NOT_OK, done.errors
    markers = re.findall(
        r"\x1b\[0Ksection_(start|end):\d+:(\w+)\n\x1b\[0K", done.output
    )  # a \r as text has it
    assert markers == [("start", "grading"), ("end", "grading"), ("start", "report"), ("end", "report")]
    first = json.loads(report.read_text())[0]
    assert first["location"] == {"path": "model.py", "lines": {"begin": 5}}


def test_none_is_the_terminals_report(grade: Grade, course: Path, submission: Path, on_github: Path) -> None:
    """Staff who keep their log to themselves ask for all of it."""
    done = grade(submission, *BUBBLEWRAP, "--ci", "none", cwd=course)

    assert "private test" in done.output
    assert "::" not in done.output
    assert not on_github.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--sandbox", "docker"), MACHINE, "engine"),
        (("--assignment", "some"), WRONG_USE, "there are sum"),
        (("--json", "nowhere/report.json"), WRONG_USE, "no folder"),
    ],
)
def test_what_cannot_be_graded_is_in_the_junit_file(  # noqa: PLR0913, PLR0917  fixtures
    grade: Grade,
    course: Path,
    submission: Path,
    tmp_path: Path,
    on_github: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    """A fault of the machine or the command is an error case, and an annotation without a file."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{course}/no.sock")
    junit = tmp_path / "junit.xml"
    done = grade(submission, "--junit", str(junit), *arguments, cwd=course)

    assert done.status == status, done.errors
    assert cases(junit) == {"grading": ["error"]}
    assert words in junit.read_text()
    assert commands(done.output)[0].startswith("::error title=not graded::")
    assert not on_github.exists()


def test_a_death_leaves_a_junit_file(course: Path, submission: Path, tmp_path: Path) -> None:
    """Killed without a word, it has said in the file that the grading did not come to its end."""
    (submission / "model.py").write_text("import time\ntime.sleep(60)\n")
    junit = tmp_path / "junit.xml"
    command = [str(HARNESS), "grade", str(submission), *BUBBLEWRAP, "--junit", str(junit)]
    with subprocess.Popen(command, cwd=course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while not junit.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)

    assert cases(junit) == {"grading": ["error"]}
    assert "did not come to its end" in junit.read_text()
