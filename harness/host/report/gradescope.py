"""Turns our own documents into Gradescope's ``results.json``.

The format is that of https://gradescope-autograders.readthedocs.io/en/latest/specs/ ("Output format").
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from harness.host.errors import UsageError
from harness.host.report.figures import significant
from harness.host.report.markdown import to_markdown
from harness.host.report.schema import StaffDocument, StudentDocument
from harness.host.report.text import printable, printable_block

if TYPE_CHECKING:
    from harness.host.report.schema import CheckEntry

VISIBLE, LATER = "visible", "after_published"
STATUS = {"passed": "passed", "failed": "failed", "error": "failed"}


def gradescope_results(report: str, feedback: str) -> dict[str, Any]:
    """What Gradescope is to show of a run.

    Students see the checks that their own document has; the others wait until grades are published. The board
    is made of that document too, and what the run printed is for instructors.

    Args:
        report: the staff's document, as JSON.
        feedback: the student's document of the same run, as JSON.

    Raises:
        UsageError: one is no such document, or they are of two runs.
    """
    try:
        staff, student = (
            StaffDocument.model_validate_json(report),
            StudentDocument.model_validate_json(feedback),
        )
    except ValidationError as error:
        raise UsageError(
            f"that is no report of ours: {error.errors()[0]['msg']}",
            "take the files of harness grade --json REPORT.json --feedback FEEDBACK.json",
        ) from error
    if staff.run_id != student.run_id:
        raise UsageError("the two documents are of two runs", "take those of one command")
    public = Counter(check.name for check in student.checks)
    tests = []
    for check in staff.checks:
        shown = public[check.name] > 0
        public[check.name] -= shown
        tests.append(_test(check, VISIBLE if shown else LATER))
    return {
        "execution_time": round(staff.runtime.total_seconds or 0),
        "output": to_markdown(student),
        "output_format": "md",
        "visibility": VISIBLE,
        "stdout_visibility": "hidden",
        "tests": tests or [_nothing(student)],
        "leaderboard": _leaderboard(student),
    }


def _test(check: CheckEntry, visibility: str) -> dict[str, Any]:
    test = {
        "name": printable(check.name),
        "score": check.points or 0.0,
        "max_score": check.max_points or 0.0,
        "output": printable_block(check.message),
        "output_format": "text",
        "visibility": visibility,
    }
    status = STATUS.get(check.outcome)
    return test | ({"status": status} if status else {})


def _nothing(student: StudentDocument) -> dict[str, Any]:
    """A score must stand somewhere, also where there is no check."""
    return {
        "name": student.outcome.value,
        "score": 0.0,
        "max_score": student.max_points or 0.0,
        "visibility": VISIBLE,
    }


def _leaderboard(student: StudentDocument) -> list[dict[str, Any]]:
    """The score that students see, and the runtime; nothing of a run that did not end well."""
    metric, seconds = student.metric, student.runtime.train_seconds
    split = "validation" if metric.public is None else "public"
    score = metric.validation if metric.public is None else metric.public
    if student.outcome.value != "ok" or score is None:
        return []
    order = "asc" if metric.direction == "min" else "desc"
    entries: list[dict[str, Any]] = [{"name": f"{metric.name} ({split})", "value": score, "order": order}]
    if seconds is not None:
        entries.append({"name": "training (s)", "value": significant(seconds), "order": "asc"})
    return entries
