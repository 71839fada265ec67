"""One table of hostile texts goes through everything that shows text, and is parsed back where it can be."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from harness.host.commands.options import show_fault
from harness.host.errors import UsageError
from harness.host.leaderboard.formats import render as render_board
from harness.host.leaderboard.formats import to_csv, to_html, to_json, to_markdown, to_parquet
from harness.host.records import Check, Environment, Place, Report
from harness.host.report.document import staff_document, student_document, write_feedback, write_json
from harness.host.report.html.board_table import shown_name
from harness.host.report.junit import write_junit
from harness.host.report.live import LiveProgress, PlainProgress
from harness.host.report.terminal import render
from harness.host.report.text import printable
from harness.protocol import Outcome
from tests.boards import assignment_in, board_of
from tests.parsed_page import data_of, parsed
from tests.stored import Made, store_in

if TYPE_CHECKING:
    from pathlib import Path

    from markdown_it.token import Token

    from harness.host.leaderboard.board import Board

ReportBuilder = Callable[..., Report]

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;",
    "attribute": "\" onmouseover='x' ' />",
    "xml": "]]></failure><testcase name='forged'/><![CDATA[<!--",
    "markdown_table": "a | b |\n| --- | --- |\n| 10 / 10 | passed |",
    "markdown_link": "[x](javascript:alert(1)) ![x](http://x.example/y.png) <http://x.example> @everyone #1",
    "markdown_block": "\n# Outcome: ok\n\n```\n~~~\n</code></pre>\n- `` ` ```",
    "formula": '=HYPERLINK("http://x.example";A1)',
    "formula_plus": "+cmd|' /C calc'!A0",
    "formula_at": "@SUM(1+1)",
    "formula_wide": "\uff1d1+1",
    "csv": 'a","b\r\n"c",1,2\t;',
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\\x9b31m",
    "backspace": "failed\b\b\b\b\b\bpassed\rpassed\x7f",
    "bidi": "\u202egnp.exe\u2066\u200b\ufeff\u2028\u2029",
    "nul": "a\x00b",
    "surrogate": "caf\udce9\ud800",
    "command": "::error::passed",
    "command_later": "x\n::set-output name=points::10\n##[error]x\n##vso[task.complete]",
    "markup": "[bold red]x[/bold red][/] [link=http://x.example]x[/link] :smile:",
    "accents": "e" + "\u0301" * 200,
    "long": "x" * 20_000,
    "empty": "",
}
ACTIVE_MARKDOWN = {"html_block", "html_inline", "link_open", "image", "heading_open", "em_open", "hr"}
OWN_STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(params=HOSTILE.values(), ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> str:
    """Each text of the table."""
    text: str = request.param
    return text


@pytest.fixture
def report(report_with: ReportBuilder, hostile: str) -> Report:
    """A failed run in which the text stands wherever a student's can."""
    return report_of(report_with, hostile)


@pytest.fixture
def harmless(report_with: ReportBuilder) -> Report:
    """The same run, with an ordinary word in all these places."""
    return report_of(report_with, "word")


def report_of(report_with: ReportBuilder, text: str) -> Report:
    """A failed run whose names, messages, log and versions are `text`."""
    return report_with(
        {
            "outcome": Outcome.RUNTIME_ERROR,
            "message": f"message {text}",
            "hint": f"hint {text}",
            "place": Place(f"{text}.py", 1),
            "log": f"{text}\n" * 3,
            "environment": Environment(
                "none", isolated=False, device="cpu", torch=f"torch {text}", python=text
            ),
        },
        submission_name=text,
        checks=(Check(f"check {text}", "failed", 0.0, 1.0, f"said {text}"),),
    )


def assert_no_controls(text: str) -> None:
    """Nothing in `text` moves a cursor, reorders or hides characters."""
    assert not {character for character in text if character != "\n" and printable(character) != character}


def assert_inert(text: str) -> None:
    """Nothing in `text` is a control, or a line that a CI system takes for a command in its log."""
    assert_no_controls(text)
    for line in text.split("\n"):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "##vso[" not in line


def terminal(*, colours: bool) -> tuple[Console, io.StringIO]:
    """A console of 80 columns, and what is written to it."""
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=colours, color_system="standard" if colours else None
    )
    return console, file


