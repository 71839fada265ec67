"""The page of a leaderboard: what it says, in what order, and that it says no digit more."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.report.html.board_page import ROWS, board_page
from harness.host.report.html.board_table import aligned, progress_text
from harness.host.report.text import printable
from tests.parsed_page import Element, data_of, parsed
from tests.sample_pages import HOSTILE, class_of, history_of, student, tier, view_of

NAN = float("nan")
NOTHING = "\N{EN DASH}"
DATE = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?:\+\d\d:\d\d)?"


def rows_of(page: Element) -> list[list[str]]:
    """The cells of the table as it stands in the document."""
    body = page.one("tbody")
    return [
        [cell.text for cell in row.children if isinstance(cell, Element)]
        for row in body.children
        if isinstance(row, Element)
    ]


def heads_of(page: Element) -> list[str]:
    """The heads of the table's columns."""
    return [head.text for head in page.one("thead").all("th")]


def facts_of(page: Element) -> dict[str, str]:
    """What the header states."""
    names = [name.text for name in page.all("dt")]
    return dict(zip(names, [fact.text for fact in page.all("dd")], strict=True))


def summaries_of(page: Element) -> list[str]:
    """What the charts show, in words."""
    return [caption.text for caption in page.all("figcaption")]


def significant_digits(figure: str) -> int:
    """How many digits of a figure say something."""
    return len(re.sub(r"e.*|\.|-", "", figure).lstrip("0"))


def test_the_header_says_what_the_board_is() -> None:
    """Title, metric and its direction, split, counts and time of making are at the top."""
    page = parsed(board_page(class_of(60)))
    assert page.one("h1").text == "Homework 1: bikes by the hour"
    assert facts_of(page) | {"Attempts": ""} == {
        "Metric": "rmse, lower is better",
        "Split": "public",
        "Students": "60, 57 with a score",
        "Attempts": "",
        "Made": "2025-03-28 18:05 CET",
    }
    assert page.one("head").one("title").text == "Leaderboard, public split: Homework 1: bikes by the hour"
    assert page.one("time").attributes["datetime"] == "2025-03-28T18:05+01:00"


def test_the_private_split_is_marked() -> None:
    """Nobody publishes the private board by mistake because it looks like the public one."""
    view = view_of([student("s001", 1.0)])
    assert "not for students" not in board_page(view)
    assert facts_of(parsed(board_page(replace(view, split="private"))))["Split"] == "private not for students"


def test_rows_stand_in_the_order_of_the_frame() -> None:
    """What a student does not have is a dash in its row; what a tier does not have is left empty."""
    view = view_of(
        [
            student(
                "s001", 40.123456, 1, last=43.5, progress=1.23456, group="Section A", runtime_seconds=185.2
            ),
            tier("strong", 41.5),
            student("s002", 43.99, 2, last=NAN, attempts=None),
            student("s003", NAN, None, runtime_seconds=NAN, attempts=2),
        ]
    )
    page = parsed(board_page(view))
    assert heads_of(page) == ["Rank", "Name", "Score", "Last", "Progress", "Runtime", "Attempts", "Group"]
    assert rows_of(page) == [
        ["1", "s001", "40.12", "43.50", "+1.23", "3 min 05 s", "3", "Section A"],
        ["", "strong tier", "41.50", "", "", "", "", ""],
        ["2", "s002", "43.99", NOTHING, NOTHING, "12.3 s", NOTHING, ""],
        [NOTHING, "s003", NOTHING, NOTHING, NOTHING, NOTHING, "2", ""],
    ]


def test_columns_with_nothing_in_them_are_left_out() -> None:
    """A course without groups, or in its first week, has no column of dashes for them."""
    page = parsed(board_page(view_of([student("s001", 40.0, last=NAN)])))
    assert heads_of(page) == ["Rank", "Name", "Score", "Runtime", "Attempts"]


