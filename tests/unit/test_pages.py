"""The pages of an assignment's runs, and the table that says whose each is."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import UsageError
from harness.host.pages import INDEX, write_pages
from harness.protocol import Outcome
from tests.boards import EVIL
from tests.parsed_page import parsed
from tests.stored import Made, later, store_in

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return store_in(tmp_path)


def index_of(folder: Path) -> list[dict[str, str]]:
    """The table in a folder of pages."""
    with (folder / INDEX).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_run_has_a_page_and_a_line_that_says_whose_it_is(store: Store, tmp_path: Path) -> None:
    """In the order of recording; other assignments have folders of their own."""
    first = Made("s001", public=44.71, name="first try").into(store)
    second = Made("s002", outcome=Outcome.TIME_LIMIT, message="it took 121 s").into(store)
    Made("s009", assignment="hw2-digits").into(store)
    folder = tmp_path / "course" / "pages"
    assert write_pages(store, "hw1-bikes", folder) == 2
    assert {path.name for path in folder.iterdir()} == {INDEX, f"{first}.html", f"{second}.html"}
    assert index_of(folder) == [
        {"student": "s001", "submission": "first try", "outcome": "ok", "page": f"{first}.html"},
        {"student": "s002", "submission": "s002", "outcome": "time_limit", "page": f"{second}.html"},
    ]
    assert "44.71" in parsed((folder / f"{first}.html").read_text()).text
    assert "it took 121 s" in parsed((folder / f"{second}.html").read_text()).text


def test_a_run_that_was_made_again_has_the_new_page_alone(store: Store, tmp_path: Path) -> None:
    """The other hand-ins of the student have theirs."""
    Made("s001", model="a").into(store)
    again = Made("s001", model="a").into(store, again=True)
    other = Made("s001", model="b", submitted=later(1)).into(store)
    write_pages(store, "hw1-bikes", tmp_path / "pages")
    assert [line["page"] for line in index_of(tmp_path / "pages")] == [f"{again}.html", f"{other}.html"]


def test_no_name_acts_in_the_table(store: Store, tmp_path: Path) -> None:
    """A spreadsheet computes nothing, and no line is broken or begun by a name."""
    Made(EVIL).into(store)
    write_pages(store, "hw1-bikes", tmp_path / "pages")
    text = (tmp_path / "pages" / INDEX).read_text(encoding="utf-8")
    assert len(text.splitlines()) == 2
    assert not {"\x1b", "\u202e", "\r"} & set(text)
    (line,) = index_of(tmp_path / "pages")
    assert line["student"].startswith("'=HYPERLINK")
    assert line["submission"].startswith("'=HYPERLINK")


def test_without_runs_there_is_a_table_without_lines(store: Store, tmp_path: Path) -> None:
    """And its header."""
    assert write_pages(store, "hw1-bikes", tmp_path / "pages") == 0
    assert (tmp_path / "pages" / INDEX).read_text() == "student,submission,outcome,page\n"


def test_a_folder_that_cannot_be_made_is_wrong_use(store: Store, tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"the folder .*file/pages cannot be made: Not a directory"):
        write_pages(store, "hw1-bikes", tmp_path / "file" / "pages")
