"""Lists of runs, of faults and of changes on a terminal: in columns, within its width, and inert."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.host.records import Interval, Score
from harness.host.report.changes import MOST, render_changes
from harness.host.report.runs import render_faults, render_runs, whose
from harness.host.report.text import is_hidden
from tests.unit.conftest import build

if TYPE_CHECKING:
    from harness.host.records import Report

WIDTHS = [40, 60, 79, 80, 100, 200]
EVIL = "s\x1b[31m\u202e\n::error::owned\t\udc80" + "学生" * 30
RUN: dict[str, Any] = {
    "id": "0123456789abcdef",
    "submitted": 1898596800000000,
    "student": "s001",
    "assignment": "hw1-bikes",
    "outcome": "invalid_predictions",
    "points": 12.75,
    "max_points": 14.0,
    "public": 45.678,
    "validation": None,
    "train_seconds": 3600.0,
    "predict_seconds": 0.5,
}
FAULT: dict[str, Any] = {
    "happened": 1898596800000000,
    "assignment": "hw1-bikes",
    "submission": "s001.zip",
    "message": "the engine is gone",
    "fix": "start it",
}


@dataclass(frozen=True)
class Change:
    """A run that was scored again."""

    student: str
    before: Report
    after: Report
    is_none: bool = False


def change(
    student: str, before: float | None, after: float | None, points: tuple[float, float], most: float = 6
) -> Change:
    """One that scored so, and earned so many points of what there was."""

    def report(value: float | None, earned: float, of: float) -> Report:
        interval = None if value is None else Interval(value, (value, value), 9)
        check = replace(build().checks[0], points=earned, max_points=of)
        run = {"run_id": RUN["id"], "score": Score("rmse", "min", public=interval, private=interval)}
        return build(run, checks=(check,))

    return Change(student, report(before, points[0], 6), report(after, points[1], most))


def shown(render: Any, rows: Any, width: int = 100, encoding: str = "utf-8") -> list[str]:
    """The lines on a terminal so wide."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    render(rows, Console(file=screen, width=width))
    screen.seek(0)
    return screen.read().splitlines()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal_or_acts_on_it(width: int, encoding: str) -> None:
    """Whatever students call themselves, and whatever a message holds."""
    runs = [RUN, RUN | {"student": EVIL, "outcome": "ok", "public": None}]
    faults = [FAULT, FAULT | {"submission": EVIL, "message": EVIL * 9, "fix": ""}]
    changes = [change("s001", 45.678, 1e-5, (1, 2)), change(EVIL, None, 1e9, (2.25, 12.75), 14)]
    for render, rows in ((render_runs, runs), (render_faults, faults), (render_changes, changes)):
        lines = shown(render, rows, width, encoding)
        assert len(lines) >= 3
        assert max(map(cell_len, lines)) <= width
        assert not [character for line in lines for character in line if is_hidden(character)]
        assert not [line for line in lines if line.lstrip().startswith("::")]


@pytest.mark.parametrize("width", WIDTHS[2:])
def test_a_run_is_a_line(width: int) -> None:
    """Its id whole, for the other commands to take; times only where there is room."""
    head, line = shown(render_runs, [RUN], width)
    assert line.split()[0] == RUN["id"]
    assert ("2030-03-01 12:00" in line) is ("1 h 00 min" in line) is ("handed in" in head) is (width > 90)
    for text in ("s001", "invalid_predictions", "12.75/14", "45.68"):
        assert text in line


def test_validation_stands_for_the_public_score_where_there_is_none() -> None:
    """In a course without a reference; and nothing where there is neither."""
    _, one, other = shown(render_runs, [RUN | {"public": None, "validation": 0.5}, RUN | {"public": None}])
    assert "0.5000" in one
    assert other.split() == [
        *RUN["id"].split(),
        "2030-03-01",
        "12:00",
        "s001",
        "invalid_predictions",
        "12.75/14",
        *["1", "h", "00", "min"],
    ]


def test_where_there_is_nothing_that_is_said() -> None:
    """Rather than an empty screen."""
    assert shown(render_runs, []) == ["no runs"]
    assert shown(render_faults, []) == ["no faults"]
    assert shown(render_changes, []) == ["scored again: 0, of which 0 stay as they are"]


def test_a_fault_says_when_what_why_and_what_to_do() -> None:
    """The newest first, as they come."""
    assert shown(render_faults, [FAULT]) == [
        "2030-03-01 12:00  hw1-bikes  s001.zip",
        "  │ the engine is gone",
        "  │ start it",
    ]


def test_a_run_in_a_line_says_whose_it_is() -> None:
    """On one line, whatever the student is called."""
    assert whose(RUN) == "run 0123456789abcdef   hw1-bikes   s001   handed in 2030-03-01 12:00 UTC"
    assert "\n" not in whose(RUN | {"student": EVIL})


def test_changes_are_shown_with_what_was_before() -> None:
    """Points and scores; those that stay are only counted."""
    lines = shown(
        render_changes,
        [
            change("s001", 45.678, 44.0, (5, 6)),
            change("s002", 45.678, 46.0, (6, 5.5)),
            change("s003", 45.678, 45.0, (5, 5)),
            change("s004", None, None, (0, 0), 8),
            replace(change("s005", 1.0, 1.0, (1, 1)), is_none=True),
        ],
        80,
    )
    assert lines[0].split() == ["run", "student", "points", "public", "private"]
    assert [line.split()[1:] for line in lines[1:5]] == [
        ["s001", "5", "→", "6/6", *["45.68", "→", "44.00"] * 2],
        ["s002", "6", "→", "5.5/6", *["45.68", "→", "46.00"] * 2],
        ["s003", "5/6", *["45.68", "→", "45.00"] * 2],
        ["s004", "0/6", "→", "0/8", "-", "-"],
    ]
    assert lines[5:] == [
        "scored again: 5, of which 1 stay as they are",
        "more points: 1, fewer: 1, another score for the same points: 2",
    ]


def test_of_many_changes_the_first_are_shown() -> None:
    """And how many more there are."""
    lines = shown(render_changes, [change(f"s{number:03}", 1.0, 2.0, (1, 2)) for number in range(MOST + 7)])
    assert len(lines) == MOST + 4
    assert "and 7 more" in lines
    assert f"scored again: {MOST + 7}, of which 0 stay as they are" in lines