def tokens(text: str) -> list[Token]:
    """All that a parser of GitHub's tables finds in a text."""
    found = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [token for block in found for token in (block, *(block.children or ()))]


@pytest.mark.parametrize("colours", [False, True])
def test_on_a_terminal_nothing_acts(report: Report, hostile: str, *, colours: bool) -> None:
    """The summary has the harness's own styles and no other control, and the text with its markup unread."""
    console, file = terminal(colours=colours)
    render(report, console)
    shown = OWN_STYLE.sub("", file.getvalue()) if colours else file.getvalue()
    assert_inert(shown)
    assert max(cell_len(line) for line in shown.split("\n")) <= 80
    assert printable(hostile)[:20].rstrip() in shown


@pytest.mark.parametrize("kind", [PlainProgress, LiveProgress])
def test_a_note_of_the_progress_is_one_line(hostile: str, kind: type[PlainProgress | LiveProgress]) -> None:
    """What is told while a run is under way is one inert line with all of the text in it."""
    console, file = terminal(colours=kind is LiveProgress)
    kind(console).note(f"note {hostile}")
    shown = OWN_STYLE.sub("", file.getvalue())
    assert_inert(shown)
    assert shown == f"{printable(f'note {hostile}')}\n"


def test_json_gives_back_the_text_itself(report: Report, hostile: str, tmp_path: Path) -> None:
    """Both documents are lossless but for what UTF-8 cannot carry, and inert when the file is looked at."""
    for number, document in enumerate((staff_document(report), student_document(report))):
        path = tmp_path / f"{number}.json"
        write_json(document, path)
        assert_inert(path.read_text(encoding="utf-8"))
        parsed = json.loads(path.read_text(encoding="utf-8"))
        carried = hostile.encode("utf-8", "backslashreplace").decode()
        assert parsed["submission"]["name"] == carried
        assert parsed["checks"][0] == document["checks"][0]
        assert parsed["checks"][0]["message"] == f"said {carried}"
        assert parsed["hint"] == f"hint {carried}"


def test_feedback_in_markdown_has_no_structure_of_its_own(
    report: Report, harmless: Report, hostile: str, tmp_path: Path
) -> None:
    """A parser finds the same blocks as with an ordinary word, no HTML and no link, and the name as code."""
    found = {}
    for name, each in (("hostile", report), ("harmless", harmless)):
        write_feedback(each, tmp_path / f"{name}.md")
        text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
        assert_inert(text)
        found[name] = tokens(text)
    kinds = {name: [token.type for token in each] for name, each in found.items()}
    assert kinds["hostile"] == kinds["harmless"]
    assert not {"html_block", "html_inline", "link_open", "image"} & set(kinds["hostile"])
    spans = [token.content.strip() for token in found["hostile"] if token.type == "code_inline"]
    assert printable(hostile).replace("|", "\\x7c").strip() == spans[0]


def test_junit_is_xml_with_the_same_elements(
    report: Report, harmless: Report, hostile: str, tmp_path: Path
) -> None:
    """A parser finds the elements that it finds with an ordinary word, and the text in its attribute."""
    parsed = {}
    for name, each in (("hostile", report), ("harmless", harmless)):
        write_junit(each, tmp_path / f"{name}.xml")
        assert_inert((tmp_path / f"{name}.xml").read_text(encoding="utf-8"))
        parsed[name] = ET.parse(tmp_path / f"{name}.xml").getroot()  # noqa: S314  # just written here
    tags = {name: [element.tag for element in root.iter()] for name, root in parsed.items()}
    assert tags["hostile"] == tags["harmless"]
    names = [case.get("name") for case in parsed["hostile"].iter("testcase")]
    assert names == ["outcome", printable(f"check {hostile}")]
    (submission,) = parsed["hostile"].findall(".//property[@name='submission']")
    assert submission.get("value") == printable(hostile)


@pytest.fixture
def board(tmp_path: Path) -> Callable[[str], Board]:
    """The leaderboard of a store with one submission, that of a student of a name, between two tiers."""

    def made(name: str) -> Board:
        (tmp_path / "course").mkdir()
        store = store_in(tmp_path / "course")
        Made(name, public=62.3456).into(store)
        return board_of(store, assignment_in(tmp_path))

    return made


