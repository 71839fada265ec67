"""A batch as lines of text."""

from __future__ import annotations

from pathlib import Path

from harness.host.batch import Result
from harness.host.report.batch import Lines


def test_each_result_has_a_line_and_the_summary_counts() -> None:
    """The count is padded, so that names stand below each other; the most frequent outcome comes first."""
    lines = Lines(10)

    first = lines.of(Result("anna", 1.26, "ok", 7.5, 10.0))
    lines.of(Result("ben", 2.0, "time_limit", 2.0, 10.0))
    lines.of(Result("clara", 1.0, "ok", 8.0, 10.0))

    assert first == " 1/10  anna: ok, 7.5 of 10 points, 1.3 s"
    summary, where = lines.summary(Path("build/reports")).splitlines()
    assert summary.startswith("3 of 10 submissions in ")
    assert summary.endswith(" a minute: 2 ok, 1 time_limit, 7 left undone")
    assert where == "reports: build/reports"
    assert lines.not_graded == 0


def test_fault_is_told_with_its_remedy() -> None:
    """What could not be graded counts as such."""
    lines = Lines(1)

    text = lines.of(Result("anna", 0.1, fault="no sandbox works here", fix="start Docker"))

    assert text == "1/1  anna: not graded: no sandbox works here\n    fix: start Docker"
    assert lines.not_graded == 1
    assert "1 not graded" in lines.summary(Path())


def test_nothing_done_is_a_summary_too() -> None:
    """Ctrl-C may come before the first result."""
    assert ": none, 3 left undone" in Lines(3).summary(Path())


def test_hostile_name_stays_one_line() -> None:
    """Names are the students' choice."""
    text = Lines(1).of(Result("a\x1b[31m\nb\u202e", 0.0, "ok"))

    assert "\n" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
