"""``harness grade`` and ``pytest --submission`` keep the contracts of docs/reference."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Grade = Callable[..., Any]

pytestmark = pytest.mark.bubblewrap
BUBBLEWRAP = ("--sandbox", "bubblewrap")
OK, NOT_OK, WRONG_USE, MACHINE = 0, 1, 2, 3


def test_an_honest_submission_is_graded(grade: Grade, course: Path, submission: Path) -> None:
    """It earns the points of the checks that it passes, and the exit status is 0 though a tier was missed."""
    done = grade(submission, *BUBBLEWRAP, cwd=course)

    assert done.status == OK, done.errors
    assert (done.report["outcome"], done.report["points"], done.report["max_points"]) == ("ok", 5.0, 6.0)
    checks = {check["name"]: check["outcome"] for check in done.report["checks"]}
    assert checks == {
        "contract": "passed",
        "finished": "passed",
        "finite": "passed",
        "independent": "passed",
        "runtime": "passed",
        "beats_simple[public]": "passed",
        "beats_simple[private]": "passed",
        "beats_impossible[public]": "failed",
        "beats_impossible[private]": "failed",
    }
    assert "5 / 6 points" in done.output


def test_pytest_gives_the_same_points(grade: Grade, course: Path, submission: Path) -> None:
    """Plain pytest over the assignment runs the same checks and shows the same report."""
    points = grade(submission, *BUBBLEWRAP, cwd=course).report["points"]
    done = subprocess.run(
        [Path(sys.prefix, "bin", "pytest"), "assignments/sum", "--submission", submission, *BUBBLEWRAP],
        cwd=course,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert f"{points:g} / 6 points" in done.stdout
    assert re.search(r"2 failed, 7 passed", done.stdout), done.stdout


def test_an_assignment_adds_checks_of_its_own(grade: Grade, course: Path, submission: Path) -> None:
    """A ``test_*.py`` beside the assignment has the fixtures and the marker, and quotes no values."""
    (course / "assignments" / "sum" / "test_more.py").write_text(EXTRA_CHECKS)
    done = grade(submission, *BUBBLEWRAP, cwd=course)
    checks = {check["name"]: check for check in done.report["checks"]}

    assert checks["has_linear_layer"]["points"] == 0.5
    assert checks["says_why"]["message"] == "the reason"
    assert checks["says_nothing"]["outcome"] == "failed"
    assert "1234567" not in json.dumps(done.report) + done.output
    assert done.report["max_points"] == 6.5


def test_a_check_that_breaks_is_not_the_students_fault(grade: Grade, course: Path, submission: Path) -> None:
    """An exception in a check is a broken assignment: exit status 2 and no report."""
    (course / "assignments" / "sum" / "test_more.py").write_text("def test_it(run):\n    1 / 0\n")
    done = grade(submission, *BUBBLEWRAP, cwd=course)

    assert done.status == WRONG_USE
    assert "ZeroDivisionError" in done.errors
    assert not done.report


def test_without_a_reference_the_validation_rows_are_graded(
    grade: Grade, course: Path, submission: Path
) -> None:
    """A student's copy gives the tiers' points by the validation score, and says that it does."""
    shutil.rmtree(course / "reference")
    done = grade(submission, *BUBBLEWRAP, cwd=course)

    assert done.status == OK, done.errors
    assert done.report["points"] == 5.0
    assert {"beats_simple[validation]", "beats_impossible[validation]"} <= {
        check["name"] for check in done.report["checks"]
    }
    assert done.report["metric"]["public"] is None
    assert "no hidden reference" in done.output


def test_an_archive_is_graded_like_its_folder(
    grade: Grade, course: Path, submission: Path, tmp_path: Path
) -> None:
    """A zip of the folder has the folder's digest and score."""
    archive = Path(shutil.make_archive(str(tmp_path / "linear"), "zip", tmp_path, "linear"))
    from_folder = grade(submission, *BUBBLEWRAP, cwd=course).report
    from_archive = grade(archive, *BUBBLEWRAP, cwd=course).report

    assert from_archive["submission"] == from_folder["submission"]
    assert from_archive["metric"] == from_folder["metric"]
    assert from_archive["loss"] == from_folder["loss"]


def test_points_under_the_bar_change_the_exit_status(grade: Grade, course: Path, submission: Path) -> None:
    """``--fail-under`` is for CI."""
    assert grade(submission, *BUBBLEWRAP, "--fail-under", "5", cwd=course).status == OK
    assert grade(submission, *BUBBLEWRAP, "--fail-under", "5.5", cwd=course).status == NOT_OK