def test_numbers_have_no_more_than_four_digits_anywhere() -> None:
    """Neither the table nor its data, sort keys or charts give away what is rounded away."""
    view = class_of(300)
    html = board_page(view)
    shown = re.sub(
        rf"<style>.*?</style>|<script>.*?</script>|content=\"[^\"]*\"|{DATE}", "", html, flags=re.DOTALL
    )
    figures = re.findall(r"\d[\d.]*(?:e[-+]\d+)?", shown)
    assert len(figures) > 3000
    finer = [figure for figure in figures if "." in figure.rstrip(".") and significant_digits(figure) > 4]
    assert not finer
    for column in ("score", "last", "progress", "runtime_seconds"):
        for value in view.board[column].dropna():
            exact = repr(float(value)).lstrip("0.")
            assert exact[:7] not in shown or len(exact) < 7


def test_large_figures_have_four_digits_too() -> None:
    """A score of 33,301.4 is not told apart from 33,300."""
    html = board_page(
        view_of([student("s001", 33_301.4, progress=1234.56)], history_of([(33_301.4, 33_301.4, 1)]))
    )
    assert "33300" in html
    assert "33301" not in html
    assert "+1230" in html


@pytest.mark.parametrize(
    ("progress", "score", "direction", "shown"),
    [
        (1.23456, 43.82, "min", "+1.23"),
        (0.001234, 43.82, "min", "0"),
        (89.28, 43.82, "min", "+89.3"),
        (0.00314, 0.8512, "max", "+0.0031"),
        (0.3, 0.0, "min", "+0.3000"),
        (0.0, 0.0, "min", "0"),
        (1500.0, 33_301.4, "min", "+1500"),
        (2e-8, 4e-8, "min", "+2e-08"),
        (None, 43.82, "min", None),
        (1.0, None, "min", "+1.000"),
    ],
)
def test_progress_is_no_finer_than_the_scores(
    progress: float | None, score: float | None, direction: str, shown: str | None
) -> None:
    """A difference of scores that are shown in hundredths is in hundredths too: it tells no hidden digit."""
    assert progress_text(progress, score, direction) == shown


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["43.82", "133.1", None], ["43.82", "133.1\u2007", None]),
        (["33300", "1.5"], ["33300\u2008\u2007", "1.5"]),
        (["1", "2"], ["1", "2"]),
        (["1.234e+08", "0.5"], ["1.234e+08", "0.5"]),
        ([], []),
    ],
)
def test_decimal_points_stand_below_each_other(texts: list[str | None], shown: list[str | None]) -> None:
    """Figures that are aligned to the right get blanks of a digit's width for the decimals they lack."""
    assert aligned(texts) == shown


def test_the_script_gets_all_rows() -> None:
    """The document has the first page of rows, and the data all of them, cell for cell the same."""
    page = parsed(board_page(class_of(250)))
    data = data_of(page)
    keys = [head.attributes["data-key"] for head in page.one("thead").all("th")]
    assert list(data["cells"]) == keys
    assert {len(cells) for cells in data["cells"].values()} == {254}
    assert len(rows_of(page)) == ROWS == data["size"]
    for place, row in enumerate(rows_of(page)):
        cells = [
            " ".join(data["cells"][key][place].split()) if data["cells"][key][place] else "" for key in keys
        ]
        tag = " tier" if place in data["tiers"] else ""
        assert row[1] == cells[1] + tag
        assert [cell.strip(NOTHING) for cell in row if cell != row[1]] == [
            cell for cell in cells if cell != cells[1]
        ]
    assert "These are the first 100 of 254 rows" in page.one("noscript").text


