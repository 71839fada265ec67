"""A leaderboard in each of its forms: what is in it, and what no digit and no name in it does."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from harness.host.leaderboard.formats import WRITERS, render, to_csv, to_html, to_json, to_markdown
from tests.boards import EVIL, assignment_in, board_from, run
from tests.parsed_page import Element, data_of, parsed
from tests.stored import later

if TYPE_CHECKING:
    from harness.host.assignment import Assignment
    from harness.host.leaderboard.board import Board

TEXTS = ("csv", "md", "json", "html", "table")
FORMS = (*TEXTS, "parquet")
CODE = r"<style>.*?</style>|<script>.*?</script>|content=\"[^\"]*\""
TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+\d\d:\d\d)?"
FEW = settings(max_examples=25)  # pages take their time


@pytest.fixture(scope="module")
def assignment(tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    """An assignment with two tiers, at 100 and at 50."""
    return assignment_in(tmp_path_factory.mktemp("course"))


@pytest.fixture
def board(assignment: Assignment) -> Board:
    """Of two students with a rank, one of whom got better within a week, and one without."""
    rows = [
        run("s001", 73.25, submitted=later(-10)),
        run("s001", 70.0, 1.23456, submitted=later(-1)),
        run("s002", 77.77777, 185.2, submitted=later(-1)),
        run("s003", None, finished=False),
    ]
    return board_from(assignment, *rows)


def shown_in(board: Board, form: str, width: int = 80) -> str:
    """The board in a form, as text."""
    if form == "table":
        screen = io.StringIO()
        render(board, Console(file=screen, width=width))
        return screen.getvalue()
    if form == "parquet":
        return read_back(board).to_csv()
    written = WRITERS[form](board)
    assert isinstance(written, str)
    return written


def read_back(board: Board) -> pd.DataFrame:
    """What pandas reads from the parquet file."""
    written = WRITERS["parquet"](board)
    assert isinstance(written, bytes)
    return pd.read_parquet(io.BytesIO(written))


def json_rows(board: Board) -> list[dict[str, Any]]:
    """The rows of the JSON document."""
    rows: list[dict[str, Any]] = json.loads(to_json(board))["rows"]
    return rows


def finer_figures(text: str) -> list[str]:
    """Figures of more than four significant digits."""
    figures = re.findall(r"\d+(?:\.\d+)?(?:e[-+]\d+)?", re.sub(f"{CODE}|{TIME}", "", text, flags=re.DOTALL))
    digits = [re.sub(r"e.*|\.", "", figure).strip("0") for figure in figures]
    return [figure for figure, each in zip(figures, digits, strict=True) if len(each) > 4]


def test_csv_has_a_row_for_each_student_and_tier(board: Board) -> None:
    """The file starts with the names of its columns; what is not there is empty."""
    assert to_csv(board).splitlines() == [
        "rank,name,group,public_rmse,last,progress,runtime_seconds,attempts,kind",
        ",boss,,50.0,,,,,baseline",
        "1,s001,,70.0,70.0,3.25,1.235,2,submission",
        "2,s002,,77.78,77.78,,185.2,1,submission",
        ",simple,,100.0,,,,,baseline",
        ",s003,,,,,,1,submission",
    ]


def test_csv_names_the_split_in_its_column(assignment: Assignment) -> None:
    """A table that was taken out of its folder still says which score it has."""
    text = to_csv(board_from(assignment, run("s001", 1.0), split="private"))
    assert text.splitlines()[0].split(",")[3] == "private_rmse"


def test_markdown_is_a_table_with_the_names_as_code(board: Board) -> None:
    """It says what is measured, on which split, and which way is better."""
    assert to_markdown(board).splitlines() == [
        "# Leaderboard of `Bike rentals`",
        "",
        "`rmse` on the public split, lower is better",
        "",
        "| name | rank | rmse | this week | runtime | attempts |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| *baseline* `boss` |  | 50.00 |  |  |  |",
        "| `s001` | 1 | 70.00 | +3.25 | 1.2 s | 2 |",
        "| `s002` | 2 | 77.78 |  | 3 min 05 s | 1 |",
        "| *baseline* `simple` |  | 100.0 |  |  |  |",
        "| `s003` |  |  |  |  | 1 |",
    ]


def test_json_says_what_it_is_and_has_null_for_nothing(board: Board) -> None:
    """The form is stated, and ranks and attempts are whole numbers."""
    document = json.loads(to_json(board))
    rows = document.pop("rows")
    assert document == {
        "schema": "harness/leaderboard/v1",
        "assignment": "hw1-bikes",
        "split": "public",
        "metric": "rmse",
        "direction": "min",
        "made_at": "2030-03-01T12:00:00+00:00",
    }
    nothing = dict.fromkeys(("rank", "score", "last", "progress", "runtime_seconds", "attempts"))
    some = {"rank": 1, "score": 70.0, "last": 70.0, "progress": 3.25, "runtime_seconds": 1.235, "attempts": 2}
    student, tier = {"group": "", "kind": "submission"}, {"group": "", "kind": "baseline"}
    assert rows[0] == {**nothing, **tier, "name": "boss", "score": 50.0}
    assert rows[1] == {**some, **student, "name": "s001"}
    assert rows[4] == {**nothing, **student, "name": "s003", "attempts": 1}
    assert [type(rows[1][name]) for name in ("rank", "attempts")] == [int, int]


def test_parquet_is_read_back_with_its_types(board: Board) -> None:
    """The rows are those of the JSON document; what is not there is missing, in whole numbers too."""
    frame = read_back(board)
    assert {name: str(frame[name].dtype) for name in ("rank", "attempts", "score", "last", "progress")} == {
        **dict.fromkeys(("rank", "attempts"), "Int64"),
        **dict.fromkeys(("score", "last", "progress"), "float64"),
    }
    plain = frame.astype(object)
    assert plain.where(plain.notna(), None).to_dict("records") == json_rows(board)


def test_a_terminal_shows_columns(board: Board) -> None:
    """Title and split stand at both ends of a line; figures are aligned to the right."""
    lines = shown_in(board, "table").splitlines()
    assert lines[1].split("  ")[0] == "Bike rentals"
    assert lines[1].endswith("public split")
    assert lines[2] == "rmse, lower is better"
    assert [line.split() for line in lines[4:10]] == [
        ["rank", "name", "rmse", "this", "week", "runtime", "attempts"],
        ["baseline", "boss", "50.00"],
        ["1", "s001", "70.00", "+3.25", "1.2", "s", "2"],
        ["2", "s002", "77.78", "3", "min", "05", "s", "1"],
        ["baseline", "simple", "100.0"],
        ["s003", "1"],
    ]
    assert (
        len(
            {
                line.index(score) + len(score)
                for line, score in zip(lines[5:9], ("50.00", "70.00", "77.78", "100.0"), strict=True)
            }
        )
        == 1
    )


@pytest.mark.parametrize("width", [40, 46, 52, 53, 54, 60, 66, 80, 100, 200])
def test_a_long_name_leaves_its_column_on_no_terminal(assignment: Assignment, width: int) -> None:
    """Names and scores start and end where others do; a narrow terminal has fewer columns instead."""
    text = shown_in(board_from(assignment, run("x" * 250, 70.0), run("s002", 71.0)), "table", width)
    assert max(map(cell_len, text.splitlines())) <= width
    first, second = (line for line in text.splitlines() if "xxx" in line or "s002" in line)
    assert first.index("xxx") == second.index("s002")
    assert first.index("70.00") == second.index("71.00")


def test_a_page_has_the_rows_and_the_tiers(board: Board) -> None:
    """A tier has no group, so a class without groups has no column of them."""
    page = parsed(to_html(board))
    body = page.one("tbody")
    cells = [
        [cell.text for cell in row.children if isinstance(cell, Element)]
        for row in body.children
        if isinstance(row, Element)
    ]
    assert [row[:3] for row in cells] == [
        ["", "boss tier", "50.00"],
        ["1", "s001", "70.00"],
        ["2", "s002", "77.78"],
        ["", "simple tier", "100.0"],
        ["\N{EN DASH}", "s003", "\N{EN DASH}"],
    ]
    assert "Group" not in [head.text for head in page.one("thead").all("th")]
    assert len(page.all("figure")) == 3


def test_a_group_is_shown_where_there_is_one(assignment: Assignment) -> None:
    """In the forms that have a column for it; a tier's is empty."""
    board = board_from(assignment, run("s001", 70.0))
    board.rows["group"] = ["", "=Section A", ""]
    assert [row["group"] for row in csv.DictReader(io.StringIO(to_csv(board)))] == ["", "'=Section A", ""]
    assert [row["group"] for row in json_rows(board)] == ["", "=Section A", ""]
    assert list(read_back(board)["group"]) == ["", "=Section A", ""]
    page = parsed(to_html(board))
    assert [cell.text for cell in page.one("tbody").all("td", class_="group")] == ["", "=Section A", ""]