def test_a_submission_that_cannot_run_is_graded_as_such(grade: Grade, course: Path, submission: Path) -> None:
    """A broken config gives a report with no points and exit status 1, without starting a sandbox."""
    (submission / "config.toml").write_text('assignment = "sum"\nepochs = 3\n[optimizer]\nname = "Sgd"\n')
    done = grade(submission, *BUBBLEWRAP, cwd=course)

    assert done.status == NOT_OK
    assert (done.report["outcome"], done.report["phase"]) == ("invalid_submission", "submission")
    assert done.report["points"] == 0.0
    assert "SGD" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere"),
        (["{submission}", "--assignment", "some"], "there are sum"),
        (["{submission}", "--assignment", "../reference"], "no assignment"),
        (["{submission}", "--reference", "nowhere"], "nowhere"),
        (["{submission}", "--feedback", "nowhere/f.md"], "nowhere"),
        (["{submission}", "--feedback", "f.pdf"], ".md"),
        (["{submission}", "--sandbox", "chroot"], "bubblewrap"),
    ],
)
def test_wrong_use_has_its_own_exit_status(
    grade: Grade, course: Path, submission: Path, arguments: list[str], words: str
) -> None:
    """What is wrong with the command is said in a line, before anything runs, without a traceback."""
    done = grade(*(argument.format(submission=submission) for argument in arguments), cwd=course)

    assert done.status == WRONG_USE, done.errors
    assert words in done.errors
    assert "Traceback" not in done.errors


def test_a_machine_that_cannot_grade_stores_no_grade(
    grade: Grade, course: Path, submission: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that does not answer is exit status 3 and no report, never an outcome of the submission."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{course}/no.sock")
    done = grade(submission, "--sandbox", "docker", cwd=course)

    assert done.status == MACHINE
    assert not done.report
    assert "Traceback" not in done.errors


def test_attempts_are_capped_and_the_machines_faults_are_free(
    grade: Grade, course: Path, submission: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one attempt a day, a fault of the machine costs none, the second real one is refused."""
    toml = course / "assignments" / "sum" / "assignment.toml"
    toml.write_text(toml.read_text().replace('task = "', 'attempts_per_day = 1\ntask = "'))
    with monkeypatch.context() as without_engine:
        without_engine.setenv("DOCKER_HOST", f"unix://{course}/no.sock")
        assert grade(submission, "--sandbox", "docker", cwd=course).status == MACHINE
    assert grade(submission, *BUBBLEWRAP, cwd=course).status == OK
    refused = grade(submission, *BUBBLEWRAP, cwd=course)
    other = grade(submission, *BUBBLEWRAP, "--student", "another", cwd=course)

    assert refused.status == WRONG_USE
    assert "attempt" in refused.errors
    assert not refused.report
    assert other.status == OK


def test_plain_pytest_shows_messages_only_and_inert(course: Path, submission: Path) -> None:
    """What pytest prints has neither a student's control characters nor a failed assertion's values."""
    (submission / "model.py").write_text("raise ValueError('\\x1b[31mRED')\n")
    (course / "assignments" / "sum" / "test_more.py").write_text(EXTRA_CHECKS)
    done = subprocess.run(
        [Path(sys.prefix, "bin", "pytest"), "assignments/sum", "--submission", submission, *BUBBLEWRAP],
        cwd=course,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "RED" in done.stdout
    assert "\x1b" not in done.stdout
    assert "1234567" not in done.stdout


def test_auto_says_what_it_took_and_why(
    grade: Grade, course: Path, submission: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an engine, auto grades in bubblewrap and names the reason in the output and the report."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{course}/no.sock")
    done = grade(submission, cwd=course)

    assert done.status == OK, done.errors
    assert done.report["environment"]["sandbox"] == "bubblewrap"
    assert "no Docker" in done.output


def test_nothing_is_isolated_without_a_sandbox_and_it_says_so(
    grade: Grade, course: Path, submission: Path
) -> None:
    """The backend ``none`` gives the same score, and both reports say that nothing was isolated."""
    walled = grade(submission, *BUBBLEWRAP, cwd=course)
    bare = grade(submission, "--sandbox", "none", cwd=course)

    assert bare.report["metric"] == walled.report["metric"]
    assert bare.report["environment"]["isolated"] is False
    assert "NOT ISOLATED" in bare.output


def test_pytest_refuses_to_start_on_a_submission(course: Path, submission: Path) -> None:
    """A student's pytest.ini or conftest.py is never read as configuration."""
    (submission / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (submission / "conftest.py").write_text("raise SystemExit('conftest was imported')\n")
    done = subprocess.run(
        [
            Path(sys.prefix, "bin", "pytest"),
            course / "assignments/sum",
            "--submission",
            ".",
            "--rootdir",
            ".",
        ],
        cwd=submission,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode != OK
    assert "started on the submission itself" in done.stderr
    assert "conftest was imported" not in done.stdout + done.stderr


def test_grading_from_inside_the_submission_reads_none_of_its_files_as_ours(
    grade: Grade, course: Path, submission: Path
) -> None:
    """With the submission as the working directory, its yaml.py, torch.py and pytest.ini change nothing."""
    inside = course / "mine"
    shutil.copytree(submission, inside)
    (inside / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    for name in ("conftest", "numpy", "rich", "sitecustomize"):
        (inside / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')\n")
    done = grade(Path(), *BUBBLEWRAP, cwd=inside)

    assert done.report["points"] == 5.0, done.errors
    assert "was imported" not in done.output + done.errors


EXTRA_CHECKS = """
import pytest


@pytest.mark.points(0.5)
def test_has_linear_layer(submission, run, score, assignment):
    assert b"Linear" in submission.files["model.py"]
    assert run.score is score
    assert assignment.id == "sum"


def test_says_why(run):
    label = 1234567
    assert label == 0, "the reason"


def test_says_nothing(run):
    label = 1234567
    assert label == 0
"""