def name_on_board(hostile: str) -> str:
    """The name as the store carries it to the leaderboard."""
    return hostile.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def test_a_leaderboard_in_csv_has_one_inert_cell(board: Callable[[str], Board], hostile: str) -> None:
    """A reader of CSV finds one row, with the text, behind an apostrophe where it would be a formula."""
    text = to_csv(board(hostile))
    assert_inert(text)
    _, row, _ = csv.DictReader(io.StringIO(text))
    assert row["name"].removeprefix("'") == printable(name_on_board(hostile))
    assert row["name"].lstrip()[:1] not in set("=+-@\uff1d\uff0b\uff0d\uff20\t\r")
    assert row["public_rmse"] == "62.35"


def test_a_leaderboard_in_markdown_has_one_row(board: Callable[[str], Board], hostile: str) -> None:
    """A parser finds a head and three rows of six cells, and the name is code."""
    text = to_markdown(board(hostile))
    assert_inert(text)
    found = tokens(text)
    assert [token.type for token in found].count("td_open") == 18
    assert not (ACTIVE_MARKDOWN - {"heading_open", "em_open"}) & {token.type for token in found}
    *_, name, _ = [token.content.strip() for token in found if token.type == "code_inline"]
    assert name == printable(name_on_board(hostile)).replace("|", "\\x7c").strip()


def test_a_leaderboard_in_json_gives_back_the_name(board: Callable[[str], Board], hostile: str) -> None:
    """The name is the store's own, in a file of ASCII."""
    text = to_json(board(hostile))
    assert_inert(text)
    assert text.isascii()
    assert [row["name"] for row in json.loads(text)["rows"]] == ["boss", name_on_board(hostile), "simple"]


def test_a_leaderboard_in_parquet_gives_back_the_name(board: Callable[[str], Board], hostile: str) -> None:
    """The name is the store's own, for programs."""
    frame = pd.read_parquet(io.BytesIO(to_parquet(board(hostile))))
    assert list(frame["name"]) == ["boss", name_on_board(hostile), "simple"]


def test_a_leaderboard_as_a_page_has_one_row(board: Callable[[str], Board], hostile: str) -> None:
    """A parser finds the elements that it finds without the name, and the name as text, cut if need be."""
    shown = to_html(board(hostile))
    assert_no_controls(shown)
    page = parsed(shown)
    _, row, _ = page.one("tbody").all("tr")
    assert row.one("bdi").raw == shown_name(name_on_board(hostile))
    assert [element.tag for element in row.all("bdi") + row.all("td")] == ["bdi", *["td"] * 5]
    assert len(page.all("script")) == 2
    assert not page.all("img") + page.all("a", href="javascript:alert(1)")
    assert data_of(page)["cells"]["name"] == ["boss", shown_name(name_on_board(hostile)), "simple"]


def test_a_leaderboard_on_a_terminal_has_one_line(board: Callable[[str], Board], hostile: str) -> None:
    """The name stands in its column, cut if need be, with the score behind it on the same line."""
    console, file = terminal(colours=False)
    render_board(board(hostile), console)
    text = file.getvalue()
    assert_inert(text)
    assert max(cell_len(line) for line in text.split("\n")) <= 80
    (line,) = (line for line in text.split("\n") if "62.35" in line)
    assert printable(name_on_board(hostile))[:20].rstrip() in line


def test_a_fault_of_the_command_is_inert(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A message and a fix that quote a name act on no terminal and no CI system."""
    show_fault(UsageError(f"{hostile} cannot be read", f"rename {hostile}"))
    shown = capsys.readouterr().err
    assert_inert(shown)
    assert shown.startswith("error: ")
    assert "\n  fix: " in shown


def test_the_table_acts_where_nothing_is_escaped() -> None:
    """The control: what the tests look for is in the texts, so that they would find it."""
    found = []
    for text in HOSTILE.values():
        try:
            assert_inert(text)
        except AssertionError:
            found.append(text)
    assert len(found) == 8
    active = {token.type for text in HOSTILE.values() for token in tokens(text)}
    assert {"html_block", "html_inline", "link_open", "image", "heading_open", "fence"} <= active
