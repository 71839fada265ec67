"""CI systems get JUnit XML that they can parse, whatever a submission is called or prints."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from harness.host.errors import UsageError
from harness.host.records import Check, Place, Report
from harness.host.report.junit import write_junit
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = ']]><failure/>&"\x00\x1b[2J\u202e\ufffe\ud800\x0b<![CDATA['


def suite(report: Report, folder: Path) -> ET.Element:
    """Write a report and parse it back."""
    write_junit(report, folder / "junit.xml")
    root = ET.parse(folder / "junit.xml").getroot()  # noqa: S314  # just written here
    (only,) = root.findall("testsuite")
    return only


def attributes(parent: ET.Element) -> dict[str | None, str | None]:
    """The properties of a suite or a case."""
    return {entry.get("name"): entry.get("value") for entry in parent.findall("properties/property")}


def test_each_check_is_a_case(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """Cases, counts and points are those of the report."""
    found = suite(report_with(), tmp_path)
    assert {name: found.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "6",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
        "time": "15.100",
    }
    assert attributes(found)["points"] == "2"
    assert attributes(found)["max_points"] == "5"
    cases = {case.get("name"): case for case in found.findall("testcase")}
    assert list(cases) == [check.name for check in report_with().checks]
    assert attributes(cases["beats_simple[public]"]) == {"points": "0.5", "max_points": "0.5"}
    failure = cases["beats_strong[public]"].find("failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "rmse 0.6235 is over the threshold 0.5000"
    assert cases["beats_simple[public]"].find("failure") is None
    assert cases["uses_the_gpu"].find("skipped") is not None


def test_an_outcome_that_is_not_ok_fails_a_case(failed_report: Report, tmp_path: Path) -> None:
    """A run that was stopped is red in CI, with its reason, place and hint."""
    found = suite(failed_report, tmp_path)
    assert found.get("tests") == str(len(found.findall("testcase"))) == "7"
    assert found.get("failures") == str(len(found.findall("testcase/failure"))) == "3"
    (case,) = [case for case in found.findall("testcase") if case.get("name") == "outcome"]
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "contract_error"
    assert failure.text is not None
    assert failure.text.startswith("model.py:12: MyModel returned")
    assert failure.text.endswith("nn.Linear(hidden, 1).")


def test_a_check_that_broke_is_an_error(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """A fault of a check is not told as a failure of the student."""
    found = suite(report_with(checks=(Check("broken", "error", 0.0, 1.0, "KeyError"),)), tmp_path)
    assert (found.get("failures"), found.get("errors")) == ("0", "1")
    assert found.find("testcase/error") is not None


def test_hostile_text_cannot_break_the_xml(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """Characters that XML forbids are escaped visibly, markup stays text, and no element is forged."""
    report = report_with(
        {"outcome": Outcome.RUNTIME_ERROR, "message": HOSTILE, "hint": HOSTILE, "place": Place(HOSTILE, 1)},
        submission_name=HOSTILE,
        checks=(Check(HOSTILE, "failed", 0.0, 1.0, f"{HOSTILE}\n{HOSTILE}"),),
    )
    found = suite(report, tmp_path)
    cleaned = ']]><failure/>&"\\x00\\x1b[2J\\u202e\\ufffe\\ud800\\x0b<![CDATA['
    assert attributes(found)["submission"] == cleaned
    outcome, check = found.findall("testcase")
    assert check.get("name") == cleaned
    assert [child.text for child in check.findall("failure")] == [f"{cleaned}\n{cleaned}"]
    assert len(outcome.findall("failure")) == 1


def test_a_folder_that_is_missing_is_named(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """A wrong path is the user's mistake."""
    with pytest.raises(UsageError, match="nowhere does not exist"):
        write_junit(report_with(), tmp_path / "nowhere" / "junit.xml")
