"""CI systems get JUnit XML that they can parse, whatever a submission is called or prints."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from harness.host.errors import MachineError, UsageError
from harness.host.records import Check, Place, Report
from harness.host.report.junit import junit_in_any_case, write_junit
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


def cases(path: Path) -> list[tuple[str | None, str | None, str | None]]:
    """Name, type of the error, and its text, of each case."""
    root = ET.parse(path).getroot()  # noqa: S314  # just written here
    errors = [(case, case.find("error")) for case in root.iter("testcase")]
    return [
        (
            case.get("name"),
            None if error is None else error.get("type"),
            None if error is None else error.text,
        )
        for case, error in errors
    ]


def test_what_could_not_be_graded_is_an_error_case(tmp_path: Path) -> None:
    """The file is there from the beginning, so also after a death, and says why where that is known."""
    path = tmp_path / "junit.xml"
    with suppress(MachineError), junit_in_any_case(path, "s001\x1b"):
        assert cases(path) == [("grading", "unfinished", "the grading did not come to its end")]
        raise MachineError("no engine answers", "start Docker")

    assert cases(path) == [("grading", "MachineError", "no engine answers\nstart Docker")]
    assert ET.parse(path).getroot().find("testsuite").get("errors") == "1"  # type: ignore[union-attr]  # noqa: S314


def test_a_report_that_was_written_stays(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """Where something was graded, the file is that of the report."""
    path = tmp_path / "junit.xml"
    with junit_in_any_case(path, "s001"):
        write_junit(report_with(), path)

    assert len(cases(path)) == 6
    with junit_in_any_case(None, "s001"):
        pass