def test_scores_are_sorted_by_the_order_of_the_rows() -> None:
    """Scores that look the same keep their order: the script sorts them by place, not by what is shown."""
    page = parsed(board_page(view_of([student("b", 10.00001), student("a", 10.00002, 2)])))
    data = data_of(page)
    assert data["cells"]["score"] == ["10.00", "10.00"]
    assert "score" not in data["numbers"]
    for key, first in (("rank", "ascending"), ("score", "ascending")):
        head = page.one("th", data_key=key)
        assert head.attributes["data-sort"] == "order"
        assert head.attributes["data-first"] == first
    highest = parsed(board_page(view_of([student("a", 0.9)], metric="accuracy", direction="max")))
    assert highest.one("th", data_key="score").attributes["data-first"] == "descending"
    assert facts_of(highest)["Metric"] == "accuracy, higher is better"


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_stays_text(name: str) -> None:
    """A name is shown as `printable` makes it, cut where no name is that long, in table and data."""
    page = parsed(board_page(view_of([student(name, 40.0, group=name)])))
    shown = page.one("tbody").all("bdi")[0].raw
    assert shown == data_of(page)["cells"]["name"][0]
    assert shown == data_of(page)["cells"]["group"][0]
    whole = printable(name)
    assert shown == whole if len(whole) <= 100 else (shown.endswith("…") and whole.startswith(shown[:-1]))
    assert len(shown) <= 100


def test_templates_and_titles_are_text_as_well() -> None:
    """What an assignment's author wrote is escaped like everything else."""
    page = parsed(
        board_page(view_of([student("s001", 1.0)], title="<b>{{7*7}}</b>", metric="<i>", assignment="&lt;"))
    )
    assert page.one("h1").text == "<b>{{7*7}}</b>"
    assert facts_of(page)["Metric"] == "<i>, lower is better"


def test_an_empty_board_says_so() -> None:
    """Before anybody has handed in there is no table, no chart, and a sentence instead of each."""
    page = parsed(board_page(view_of([])))
    assert facts_of(page)["Students"] == "0"
    assert not page.all("table")
    assert not page.all("svg")
    assert [empty.text for empty in page.all("p", class_="empty")] == [
        "Nobody has a score yet.",
        "Nobody has handed in yet.",
    ]


def test_a_board_of_tiers_alone_has_a_table() -> None:
    """The tiers are there before the students are."""
    page = parsed(board_page(view_of([tier("boss", 36.5), tier("simple", 80.0)])))
    assert [row[1] for row in rows_of(page)] == ["boss tier", "simple tier"]
    assert facts_of(page)["Students"] == "0"
    assert not page.all("svg")


def test_a_board_without_any_score_has_no_chart() -> None:
    """Where all runs failed, students and attempts are listed, and nothing is drawn of nothing."""
    rows = [student(f"s{number}", NAN, None, runtime_seconds=NAN) for number in range(3)]
    page = parsed(board_page(view_of([tier("boss", 36.5), *rows], history_of([(NAN, NAN, 0)]))))
    assert facts_of(page)["Students"] == "3, 0 with a score"
    assert facts_of(page)["Attempts"] == "9"
    assert not page.all("svg")
    assert "Nobody has a score yet." in page.text
    assert rows_of(page)[1] == [NOTHING, "s0", NOTHING, NOTHING, "3"]


def test_one_student_has_charts() -> None:
    """A single score, a single runtime and a single day are drawn and told in the singular."""
    page = parsed(board_page(view_of([student("s001", 40.0)], history_of([(40.0, 40.0, 1)]))))
    assert len(page.all("svg")) == 3
    assert summaries_of(page) == [
        "The one student has a score. The best is 40.00, the median 40.00.",
        "Runs took 12.3 s to 12.3 s, half of them under 12.3 s.",
        "On 3 March 2025, the best is 40.00 and the median is 40.00. By then 1 student has a score.",
    ]


def test_charts_say_in_words_what_they_show() -> None:
    """Best, median, quartiles, tiers reached, runtimes and the course of the class are told as text."""
    rows = [student(f"s{rank}", score, rank) for rank, score in enumerate([30.0, 40, 50, 60, 70], 1)]
    history = history_of([(90.0, 95.0, 1), (30.0, 50.0, 5)])
    page = parsed(board_page(view_of([*rows, tier("simple", 60.0), tier("boss", 35.0)], history)))
    scores, _, course = summaries_of(page)
    assert scores == (
        "All 5 students have a score. The best is 30.00, the median 50.00. "
        "Half of them lie between 40.00 and 60.00. Reached: simple 4, boss 1."
    )
    assert course == (
        "From 3 March 2025 to 4 March 2025, the best went from 90.00 to 30.00 "
        "and the median went from 95.00 to 50.00. By then 5 students have a score."
    )
    assert "Tiers: simple at 60.00, boss at 35.00." in page.all("desc")[0].text
    assert {label.text for label in page.all("text", class_="mark-label")} == {"simple", "boss"}


