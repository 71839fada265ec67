"""Ranking submissions by their reports."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from rich.console import Console

from harness.host.assignment import load_assignment
from harness.host.errors import UsageError
from harness.host.leaderboard import RUNS, leaderboard, rank, read_reports, with_baselines
from harness.host.records import Interval, Runtime, Score
from harness.host.report.document import staff_document, write_json
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.records import Report

    ReportWriter = Callable[..., Path]

ASSIGNMENT = """
id = "hw1-bikes"
title = "Bike rentals"
task = "regression"
[data]
target = "count"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[points]
contract = 1.0
finished = 1.0
finite = 1.0
runtime = 1.0
[[tiers]]
name = "simple"
threshold = 100.0
public_points = 0.5
private_points = 0.5
[[tiers]]
name = "boss"
threshold = 50.0
public_points = 0.5
private_points = 0.5
"""
EVIL = '=HYPERLINK("http://x")|<b>`\x1b[31m\u202e\n::error::hi'


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    """An assignment of regression with two tiers, at 100 and at 50."""
    folder = tmp_path / "assignments" / "hw1-bikes"
    folder.mkdir(parents=True)
    (folder / "assignment.toml").write_text(ASSIGNMENT)
    return load_assignment(folder)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """An empty folder for reports."""
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder


@pytest.fixture
def write(reports: Path, report_with: Callable[..., Report]) -> ReportWriter:
    """Writes a staff report as ``harness grade --json`` does, with a time of its own."""
    count = itertools.count(1)

    def write_report(
        name: str, public: float | None, private: float = 70.0, seconds: float = 2.0, **changes: Any
    ) -> Path:
        number = next(count)
        run = {
            "run_id": f"run-{number}",
            "score": Score(
                "rmse",
                "min",
                public=None if public is None else Interval(public, (0.0, 1.0), 9),
                private=Interval(private, (0.0, 1.0), 9),
            ),
            "runtime": Runtime(seconds, 0.0, seconds + 2),
            **changes,
        }
        path = reports / f"{number:03}.json"
        write_json(staff_document(report_with(run, submission_name=name)), path)
        os.utime(path, (number, number))
        return path

    return write_report


def board_of(assignment: Assignment, reports: Path, split: str = "public") -> list[tuple[Any, ...]]:
    """Rank, name and attempts of each row, as JSON has them."""
    text = leaderboard(assignment, reports, split, "json", Console(file=io.StringIO()))
    assert text is not None
    return [(row["rank"], row["name"], row["attempts"]) for row in json.loads(text)["rows"]]


def table_of(assignment: Assignment, reports: Path) -> str:
    """What a terminal of 80 columns shows of the public split."""
    screen = io.StringIO()
    assert leaderboard(assignment, reports, "public", "table", Console(file=screen, width=80)) is None
    return screen.getvalue()


def runs(*rows: tuple[str, float, float, int]) -> pd.DataFrame:
    """Finished runs of name, public score, runtime and time of the file."""
    return pd.DataFrame(
        [
            (name, "ok", "rmse", score, score, seconds, written, f"run-{number}")
            for number, (name, score, seconds, written) in enumerate(rows)
        ],
        columns=list(RUNS),
    )


def ranks(frame: pd.DataFrame, direction: str = "min") -> dict[str, int]:
    """The rank of each name on the public split."""
    ranked = rank(frame, direction, "public")
    return dict(zip(ranked["name"], ranked["rank"], strict=True))


@pytest.mark.parametrize(("direction", "first"), [("min", "small"), ("max", "large")])
def test_the_stated_direction_says_who_is_first(direction: str, first: str) -> None:
    """A lower score wins where the metric is to be low, a higher one where it is to be high."""
    assert ranks(runs(("small", 0.1, 1, 1), ("large", 0.9, 1, 1)), direction)[first] == 1


def test_scores_are_compared_in_full_precision() -> None:
    """A difference that no display shows decides, even against a shorter runtime."""
    assert ranks(runs(("b", 10.00000000001, 1, 1), ("a", 10.0, 9, 1))) == {"a": 1, "b": 2}


def test_equal_scores_are_ranked_by_runtime_and_then_by_time() -> None:
    """The faster goes first; between equally fast ones, the earlier by even a nanosecond."""
    late = 1_700_000_000_000_000_001
    frame = runs(("late", 10.0, 2, late), ("early", 10.0, 2, late - 1), ("fast", 10.0, 1, late))
    assert ranks(frame) == {"fast": 1, "early": 2, "late": 3}


def test_equals_share_a_rank_and_the_next_one_counts_them() -> None:
    """Three who are equal in everything are all second, and the next is fifth."""
    tied = [(name, 10.0, 2.0, 5) for name in ("a", "b", "c")]
    board = ranks(runs(("first", 9.0, 1, 1), *tied, ("last", 11.0, 1, 1)))
    assert board == {"first": 1, "a": 2, "b": 2, "c": 2, "last": 5}


def test_the_best_run_of_a_name_counts(assignment: Assignment, reports: Path, write: ReportWriter) -> None:
    """A name stands once, with its best run on the split and the number of all its runs."""
    write("team-a", 80.0, private=60.0)
    write("team-a", 70.0, private=90.0)
    write("team-b", 75.0, private=75.0)
    public = [row for row in board_of(assignment, reports) if row[0]]
    private = [row for row in board_of(assignment, reports, "private") if row[0]]

    assert public == [(1, "team-a", 2), (2, "team-b", 1)]
    assert private == [(1, "team-a", 2), (2, "team-b", 1)]
    assert '"score": 60.0' in (leaderboard(assignment, reports, "private", "json", Console()) or "")


def test_failed_runs_are_attempts_without_a_rank(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """However good its score, a run that did not end well is counted and not ranked."""
    write("team-a", 70.0)
    write("team-a", 1.0, outcome=Outcome.TIME_LIMIT)
    write("team-c", 1.0, outcome=Outcome.INVALID_PREDICTIONS)
    write("unscored", None)

    assert board_of(assignment, reports) == [
        (None, "boss", None),
        (1, "team-a", 2),
        (None, "simple", None),
        (None, "team-c", 1),
        (None, "unscored", 1),
    ]


def test_only_failed_runs_make_a_board_without_ranks(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """A board on which nobody has a rank yet still shows the tiers and the attempts."""
    write("team-c", 1.0, outcome=Outcome.DIVERGED)

    assert board_of(assignment, reports) == [
        (None, "boss", None),
        (None, "simple", None),
        (None, "team-c", 1),
    ]


def test_a_score_at_the_threshold_stands_above_the_tier(assignment: Assignment) -> None:
    """A tier that is reached exactly is below the submission, as its check passes too."""
    board = with_baselines(
        rank(runs(("a", 100.0, 1, 1), ("b", 100.1, 1, 1)), "min", "public"), assignment.tiers, "min"
    )
    assert list(board["name"]) == ["boss", "a", "simple", "b"]
    assert list(board["kind"]) == ["baseline", "submission", "baseline", "submission"]


def test_displayed_figures_have_four_digits_and_ranks_do_not(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """Two scores that look the same in every form are still ranked apart, and no digit more is shown."""
    write("second", 77.777700001)
    write("first", 77.7777)
    assert board_of(assignment, reports)[1:3] == [(1, "first", 1), (2, "second", 1)]
    for form in ("csv", "md", "json"):
        text = leaderboard(assignment, reports, "public", form, Console()) or ""
        assert text.count("77.78") == 2
        assert "77.777" not in text
    assert table_of(assignment, reports).count("77.78") == 2


def test_nothing_of_the_other_split_is_shown(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """The board of the public split has no figure of the private one."""
    write("team-a", 77.0, private=31.25)
    shown = [leaderboard(assignment, reports, "public", form, Console()) for form in ("csv", "md", "json")]
    for text in [*shown, table_of(assignment, reports)]:
        assert text is not None
        assert "team-a" in text
        assert "31.25" not in text
        assert "private" not in text


def test_the_same_report_twice_is_one_attempt(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """A copied file is not another run."""
    (reports / "copy.json").write_bytes(write("team-a", 70.0).read_bytes())
    assert (1, "team-a", 1) in board_of(assignment, reports)


def test_other_files_are_left_out_with_a_note(
    assignment: Assignment,
    reports: Path,
    write: ReportWriter,
    report_with: Callable[..., Report],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is no report, or one of another assignment, is named on standard error and changes nothing."""
    write("team-a", 70.0)
    before = board_of(assignment, reports)
    (reports / "evil\x1b[2J.json").write_text('{"schema": "other"}')
    (reports / "broken.json").write_bytes(b"\xff{")
    (reports / "folder.json").mkdir()
    write_json(staff_document(report_with(assignment="hw2-digits")), reports / "other.json")
    capsys.readouterr()

    assert board_of(assignment, reports) == before
    notes = capsys.readouterr().err
    assert all(name in notes for name in ("evil\\x1b[2J.json", "broken.json", "folder.json", "hw2-digits"))
    assert "\x1b" not in notes


