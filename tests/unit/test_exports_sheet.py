"""Reading a CSV so that it can be written back as it was."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.exports.sheet import Sheet, read_sheet

if TYPE_CHECKING:
    from pathlib import Path

BREAKS = st.sampled_from(["\n", "\r\n", "\r"])
DELIMITERS = st.sampled_from([",", ";", "\t"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=8)


def sheet_of(folder: Path, data: str | bytes) -> Sheet:
    """What is read of a file."""
    path = folder / "sheet.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_sheet(path)


@st.composite
def sheets(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A CSV in some dialect, with hostile cells, and what its cells mean; the header is plain."""
    delimiter, end = draw(DELIMITERS), draw(BREAKS)
    width = draw(st.integers(2, 5))
    rows = draw(st.lists(st.lists(TEXTS, min_size=width, max_size=width), max_size=6))
    cells = [[f"column {number}" for number in range(width)], *rows]
    lines = []
    for row in cells:
        quoted = [draw(st.booleans()) or any(each in cell for each in f'{delimiter}"\r\n') for cell in row]
        written = [
            '"' + cell.replace('"', '""') + '"' if quote else cell
            for cell, quote in zip(row, quoted, strict=True)
        ]
        lines.append(delimiter.join(written))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return mark + end.join(lines) + draw(st.sampled_from(["", end])), cells


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheets())
def test_a_sheet_is_written_back_byte_for_byte(tmp_path: Path, drawn: tuple[str, list[list[str]]]) -> None:
    """Separators, quotes, line ends, marks and blanks stay, and the cells mean what Python's reader says."""
    text, cells = drawn
    sheet = sheet_of(tmp_path, text)
    assert sheet.filled(0, {}) == text
    read = [[row[column] for column in range(len(row.raw))] for row in sheet.rows]
    assert read == [[cell.strip() for cell in row] for row in cells]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheets(), st.data(), TEXTS)
def test_filling_changes_no_other_cell(
    tmp_path: Path, drawn: tuple[str, list[list[str]]], data: st.DataObject, new: str
) -> None:
    """Whatever is written into a cell is read there again, and every other cell stays, byte for byte."""
    text, cells = drawn
    assume(len(cells) > 1)
    row = data.draw(st.integers(1, len(cells) - 1))
    column = data.draw(st.integers(0, len(cells[0]) - 1))
    before = sheet_of(tmp_path, text)
    after = sheet_of(tmp_path, before.filled(column, {row: new}))

    assert after.rows[row][column] == new.strip()
    assert len(after.rows) == len(before.rows)
    for number, (old, written) in enumerate(zip(before.rows, after.rows, strict=True)):
        assert old.end == written.end
        for index, (was, now) in enumerate(zip(old.raw, written.raw, strict=True)):
            assert was == now or (number, index) == (row, column)


def test_the_header_alone_tells_what_separates_cells(tmp_path: Path) -> None:
    """Wherever its line ends: cells further down may be full of other signs."""
    for end in ("\r\n", "\n", "\r"):
        sheet = sheet_of(tmp_path, f"name;grade{end},,,;1{end}")
        assert sheet.delimiter == ";"
        assert [row.raw for row in sheet.rows] == [("name", "grade"), (",,,", "1")]


def test_what_is_filled_in_is_read_by_others(tmp_path: Path) -> None:
    """Python's own reader finds the new cells in their places."""
    sheet = sheet_of(tmp_path, 'name;grade\r\n"a;""b""";"1"\r\nc;2')
    rows = list(csv.reader(io.StringIO(sheet.filled(1, {1: "7,5", 2: "x;y"})), delimiter=";"))
    assert rows == [["name", "grade"], ['a;"b"', "7,5"], ["c", "x;y"]]


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    """A row's line is where it begins, whatever line breaks there are in cells before it."""
    sheet = sheet_of(tmp_path, 'a,b\n"1\r\n2\r3",x\n\ny,z\n')
    assert [row.line for row in sheet.rows] == [1, 2, 5, 6]
    assert [row.is_blank for row in sheet.rows] == [False, False, True, False]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("name,grade\ns001,7\n".encode("utf-16"), "UTF-16"),
        ("name,grade\ns00ä,7\n".encode("latin-1"), "another form than UTF-8"),
        (b"", "no first line with the names of columns"),
        (b"name\ns001\n", "no first line with the names of columns"),
        (b"name,grade\ns001,7\ns002\n", "line 3 has 1 cells, the header has 2"),
        (b"name,grade\ns001,7,8\n", "line 2 has 3 cells"),
        (b'name,grade\n"s001,7\n', "line 2: a quote does not end where its cell does"),
        (b'name,grade\n"s001"x,7\n', "line 2: a quote does not end where its cell does"),
    ],
)
def test_what_is_no_sheet_is_refused(tmp_path: Path, data: bytes, named: str) -> None:
    """The message says where, and the fix is to take the download as it is."""
    with pytest.raises(UsageError, match=named) as caught:
        sheet_of(tmp_path, data)
    assert "download the sheet anew" in caught.value.fix


def test_a_missing_sheet_is_wrong_use(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(UsageError, match="does not exist"):
        read_sheet(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read_sheet(tmp_path)


def test_a_long_unclosed_quote_takes_no_time(tmp_path: Path) -> None:
    """A megabyte of quotes is refused at once."""
    with pytest.raises(UsageError, match="a quote does not end"):
        sheet_of(tmp_path, 'a,b\n"' + '""' * 500_000)
