"""The leaderboard in a browser: sorted, searched and paged with mouse and keyboard."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from selenium.webdriver.common.keys import Keys

from harness.host.report.html.board_page import ROWS, board_page
from tests.sample_pages import class_of, student, tier, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.report.html.board_page import BoardView
    from tests.browser.conftest import Window

pytestmark = pytest.mark.browser

COLUMNS = {
    "rank": "ascending",
    "name": "ascending",
    "score": "ascending",
    "last": "ascending",
    "progress": "descending",
    "runtime": "ascending",
    "attempts": "descending",
    "group": "ascending",
}
NAMES = "#rows th.name bdi"


@pytest.fixture(scope="module")
def board() -> BoardView:
    """A class that fits on one page of the table."""
    return class_of(60)


def expected(view: BoardView, key: str, direction: str) -> list[str]:
    """The names in the order of a column, computed from the frame: ties as on the board, nothing last."""
    board = view.board
    value: Callable[[Any], float | str] = {
        "rank": lambda row: row.Index if pd.notna(row.score) else math.nan,
        "name": lambda row: row.name,
        "score": lambda row: row.score,
        "last": lambda row: float(f"{row.last:.4g}"),
        "progress": lambda row: round(row.progress, 2),
        "runtime": lambda row: float(f"{row.runtime_seconds:.4g}"),
        "attempts": lambda row: math.nan if row.kind == "baseline" else row.attempts,
        "group": lambda row: row.group or math.nan,
    }[key]
    keyed = [(value(row), str(row.name)) for row in board.itertuples()]
    known = [pair for pair in keyed if pd.notna(pair[0])]
    known.sort(key=lambda pair: pair[0], reverse=direction == "descending")
    return [name for _, name in known] + [name for value_, name in keyed if pd.isna(value_)]


def sorted_by(window: Window) -> dict[str, str]:
    """The columns that say they are sorted, and how."""
    script = """
    const sorted = [...document.querySelectorAll("thead th[aria-sort]")];
    return sorted.map((head) => [head.dataset.key, head.getAttribute("aria-sort")]);
    """
    return dict(window.run(script))


def other(direction: str) -> str:
    """The opposite direction."""
    return "descending" if direction == "ascending" else "ascending"


@pytest.mark.parametrize("key", COLUMNS)
def test_a_click_on_a_head_sorts_by_its_column(window: Window, board: BoardView, key: str) -> None:
    """The first click sorts the way that is asked for most, the second the other way; heads say which."""
    window.show(board_page(board))
    assert sorted_by(window) == {"rank": "ascending"}
    head = window.one(f"thead th.{key} button")
    first = other(COLUMNS[key]) if key == "rank" else COLUMNS[key]
    for direction in (first, other(first)):
        head.click()
        assert sorted_by(window) == {key: direction}
        assert window.texts(NAMES) == expected(board, key, direction)


@pytest.mark.parametrize("key", COLUMNS)
def test_keys_sort_as_clicks_do(window: Window, board: BoardView, key: str) -> None:
    """A head is reached with Tab and pressed with Enter or Space; it keeps the focus."""
    window.show(board_page(board))
    window.one("#scroller").send_keys("")
    for _ in range(list(COLUMNS).index(key) + 1):
        window.driver.switch_to.active_element.send_keys(Keys.TAB)
    head = window.driver.switch_to.active_element
    assert head.find_element("xpath", "..").get_dom_attribute("data-key") == key
    first = other(COLUMNS[key]) if key == "rank" else COLUMNS[key]
    for press, direction in ((Keys.ENTER, first), (Keys.SPACE, other(first))):
        window.driver.switch_to.active_element.send_keys(press)
        assert sorted_by(window) == {key: direction}
        assert window.texts(NAMES) == expected(board, key, direction)
        assert window.driver.switch_to.active_element == head


def test_scores_that_look_the_same_keep_their_order(window: Window) -> None:
    """Sorting by score goes by the exact score, of which the page has four digits only."""
    rows = [student(name, 10 + place / 1e6, place + 1) for place, name in enumerate("cabed")]
    window.show(board_page(view_of(rows)))
    assert set(window.texts("#rows .score")) == {"10.00"}
    head = window.one("thead th.score button")
    head.click()
    assert "".join(window.texts(NAMES)) == "cabed"
    head.click()
    assert "".join(window.texts(NAMES)) == "debac"


def test_higher_scores_come_first_where_higher_is_better(window: Window) -> None:
    """A click on the score puts the best first, and says truly that this is descending."""
    rows = [student("best", 0.9), tier("boss", 0.8), student("next", 0.5, 2)]
    window.show(board_page(view_of(rows, direction="max", metric="accuracy")))
    head = window.one("thead th.score button")
    head.click()
    assert sorted_by(window) == {"score": "descending"}
    assert window.texts(NAMES) == ["best", "boss", "next"]
    head.click()
    assert sorted_by(window) == {"score": "ascending"}
    assert window.texts(NAMES) == ["next", "boss", "best"]


def test_the_search_shows_matches_and_tells_how_many(window: Window) -> None:
    """Names and groups are searched in any case, and a live region has the count."""
    names = ["Ångström", "ALPHA", "alphabet", "\uff21lpha wide"]
    rows = [student(name, 10.0 + place, place + 1, group="Lab B") for place, name in enumerate(names)]
    window.show(board_page(view_of([*rows, student("beta", 20.0, 5, group="Lab A")])))
    matches, field = window.one("#matches"), window.one("#search")
    assert matches.get_attribute("role") == "status"
    assert matches.text == "5 rows"
    field.send_keys("ALpha")
    assert window.texts(NAMES) == names[1:]
    assert matches.text == "3 of 5 rows match"
    field.clear()
    field.send_keys("lab a")
    assert window.texts(NAMES) == ["beta"]
    field.clear()
    field.send_keys("nobody")
    assert window.texts(NAMES) == []
    assert matches.text == "0 of 5 rows match"
    assert window.one("#nothing").is_displayed()
    field.clear()
    field.send_keys(" ")
    assert len(window.texts(NAMES)) == 5
    assert not window.one("#nothing").is_displayed()


def test_searching_keeps_the_order_and_sorting_keeps_the_search(window: Window, board: BoardView) -> None:
    """Both hold at once, over all rows."""
    window.show(board_page(board))
    window.one("#search").send_keys("section b")
    window.one("thead th.runtime button").click()
    groups = dict(zip(board.board["name"], board.board["group"], strict=True))
    assert window.texts(NAMES) == [
        name for name in expected(board, "runtime", "ascending") if groups[name] == "Section B"
    ]


def test_the_pager_goes_through_all_rows_by_keyboard(window: Window) -> None:
    """Each row is on one page; a button at its end stays focused and says that it does nothing."""
    view = class_of(250)
    window.show(board_page(view))
    first, previous, following, last = window.all("#pager button")
    assert [button.get_attribute("aria-disabled") for button in (first, previous, following, last)] == [
        "true",
        "true",
        "false",
        "false",
    ]
    assert window.one("#pager .place").text == "1–100 of 254"  # noqa: RUF001  # as it is written
    seen = window.texts(NAMES)
    for _ in range(2):
        following.send_keys(Keys.ENTER)
        seen += window.texts(NAMES)
    assert seen == list(view.board["name"])
    assert following.get_attribute("aria-disabled") == "true"
    assert window.driver.switch_to.active_element == following
    following.send_keys(Keys.SPACE)
    assert window.texts(NAMES) == seen[2 * ROWS :]
    first.send_keys(Keys.SPACE)
    assert window.texts(NAMES) == seen[:ROWS]
    last.send_keys(Keys.ENTER)
    previous.send_keys(Keys.ENTER)
    assert window.texts(NAMES) == seen[ROWS : 2 * ROWS]


def test_sorting_and_searching_go_back_to_the_first_page(window: Window) -> None:
    """They work over all rows, not over those in sight; one page of matches has no pager."""
    view = class_of(250)
    window.show(board_page(view))
    window.all("#pager button")[2].click()
    window.one("thead th.name button").click()
    assert window.texts(NAMES) == expected(view, "name", "ascending")[:ROWS]
    window.all("#pager button")[2].click()
    window.one("#search").send_keys(str(view.board["name"].iloc[-1]))
    assert window.texts(NAMES) == [view.board["name"].iloc[-1]]
    assert not window.one("#pager").is_displayed()


def test_the_script_writes_the_rows_that_the_document_had(window: Window, board: BoardView) -> None:
    """Nothing changes on the page when the script takes the table over."""
    html = board_page(board)
    window.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        window.show(html)
    finally:
        window.command("Emulation.setScriptExecutionDisabled", value=False)
    cells = """
    const rows = [...document.querySelectorAll("#rows tr")];
    return rows.map((row) => row.outerHTML.replace(/>\\s+</g, "><"));
    """
    before = window.run(cells)
    assert len(before) == 64
    window.show(html)
    assert window.run(cells) == before


def test_without_scripts_the_first_rows_can_be_read(window: Window) -> None:
    """There are no buttons that do nothing, and it is said that there is more."""
    window.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        window.show(board_page(class_of(250)))
        assert not window.one("#tools").is_displayed()
        assert window.all("thead button") == []
        assert len(window.all("#rows tr")) == ROWS
        assert "first 100 of 254 rows" in window.one("noscript").text
    finally:
        window.command("Emulation.setScriptExecutionDisabled", value=False)


def test_ten_thousand_rows_can_be_used_at_once(window: Window) -> None:
    """All rows of a large class are sorted and searched; `pytest -rP` shows how long that takes."""
    view = class_of(10_000)
    window.show(board_page(view))
    timed = """
    const start = performance.now();
    arguments[0].dispatchEvent(new Event(arguments[1]));
    document.body.offsetHeight;
    return performance.now() - start;
    """
    times = {"load": window.run("return performance.getEntriesByType('navigation')[0].domComplete")}
    for key in ("name", "runtime", "last"):
        times[key] = window.run(timed, window.one(f"thead th.{key} button"), "click")
        assert window.texts(NAMES) == expected(view, key, "ascending")[:ROWS]
    field = window.one("#search")
    window.run("arguments[0].value = 's123'", field)
    times["search"] = window.run(timed, field, "input")
    assert window.one("#matches").text == "11 of 10,004 rows match"
    sys.stdout.write("".join(f"{name} {milliseconds:.0f} ms\n" for name, milliseconds in times.items()))


def test_the_table_scrolls_in_a_region_of_its_own(window: Window, board: BoardView) -> None:
    """On a phone the table is wider than the page; its region can be focused and scrolled with keys."""
    window.show(board_page(board), (360, 740))
    region = window.one("#scroller")
    assert window.run("return arguments[0].scrollWidth > arguments[0].clientWidth", region)
    assert region.get_attribute("role") == "region"
    assert region.accessible_name == "Ranking"
    before = window.run("return document.querySelector('#rows th.name').getBoundingClientRect().left")
    region.send_keys(Keys.ARROW_RIGHT * 9)
    window.run("arguments[0].scrollLeft = 200", region)
    assert window.run("return arguments[0].scrollLeft", region) > 0
    after = window.run("return document.querySelector('#rows th.name').getBoundingClientRect().left")
    assert 0 <= after <= before


def test_print_has_no_controls(window: Window, board: BoardView) -> None:
    """On paper there is the table without search, pager and a region that hides half of it."""
    window.show(board_page(board))
    window.media("dark", "print")
    assert not window.one("#tools").is_displayed()
    style = "return getComputedStyle(document.body).getPropertyValue(arguments[0])"
    assert window.run(style, "background-color") == "rgb(255, 255, 255)"
    pdf = window.command("Page.printToPDF", printBackground=False)
    assert len(pdf["data"]) > 10_000