def test_reports_by_another_metric_are_left_out(
    assignment: Assignment, reports: Path, write: ReportWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores of a metric that the assignment no longer has are not compared with those it has."""
    write("team-a", 70.0)
    write("old", 1.0, score=Score("mae", "min", public=Interval(1.0, (0.0, 2.0), 9)))

    assert [row[1] for row in board_of(assignment, reports)] == ["boss", "team-a", "simple"]
    assert "not scored by rmse" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["reports", "missing"])
def test_a_folder_without_reports_is_wrong_use(assignment: Assignment, reports: Path, folder: str) -> None:
    """The message names the assignment, the folder and the command that makes a report."""
    with pytest.raises(UsageError, match=f"no report of hw1-bikes in .*{folder}") as caught:
        leaderboard(assignment, reports.parent / folder, "public", "table", Console())
    assert "harness grade" in caught.value.fix


@pytest.mark.parametrize(("split", "form"), [("secret", "csv"), ("public", "xml")])
def test_unknown_splits_and_forms_are_wrong_use(
    assignment: Assignment, reports: Path, split: str, form: str
) -> None:
    """What is not offered is refused, and what is offered is named."""
    with pytest.raises(UsageError, match="is unknown"):
        leaderboard(assignment, reports, split, form, Console())


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"], ids=ascii
)
def test_no_name_is_a_formula_in_csv(
    assignment: Assignment, reports: Path, write: ReportWriter, name: str
) -> None:
    """A name that a spreadsheet would compute stands behind an apostrophe."""
    write(name, 70.0)
    text = leaderboard(assignment, reports, "public", "csv", Console()) or ""
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[1]["name"].startswith("'")
    assert rows[1]["public_rmse"] == "70.0"


def test_csv_has_a_row_for_each_submission_and_tier(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """The file starts with the names of its columns; what is not there is empty."""
    write("team-a", 70.0, seconds=1.23456)
    text = leaderboard(assignment, reports, "public", "csv", Console()) or ""
    assert text.splitlines() == [
        "rank,name,public_rmse,runtime_seconds,attempts,kind",
        ",boss,50.0,,,baseline",
        "1,team-a,70.0,1.235,1,submission",
        ",simple,100.0,,,baseline",
    ]


def test_no_name_acts_where_it_is_shown(assignment: Assignment, reports: Path, write: ReportWriter) -> None:
    """Controls, markup, line breaks and workflow commands of a name act in no form."""
    write(EVIL, 70.0)
    table = table_of(assignment, reports)
    texts = {
        form: leaderboard(assignment, reports, "public", form, Console()) or "" for form in ("csv", "md")
    }
    for text in (table, *texts.values()):
        assert not {"\x1b", "\u202e", "\r"} & set(text)
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert [len(line) <= 80 for line in table.splitlines()].count(False) == 0
    assert next(line for line in texts["md"].splitlines() if "HYPERLINK" in line).count("|") == 6
    assert "``" in texts["md"]
    text = leaderboard(assignment, reports, "public", "json", Console()) or ""
    assert text.isascii()
    assert json.loads(text)["rows"][1]["name"] == EVIL


def test_a_long_name_cannot_leave_its_column(
    assignment: Assignment, reports: Path, write: ReportWriter
) -> None:
    """The score of a submission with a name of any length stands on the same line, where others have it."""
    write("x" * 250, 70.0)
    write("team-b", 71.0)
    lines = [line for line in table_of(assignment, reports).splitlines() if "xxx" in line or "team-b" in line]
    assert len(lines) == 2
    assert lines[0].index("70.00") == lines[1].index("71.00")


def test_reading_keeps_full_precision(reports: Path, write: ReportWriter) -> None:
    """What is read is what was scored, to the last bit, with training and prediction in the runtime."""
    write("team-a", 0.1 + 0.2, runtime=Runtime(1.5, 0.25, 9.0))
    frame = read_reports(reports, "hw1-bikes", lambda _: None)
    assert list(frame["public"]) == [0.1 + 0.2]
    assert list(frame["runtime_seconds"]) == [1.75]


def test_runs_without_walls_are_named(
    reports: Path, write: ReportWriter, report_with: Callable[..., Report]
) -> None:
    """A figure that nothing but the submission vouches for is pointed out."""
    path = write("team-a", 70.0)
    document = staff_document(report_with())
    document["environment"]["isolated"] = False
    write_json(document, path)
    notes: list[str] = []
    read_reports(reports, "hw1-bikes", notes.append)
    assert len(notes) == 1
    assert "without isolation" in notes[0]