@pytest.mark.parametrize("form", FORMS)
def test_ranks_are_of_full_precision_and_what_is_shown_is_not(assignment: Assignment, form: str) -> None:
    """Two scores that look the same in every form are still ranked apart, and no digit more is shown."""
    board = board_from(assignment, run("s002", 77.777700001), run("s001", 77.7777))
    text = shown_in(board, form)
    assert text.index("s001") < text.index("s002")
    assert "77.78" in text
    assert "77.777" not in text


@FEW
@given(
    scores=st.lists(st.floats(1e-7, 1e9), min_size=2, max_size=6),
    seconds=st.floats(0.001, 1e5),
    before=st.floats(1e-7, 1e9),
)
@pytest.mark.parametrize("form", FORMS)
def test_no_form_has_a_figure_of_more_than_four_digits(
    assignment: Assignment, form: str, scores: list[float], seconds: float, before: float
) -> None:
    """Neither scores nor what is worked out of them, for the eye, for programs or for a page's script."""
    rows = [run(f"s{number:03}", score, seconds) for number, score in enumerate(scores)]
    board = board_from(assignment, *rows, run("s000", before, submitted=later(-20)))
    assert finer_figures(shown_in(board, form)) == []


def test_the_search_for_finer_figures_finds_them() -> None:
    """The control: five digits are found, four are not."""
    finer = ["1.2345", "12345.0", "12345", "0.00012345", "1.2345e-9", "1.0001"]
    assert finer_figures(" ".join([*finer, "1.2340", "12340", "0.0001234", "1.234e-9"])) == finer


