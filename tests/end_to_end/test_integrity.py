"""A model whose predictions depend on other rows is found out and told why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.bubblewrap


def check_of(report: dict[str, Any]) -> dict[str, Any]:
    """The check that rows stand alone."""
    return next(check for check in report["checks"] if check["name"] == "independent")


def test_the_finding_names_the_rows_and_the_causes(
    grade: Callable[..., Any], course: Path, submission: Path
) -> None:
    """The message says how many rows changed and what usually does it; the points are the assignment's."""
    toml = course / "assignments" / "sum" / "assignment.toml"
    toml.write_text(toml.read_text().replace("runtime = 1.0", "runtime = 1.0\nindependent = 2.0"))
    model = submission / "model.py"
    model.write_text(model.read_text().replace("self.linear(x)", "self.linear(x - x.mean(0))"))
    report = grade(submission, "--sandbox", "bubblewrap", cwd=course).report
    check = check_of(report)

    assert (report["outcome"], check["outcome"]) == ("ok", "failed")
    assert (check["points"], check["max_points"]) == (0.0, 2.0)
    assert "depend on the batch" in check["message"]
    assert "of 60 test rows" in check["message"]
    assert "statistics over the batch" in check["message"]


def test_a_failure_in_the_second_prediction_is_a_finding(
    grade: Callable[..., Any], course: Path, submission: Path
) -> None:
    """A model that counts on its batch size has been scored, and fails the check."""
    model = submission / "model.py"
    body = "assert self.training or len(x) in (16, 15, 4)\n        return self.linear(x)"
    model.write_text(model.read_text().replace("return self.linear(x)", body))
    report = grade(submission, "--sandbox", "bubblewrap", cwd=course).report

    assert report["outcome"] == "ok", report["message"]
    assert check_of(report)["message"].endswith("ended with runtime_error")


def test_the_second_prediction_finds_nothing_of_the_first(
    grade: Callable[..., Any], course: Path, submission: Path
) -> None:
    """It has a scratch space, shared memory and processes of its own."""
    model = submission / "model.py"
    model.write_text(HOARDER)
    report = grade(submission, "--sandbox", "bubblewrap", cwd=course).report

    assert report["outcome"] == "ok", report["message"]
    assert check_of(report)["outcome"] == "passed"


HOARDER = """
import os

from torch import nn

PLACES = ("/tmp/hoard", "/dev/shm/hoard")


class MyModel(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 1)
        assert not any(os.path.exists(place) for place in PLACES)
        for place in PLACES:
            with open(place, "w") as file:
                file.write("the first was here")

    def forward(self, x):
        return self.linear(x).squeeze(1)
"""
