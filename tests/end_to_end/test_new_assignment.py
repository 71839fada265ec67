"""A new assignment can be validated and graded at once, by its solutions as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HARNESS = Path(sys.prefix, "bin", "harness")
BUBBLEWRAP = ("--sandbox", "bubblewrap")


def harness(course: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a course."""
    return subprocess.run(
        [HARNESS, *arguments], cwd=course, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.bubblewrap
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_new_assignment_is_sound(task: str, tmp_path: Path) -> None:
    """Nothing has to be mended, or even looked at: each solution earns its tier, in the sandbox."""
    (tmp_path / "assignments").mkdir()
    made = harness(tmp_path, "new", "assignment", "hw3-rides", "--task", task)
    done = harness(tmp_path, "validate", "hw3-rides", *BUBBLEWRAP)

    assert made.returncode == 0, made.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 to look at, 0 to mend" in done.stdout
    assert all(f"solution {tier}" in done.stdout for tier in ("simple", "medium", "strong", "boss"))


@pytest.mark.bubblewrap
def test_a_new_submission_can_be_graded(grade: Callable[..., Any], tmp_path: Path) -> None:
    """The starter runs, earns what the common checks give, and no tier."""
    harness(tmp_path, "new", "assignment", "hw3-rides")
    made = harness(tmp_path, "new", "submission", "hw3-rides")
    done = grade(Path("my-hw3-rides"), *BUBBLEWRAP, cwd=tmp_path)

    assert made.returncode == 0, made.stderr
    assert done.report["outcome"] == "ok", done.errors
    assert (done.report["points"], done.report["max_points"]) == (6.0, 10.0)


@pytest.mark.bubblewrap
def test_a_wrong_threshold_is_found_by_running_its_solution(tmp_path: Path) -> None:
    """A tier that its own solution misses is a problem, and the status says so."""
    harness(tmp_path, "new", "assignment", "hw3-rides")
    toml = tmp_path / "assignments/hw3-rides/assignment.toml"
    toml.write_text(toml.read_text().replace("threshold = 2.9", "threshold = 2.2"))
    for tier in ("medium", "strong", "boss"):
        (tmp_path / "reference/hw3-rides/solutions" / tier).rename(tmp_path / tier)
    done = harness(tmp_path, "validate", "hw3-rides", *BUBBLEWRAP)

    assert done.returncode == 1
    assert "its tier asks for 2.2" in done.stdout
    assert "would fit" in done.stdout
    assert "there is none for medium, strong, boss" in done.stdout