@pytest.mark.parametrize("form", FORMS)
def test_progress_tells_no_digit_that_the_scores_do_not(assignment: Assignment, form: str) -> None:
    """In four digits of its own, a small step would tell the fifth to eighth of the scores."""
    rows = [run("s001", 43.821234, submitted=later(-20)), run("s001", 43.82)]
    board = board_from(assignment, *rows)
    assert board.rows["progress"].max() == pytest.approx(0.001234)
    assert "1234" not in shown_in(board, form)
    assert [row["progress"] for row in json_rows(board) if row["kind"] == "submission"] == [0.0]


@FEW
@given(st.floats(1e-3, 1e6), st.floats(-1, 1))
def test_every_form_rounds_progress_alike(assignment: Assignment, score: float, share: float) -> None:
    """Two forms with different digits would together tell more than either."""
    rows = [run("s001", score * (1 + share / 10), submitted=later(-20)), run("s001", score)]
    board = board_from(assignment, *rows)
    number = next(row["progress"] for row in json_rows(board) if row["kind"] == "submission")
    in_csv = next(row for row in csv.DictReader(io.StringIO(to_csv(board))) if row["kind"] == "submission")
    assert float(in_csv["progress"]) == number
    assert number in list(read_back(board)["progress"])
    cells = data_of(parsed(to_html(board)))["cells"]
    assert number in [float(text.strip()) for text in cells["progress"] if text]
    for form in ("md", "table"):
        shown = re.findall(r"[+-]\d[\d.]*(?:e[-+]\d+)?(?= )", shown_in(board, form))
        assert [float(text) for text in shown] == ([number] if number else [])


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"], ids=ascii
)
def test_no_name_is_a_formula_in_csv(assignment: Assignment, name: str) -> None:
    """A name that a spreadsheet would compute stands behind an apostrophe."""
    board = board_from(assignment, run(name, 70.0))
    rows = list(csv.DictReader(io.StringIO(to_csv(board))))
    assert rows[1]["name"].startswith("'")
    assert rows[1]["public_rmse"] == "70.0"


@pytest.mark.parametrize("form", TEXTS)
def test_no_name_acts_where_it_is_shown(assignment: Assignment, form: str) -> None:
    """Controls, markup, line breaks and workflow commands of a name act in no form."""
    board = board_from(assignment, run(EVIL, 70.0), run("x", None, finished=False))
    text = shown_in(board, form)
    assert not {"\x1b", "\u202e", "\r"} & set(text)
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    plain = shown_in(board_from(assignment, run("s001", 70.0), run("x", None, finished=False)), form)
    assert len(text.splitlines()) == len(plain.splitlines())


def test_a_name_is_one_cell_or_the_name_itself(assignment: Assignment) -> None:
    """In Markdown it stays in its span; JSON and parquet, which nothing reads as a command, give it back."""
    board = board_from(assignment, run(EVIL, 70.0))
    (line,) = (line for line in to_markdown(board).splitlines() if "HYPERLINK" in line)
    assert line.count("|") == 7
    assert "``" in line
    assert to_json(board).isascii()
    assert json_rows(board)[1]["name"] == EVIL
    assert list(read_back(board)["name"]) == ["boss", EVIL, "simple"]
    assert not parsed(to_html(board)).all("b")


@pytest.mark.parametrize("form", FORMS)
def test_a_board_on_which_nobody_has_a_score_is_written_too(assignment: Assignment, form: str) -> None:
    """It has the tiers and the attempts."""
    text = shown_in(board_from(assignment, run("s001", None, finished=False)), form)
    assert all(name in text for name in ("boss", "simple", "s001"))
