"""Finds columns and sequences of numbers in text: CSV and its like, JSON, lists, lines that are alike."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.release.spelling import LONGEST_NUMBER, numbers_in, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

FEWEST = 8  # rows or numbers: fewer are prose
FEW_ROWS = 64  # a table of fewer may have its columns written as rows
DELIMITERS = ("\t", ";", "|", ",", " ")
MOST_WORDS = 40  # different ones in a list of words that may name groups
DEALT = (1, 2, 3)  # how many values of each row follow upon each other in a list
_SAMPLE = 20
_DIGITS = re.compile(r"(?<![\dA-Za-z])\d{64,}(?![\dA-Za-z])")
_QUOTED = re.compile(r"(?:([\"'])[^\"'\n]{1,40}\1[\s,;]+){7,}([\"'])[^\"'\n]{1,40}\2")
_IN_QUOTES = re.compile(r"[\"']([^\"'\n]{1,40})[\"']")
_RUN = re.compile(r"(?:[-+.\deE]{1,40}[\s,;\[\](){}]+){7,}[-+.\deE]{1,40}")


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Column:
    """A column of a table.

    Attributes:
        name: as the file calls it, or its number.
        values: (N,) float64; numbers of groups where it has text.
        texts: (N,) where it has text that is no number; None otherwise.
    """

    name: str
    values: NDArray[np.float64]
    texts: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Table:
    """Columns of the same length."""

    columns: tuple[Column, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.columns[0].values)


def tables_in(text: str) -> Iterator[Table]:
    """Every table of at least `FEWEST` rows that a text is or has in it; what is in none, comes as a list.

    A list is a table of one column: an array of JSON or Python, a row of numbers, or one number a line. It
    comes as a table of two and of three columns as well, since rows may have been written one behind another.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if (parsed := _parsed(text, lines)) is not None:
        yield from tables_of(parsed)
    elif len(lines) >= FEWEST and (whole := _delimited(lines)) is not None:
        yield whole
        if whole.rows <= FEW_ROWS:
            yield from _lists(text)
    else:
        yield from _alike(lines)
        yield from _lists(text)
        yield from _dealt("numbers", values_of(numbers_in(text)))
        yield from _words([line.strip() for line in lines])


def _delimited(lines: Sequence[str]) -> Table | None:
    """A CSV or its like, with or without a header."""
    sample = lines[:_SAMPLE]
    for delimiter in DELIMITERS:
        counts = {line.count(delimiter) for line in sample}
        if len(counts) == 1 and counts != {0}:
            with_points = lines if delimiter == "," else [line.replace(",", ".") for line in lines]
            return _numeric(with_points, delimiter) or _mixed(lines, delimiter)
    return None


def _numeric(lines: Sequence[str], delimiter: str) -> Table | None:
    """A table of numbers alone, which NumPy reads many times as fast."""
    header = [cell.strip().strip('"') for cell in lines[0].split(delimiter)]
    has_header = any(not _is_number(cell) for cell in header)
    try:
        values = np.loadtxt(lines[has_header:], np.float64, comments=None, delimiter=delimiter, ndmin=2)
    except ValueError:
        return None
    names = header if has_header else [str(number) for number in range(1, values.shape[1] + 1)]
    if values.shape[0] < FEWEST or len(names) != values.shape[1]:
        return None
    return Table(tuple(Column(name, values[:, place]) for place, name in enumerate(names)))


