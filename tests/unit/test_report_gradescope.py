"""Gradescope gets results in the form that it documents; students see of them what their own document has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.errors import UsageError
from harness.host.records import Check, Score
from harness.host.report.document import staff_document, student_document
from harness.host.report.gradescope import gradescope_results
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.records import Report

# "Output format" of https://gradescope-autograders.readthedocs.io/en/latest/specs/
VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
TEST = {
    "type": "object",
    "required": ["score"],
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number"},
        "max_score": {"type": "number"},
        "status": {"enum": ["passed", "failed"]},
        "name": {"type": "string"},
        "name_format": FORMAT,
        "number": {"type": "string"},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "tags": {"type": "array", "items": {"type": "string"}},
        "visibility": VISIBILITY,
        "extra_data": {"type": "object"},
    },
}
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "anyOf": [{"required": ["score"]}, {"required": ["tests"]}],
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "integer"},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "test_output_format": FORMAT,
        "test_name_format": FORMAT,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "tests": {"type": "array", "items": TEST},
        "leaderboard": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "value"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "value": {"type": ["number", "string"]},
                    "order": {"enum": ["asc", "desc"]},
                },
            },
        },
    },
}


def results_of(report: Report) -> dict[str, Any]:
    """What Gradescope gets of a report."""
    return gradescope_results(json.dumps(staff_document(report)), json.dumps(student_document(report)))


def test_results_are_of_the_documented_form(
    report_with: Callable[..., Report], failed_report: Report, tmp_path: Path
) -> None:
    """Of a run that went well, one that failed, and one that never began."""
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    never = report_with(
        {"outcome": Outcome.INVALID_SUBMISSION, "score": Score("rmse", "min"), "baselines": ()}, checks=()
    )
    for number, report in enumerate((report_with(), failed_report, never)):
        (tmp_path / f"{number}.json").write_text(json.dumps(results_of(report), allow_nan=False))
    (tmp_path / "wrong.json").write_text(json.dumps({"tests": [{"points": 1}]}))
    checker = [
        str(Path(sys.prefix, "bin", "check-jsonschema")),
        "--schemafile",
        str(tmp_path / "schema.json"),
    ]

    good = [str(tmp_path / f"{number}.json") for number in range(3)]
    done = subprocess.run([*checker, *good], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    wrong = subprocess.run(
        [*checker, str(tmp_path / "wrong.json")], capture_output=True, check=False, timeout=60
    )
    assert wrong.returncode == 1


def test_points_are_those_of_the_report_and_the_private_ones_wait(report_with: Callable[..., Report]) -> None:
    """Visible is what the student's document has; the rest is shown once grades are published."""
    report = report_with()
    results = results_of(report)

    tests = {test["name"]: test for test in results["tests"]}
    assert sum(test["score"] for test in results["tests"]) == report.points
    assert sum(test["max_score"] for test in results["tests"]) == report.max_points
    assert {name: test["visibility"] for name, test in tests.items()} == {
        check.name: "after_published" if check.private else "visible" for check in report.checks
    }
    assert tests["beats_strong[public]"]["status"] == "failed"
    assert tests["beats_strong[public]"]["output"] == "rmse 0.6235 is over the threshold 0.5000"
    assert "status" not in tests["uses_the_gpu"]
    assert "0.6346" not in results["output"]
    assert "private" not in results["output"]
    assert results["stdout_visibility"] == "hidden"


def test_two_checks_of_one_name_keep_their_sides(report_with: Callable[..., Report]) -> None:
    """As many are visible as the student's document has of that name."""
    checks = (Check("same", "passed", 1.0, 1.0), Check("same", "failed", 0.0, 1.0, "secret", private=True))
    tests = results_of(report_with(checks=checks))["tests"]

    assert [test["visibility"] for test in tests] == ["visible", "after_published"]


def test_the_board_has_what_students_see(report_with: Callable[..., Report], failed_report: Report) -> None:
    """The public score as it is rounded, the better first; nothing of a run that failed."""
    board = results_of(report_with())["leaderboard"]

    assert board == [
        {"name": "rmse (public)", "value": 0.6235, "order": "asc"},
        {"name": "training (s)", "value": 12.3, "order": "asc"},
    ]
    assert results_of(failed_report)["leaderboard"] == []
    assert results_of(failed_report)["output"].startswith("# Feedback on")


def test_other_files_are_refused(report_with: Callable[..., Report]) -> None:
    """What is no report, or of another run, makes no results."""
    staff, student = staff_document(report_with()), student_document(report_with())
    for report, feedback in (
        ("[]", json.dumps(student)),
        (json.dumps(staff), "nonsense"),
        (json.dumps(student), json.dumps(staff)),
        (json.dumps(staff), json.dumps({**student, "run_id": "another"})),
    ):
        with pytest.raises(UsageError):
            gradescope_results(report, feedback)
