"""Reads a CSV so that it can be written back byte for byte, but for the cells that are filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DOWNLOAD_ANEW = "download the sheet anew, and hand it over as it is, not saved by a spreadsheet"
_MARK = "\ufeff"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t"
_LONGEST_HEAD = 100_000  # characters
_QUOTED = re.compile(r'"(?:[^"]|"")*+"')
_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a sheet: its cells as they are written, quotes and all, and what ends it.

    `line` is the number of its first line in the file, from 1.
    """

    line: int
    raw: tuple[str, ...]
    end: str

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in any cell."""
        return not any(map(str.strip, self.raw))

    def __getitem__(self, column: int) -> str:
        """What the cell means, its quotes and the blanks around it taken off."""
        raw = self.raw[column]
        return (raw[1:-1].replace('""', '"') if raw[:1] == '"' else raw).strip()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A CSV with a header; all rows that are not blank have as many cells as it.

    Attributes:
        path: the file, for messages.
        mark: the byte order mark, or nothing.
        delimiter: what separates cells.
        rows: all rows, the header first.
    """

    path: Path
    mark: str
    delimiter: str
    rows: tuple[Row, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.rows[0][column] for column in range(len(self.rows[0].raw)))

    def filled(self, column: int, texts: Mapping[int, str]) -> str:
        """The whole sheet with other text in some cells of one column.

        Args:
            column: the index of the column.
            texts: what to write, by the index of the row; a cell that was quoted stays so.
        """
        parts = [self.mark]
        for index, row in enumerate(self.rows):
            raw = list(row.raw)
            if index in texts:
                raw[column] = self._written(texts[index], raw[column])
            parts += (self.delimiter.join(raw), row.end)
        return "".join(parts)

    def _written(self, text: str, before: str) -> str:
        must = before[:1] == '"' or any(character in text for character in f'{self.delimiter}"\r\n')
        return '"' + text.replace('"', '""') + '"' if must else text


def read_sheet(path: Path) -> Sheet:
    """Read a sheet in UTF-8, separated by commas, semicolons or tabs.

    Raises:
        UsageError: the file is missing, is no CSV in UTF-8, or is ragged.
    """
    try:
        data = path.read_bytes()
        text = data.decode()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", "name the sheet that the LMS let you download") from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "name a file that you may read"
        ) from None
    except UnicodeDecodeError:
        form = "UTF-16" if data.startswith(_UTF_16) else "another form than UTF-8"
        raise UsageError(f"{path} is saved in {form}", DOWNLOAD_ANEW) from None
    mark = _MARK if text.startswith(_MARK) else ""
    text = text.removeprefix(_MARK)
    # A name with a comma in it is in quotes, so what separates cells is the one that is there most often.
    head = _BREAK.split(_QUOTED.sub("", text[:_LONGEST_HEAD]), maxsplit=1)[0]
    rows = _rows(path, text, max(_DELIMITERS, key=head.count))
    if not rows or len(rows[0].raw) == 1:
        raise UsageError(f"{path} has no first line with the names of columns", DOWNLOAD_ANEW)
    for row in rows:
        if len(row.raw) != len(rows[0].raw) and not row.is_blank:
            raise UsageError(
                f"{path}: line {row.line} has {len(row.raw)} cells, the header has {len(rows[0].raw)}",
                DOWNLOAD_ANEW,
            )
    return Sheet(path, mark, max(_DELIMITERS, key=head.count), tuple(rows))


def _rows(path: Path, text: str, delimiter: str) -> list[Row]:
    written = re.compile(
        rf'({_QUOTED.pattern}|[^"{delimiter}\r\n][^{delimiter}\r\n]*|)({delimiter}|\r\n|\n|\r|\Z)'
    )
    rows: list[Row] = []
    raw: list[str] = []
    line = first = 1
    position = 0
    while raw or position < len(text):
        found = written.match(text, position)
        if found is None:
            raise UsageError(f"{path}: line {line}: a quote does not end where its cell does", DOWNLOAD_ANEW)
        cell, end = found.groups()
        position = found.end()
        line += len(_BREAK.findall(cell))
        raw.append(cell)
        if end != delimiter:
            rows.append(Row(first, tuple(raw), end))
            raw = []
            line = first = line + 1
    return rows