def _mixed(lines: Sequence[str], delimiter: str) -> Table | None:
    """A table with text in it, as far as its rows have the header's number of cells."""
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error:
        return None
    width = len(rows[0])
    whole = [row for row in rows if len(row) == width]
    if width == 1 or len(whole) < max(FEWEST, len(rows) // 2):
        return None
    first = [cell.strip() for cell in whole[0]]
    names = first if len(set(first)) == width and "" not in first[1:] else [str(n + 1) for n in range(width)]
    return _table(names, zip(*whole[1:], strict=True))


def _table(names: Iterable[str], columns: Iterable[Sequence[Any]]) -> Table | None:
    made = tuple(_column(name, cells) for name, cells in zip(names, columns, strict=True))
    return Table(made) if made and len(made[0].values) >= FEWEST else None


def _column(name: str, cells: Sequence[Any]) -> Column:
    texts = tuple(str(cell).strip() for cell in cells)
    if all(_is_number(text) for text in texts):
        return Column(name, np.array(texts, dtype=np.float64))
    return Column(name, np.unique(texts, return_inverse=True)[1].astype(np.float64), texts)


def _is_number(text: str) -> bool:
    try:
        return len(text) <= LONGEST_NUMBER and "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def _parsed(text: str, lines: Sequence[str]) -> Any:  # noqa: ANN401  what JSON has; None: it is none
    if not text.lstrip().startswith(("{", "[")):
        return None
    for attempt in (lambda: json.loads(text), lambda: [json.loads(line) for line in lines]):
        try:
            return attempt()
        except (ValueError, RecursionError):
            continue
    return None


def tables_of(value: Any) -> Iterator[Table]:  # noqa: ANN401  what JSON has
    """The tables and lists in a value of JSON, to any depth."""
    if isinstance(value, dict):
        scalars = {key: each for key, each in value.items() if _is_scalar(each)}
        if len(scalars) >= FEWEST:
            yield from _made(["key", "value"], [list(scalars), list(scalars.values())])
        yield from _of_records([value])
        for each in value.values():
            yield from tables_of(each)
    elif isinstance(value, list) and len(value) >= FEWEST:
        if all(_is_scalar(each) for each in value):
            yield from _made(["list"], [value])
        elif all(isinstance(each, dict) and each.keys() == value[0].keys() for each in value):
            names = [name for name in value[0] if all(_is_scalar(each[name]) for each in value)]
            yield from _made(names, [[each[name] for each in value] for name in names])
        elif all(isinstance(each, list) and len(each) == len(value[0]) for each in value):
            places = range(len(value[0]))
            yield from _made(
                [str(place + 1) for place in places], [[each[place] for each in value] for place in places]
            )
    if isinstance(value, list):
        for each in value:
            yield from tables_of(each)


def _of_records(values: list[dict[str, Any]]) -> Iterator[Table]:
    """Lists of one length under one key each, as data frames are written."""
    for value in values:
        lists = [
            (len(each), key, each)
            for key, each in value.items()
            if isinstance(each, list) and all(map(_is_scalar, each))
        ]
        by_length = sorted(lists, key=lambda entry: entry[0])
        for _, group in itertools.groupby(by_length, key=lambda entry: entry[0]):
            same = list(group)
            yield from _made([key for _, key, _ in same], [each for _, _, each in same])


def _made(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> Iterator[Table]:
    table = _table(names, columns) if names else None
    if table is not None:
        yield table


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float) or value is None


def _alike(lines: Sequence[str]) -> Iterator[Table]:
    """Neighbouring lines with as many numbers each, as logs and printed tables have."""
    numbers = [numbers_in(line) for line in lines]
    for count, group in itertools.groupby(numbers, key=len):
        rows = list(group)
        if count and len(rows) >= FEWEST:
            yield table_of(values_of([cell for row in rows for cell in row]).reshape(len(rows), count))


def table_of(values: NDArray[Any]) -> Table:
    """An array (N, K) as a table of numbered columns."""
    return Table(tuple(Column(str(place + 1), values[:, place]) for place in range(values.shape[1])))


def _lists(text: str) -> Iterator[Table]:
    """Numbers with commas, brackets and blanks between them alone, digits with nothing, words in quotes."""
    for match in _RUN.finditer(text):
        yield from _dealt("list", values_of(numbers_in(match[0])))
    for match in _DIGITS.finditer(text):
        yield Table((Column("digits", np.array(list(match[0]), dtype=np.float64)),))
    for match in _QUOTED.finditer(text):
        yield from _words(_IN_QUOTES.findall(match[0]))


def _dealt(name: str, values: NDArray[np.float64]) -> Iterator[Table]:
    """A list (N,), and what is in it if its values were dealt out to columns in turn."""
    for columns in DEALT:
        rows = len(values) // columns
        if columns == 1 and rows >= FEWEST:
            yield Table((Column(name, values),))
        elif rows >= FEWEST:
            yield table_of(values[: rows * columns].reshape(rows, columns))


def _words(words: Sequence[str]) -> Iterator[Table]:
    """A list of words that name groups."""
    if len(words) >= FEWEST and 1 < len(set(words)) <= min(MOST_WORDS, len(words) // 2):
        yield Table((_column("words", words),))