def test_the_best_is_the_highest_where_higher_is_better() -> None:
    """The direction is stated, never inferred."""
    rows = [student(f"s{rank}", score, rank) for rank, score in enumerate([0.9, 0.8, 0.5], 1)]
    view = view_of([*rows, tier("boss", 0.85)], metric="accuracy", direction="max")
    assert summaries_of(parsed(board_page(view)))[0].startswith(
        "All 3 students have a score. The best is 0.9000"
    )
    assert "Reached: boss 1." in summaries_of(parsed(board_page(view)))[0]


def test_outliers_are_counted_and_not_drawn() -> None:
    """One score of a billion does not squash all others into one bar, and is not passed over in silence."""
    rows = [student(f"s{rank}", 40.0 + rank, rank) for rank in range(1, 30)]
    page = parsed(board_page(view_of([*rows, student("s999", 1e9, 30)])))
    assert len(page.all("svg")[0].all("rect")) > 5
    assert all("Not drawn: 1 score above 120." in summary for summary in summaries_of(page)[:2])


def test_infinite_figures_are_shown_as_missing() -> None:
    """A score that is not finite breaks neither the table nor a chart."""
    rows = [student("s001", 40.0), student("s002", float("inf"), 2, runtime_seconds=float("inf"))]
    assert rows_of(parsed(board_page(view_of(rows))))[1][2] == NOTHING


@given(
    st.lists(st.floats(-1e12, 1e12) | st.just(NAN), min_size=1, max_size=30), st.sampled_from(["min", "max"])
)
def test_any_scores_make_a_page(scores: list[float], direction: str) -> None:
    """Negative, tiny, huge, equal and missing figures are all drawn or left out, and never an error."""
    ordered = sorted((score for score in scores if score == score), reverse=direction == "max")  # noqa: PLR0124  # NaN
    ordered += [NAN] * (len(scores) - len(ordered))
    rows = [
        student(f"s{rank}", score, rank, runtime_seconds=abs(score), progress=abs(score))
        for rank, score in enumerate(ordered, 1)
    ]
    history = history_of([(score, score, 1) for score in scores])
    page = parsed(board_page(view_of([*rows, tier("boss", 0.0)], history, direction=direction)))
    assert len(rows_of(page)) == len(rows) + 1


def test_ten_thousand_students_make_a_small_file() -> None:
    """All rows of a large class are in one file of about a megabyte, and its charts are a part of it."""
    html = board_page(class_of(10_000))
    assert len(html) < 1_500_000
    assert sum(len(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)) < 150_000
    assert len(data_of(parsed(html))["cells"]["name"]) == 10_004


def test_a_year_of_days_has_few_labels() -> None:
    """The axis of time is labelled by weeks or months where days would touch."""
    days = [(50 - day / 20, 60 - day / 20, 9) for day in range(365)]
    page = parsed(board_page(view_of([student("s001", 32.0)], history_of(days))))
    labels = [label.text for label in page.all("svg")[-1].all("text", class_="tick", text_anchor="middle")]
    assert labels[0] == "3 Mar"
    assert 3 <= len(labels) <= 6


def test_a_gap_in_the_history_is_a_gap() -> None:
    """A day without a figure breaks the line and is not drawn as zero."""
    history = history_of([(90.0, 95.0, 1), (NAN, NAN, 1), (np.inf, 80.0, 2), (60.0, 70.0, 3)])
    page = parsed(board_page(view_of([student("s001", 60.0)], history)))
    (best,) = page.all("svg")[-1].all("path", class_="first")
    assert best.attributes["d"].count("M") == 2
