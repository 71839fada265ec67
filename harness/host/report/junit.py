"""Writes a report as JUnit XML, for CI systems: one test case a check, one for an outcome not ok.

Where there is no report, since nothing could be graded, the file says that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from harness.host.errors import HarnessError
from harness.host.report.figures import points
from harness.host.report.files import write_atomically
from harness.host.report.text import printable, printable_block, printable_lines
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from harness.host.records import Check, Report, Run

_CHILD = {"failed": "failure", "error": "error", "skipped": "skipped"}
_LONGEST_SUMMARY = 200
_UNFINISHED = "the grading did not come to its end"


def write_junit(report: Report, path: Path) -> None:
    """Write `report` as JUnit XML. It names private checks too: where there is a reference, it is for staff.

    Text is `printable`, hence free of the characters that XML 1.0 forbids.

    Raises:
        UsageError: the folder does not exist or cannot be written to.
    """
    ended_well = report.run.outcome is Outcome.OK
    outcomes = [check.outcome for check in report.checks]
    suite = ET.Element(
        "testsuite",
        name=printable(report.assignment),
        tests=str(len(outcomes) + (not ended_well)),
        failures=str(outcomes.count("failed") + (not ended_well)),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time=f"{report.run.runtime.total_seconds:.3f}",
    )
    _properties(suite, _of_suite(report))
    if not ended_well:
        _outcome(suite, report.assignment, report.run)
    for check in report.checks:
        _check(suite, report.assignment, check)
    _write(suite, path)


@contextmanager
def junit_in_any_case(path: Path | None, name: str) -> Iterator[None]:
    """Have the file say that nothing was graded, and why, unless a report is written into it meanwhile.

    It is written at once, so that it is there however this process ends.

    Args:
        path: of the file; None: none was asked for.
        name: of what is graded.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        yield
        return
    _write_fault(path, name, "unfinished", _UNFINISHED)
    try:
        yield
    except HarnessError as error:
        _write_fault(path, name, type(error).__name__, f"{error.message}\n{error.fix}")
        raise


def _write_fault(path: Path, name: str, kind: str, text: str) -> None:
    suite = ET.Element(
        "testsuite", name=printable(name), tests="1", failures="0", errors="1", skipped="0", time="0.000"
    )
    case = ET.SubElement(suite, "testcase", classname=printable(name), name="grading")
    error = ET.SubElement(case, "error", type=kind, message=_summary(text))
    error.text = printable_block(text)
    _write(suite, path)


def _write(suite: ET.Element, path: Path) -> None:
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    write_atomically(
        f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n', path
    )


def _of_suite(report: Report) -> dict[str, str]:
    return {
        "points": points(report.points),
        "max_points": points(report.max_points),
        "outcome": report.run.outcome.value,
        "submission": report.submission_name,
        "sha256": report.submission_sha256,
        "run_id": report.run.run_id,
        "sandbox": report.run.environment.sandbox,
        "isolated": str(report.run.environment.isolated).lower(),
    }


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=name, value=printable(value))


def _outcome(suite: ET.Element, assignment: str, run: Run) -> None:
    case = ET.SubElement(suite, "testcase", classname=printable(assignment), name="outcome")
    where = f"{run.place.file}:{run.place.line}: " if run.place else ""
    text = f"{where}{run.message or run.outcome.value}"
    failure = ET.SubElement(case, "failure", type=run.outcome.value, message=_summary(text))
    failure.text = printable_block(f"{text}\n{run.hint}")


def _check(suite: ET.Element, assignment: str, check: Check) -> None:
    case = ET.SubElement(suite, "testcase", classname=printable(assignment), name=printable(check.name))
    _properties(case, {"points": points(check.points), "max_points": points(check.max_points)})
    if kind := _CHILD.get(check.outcome):
        child = ET.SubElement(case, kind, message=_summary(check.message))
        child.text = printable_block(check.message)


def _summary(text: str) -> str:
    """The first line, for an attribute."""
    lines = printable_lines(text)
    return lines[0][:_LONGEST_SUMMARY] if lines else ""
