"""From a notebook's bytes to its code cells, under caps; outputs, texts and attachments are not looked at.

The format is nbformat's (https://nbformat.readthedocs.io): version 4 has a list of cells, version 3 has it in
worksheets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from harness.host.errors import InvalidSubmissionError
from harness.host.intake import MAX_NOTEBOOK_BYTES
from harness.host.schema_errors import QUOTE_LENGTH, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PARTS = 500_000  # objects, arrays and keys: each costs a hundred bytes of memory or more
MAX_CELLS = 2_000
MAX_CODE_BYTES = 256 << 10  # of all code cells together: parsed Python takes hundreds of times its size
OLDEST, NEWEST = 3, 4
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SAVE_ANEW = "open it in Jupyter or Colab, and save it again"
CLEAR = "clear all outputs in the editor's menu, and save it"
LESS_CODE = "hand in a notebook with your model and its config alone"


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell.

    Attributes:
        number: its place among all cells of the notebook, texts too, from 1.
        source: with line feeds as the only line ends.
    """

    number: int
    source: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What is read of a notebook.

    Attributes:
        name: of its file, in a form that can be shown.
        cells: those with code.
        others: how many have none.
    """

    name: str
    cells: tuple[Cell, ...]
    others: int


class _Doubled(dict[str, Any]):
    """An object that has a key twice: which of the values counts depends on who reads it."""

    key = ""


def shown(name: str) -> str:
    """A file's name as it is, if it can be shown on a line, else quoted."""
    return name if name.isprintable() and len(name) <= QUOTE_LENGTH else quoted(name)


def refuse(name: str, cell: int, line: int | None, reason: str, hint: str) -> NoReturn:
    """Refuse a notebook for what stands in one of its cells.

    Args:
        name: of the notebook, as it is shown.
        cell: number of the cell.
        line: in the cell, from 1; None: the whole cell.
        reason: why.
        hint: what the student can do.

    Raises:
        InvalidSubmissionError: always.
    """
    where = f"cell {cell}" if line is None else f"cell {cell}, line {line}"
    raise InvalidSubmissionError(f"{name}, {where}: {reason}", hint)


def read_cells(content: bytes, name: str) -> Contents:
    """Read a notebook's code cells.

    Args:
        content: of the file; it may be cut off one byte over `MAX_NOTEBOOK_BYTES`.
        name: of the file.

    Raises:
        InvalidSubmissionError: it is no notebook, not in Python, or over a cap.
    """
    name = shown(name)
    notebook = _parse(content, name)
    _check_language(notebook, name)
    cells: list[Cell] = []
    others = size = 0
    for number, cell in enumerate(_cells(notebook, name), start=1):
        if number > MAX_CELLS:
            raise InvalidSubmissionError(f"{name} has more than {MAX_CELLS} cells", LESS_CODE)
        source = _source(cell, number, name)
        if source is None:
            others += 1
            continue
        size += len(source.encode())
        if size > MAX_CODE_BYTES:
            raise InvalidSubmissionError(
                f"{name} has more than the {MAX_CODE_BYTES} bytes of code allowed", LESS_CODE
            )
        cells.append(Cell(number, source))
    return Contents(name, tuple(cells), others)


def _parse(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > MAX_NOTEBOOK_BYTES:
        raise InvalidSubmissionError(
            f"{name} has more than the {MAX_NOTEBOOK_BYTES} bytes that a notebook may have", CLEAR
        )
    if content.startswith(UTF16_MARKS):
        raise InvalidSubmissionError(f"{name} is saved as UTF-16", "save it as UTF-8")
    if sum(content.count(sign) for sign in (b"{", b"[", b'":')) > MAX_PARTS:
        raise InvalidSubmissionError(f"{name} is made of more than {MAX_PARTS} parts", CLEAR)
    try:
        text = content.decode("utf-8-sig")
        notebook = json.loads(text, object_pairs_hook=_object, parse_constant=_none)
    except UnicodeDecodeError as error:
        raise InvalidSubmissionError(
            f"{name} is not valid UTF-8 at byte {error.start}", "save it as UTF-8"
        ) from None
    except json.JSONDecodeError as error:
        raise InvalidSubmissionError(
            f"{name} is no notebook: it is no JSON at line {error.lineno}", SAVE_ANEW
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise InvalidSubmissionError(
            f"{name} has a number that is too long, or parts nested too deep", SAVE_ANEW
        ) from None
    return _plain(notebook, f"{name} is no notebook: it", name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    doubled, seen = _Doubled(found), set[str]()
    for key, _ in pairs:
        if key in seen:
            doubled.key = key
        seen.add(key)
    return doubled


def _none(_: str) -> None:
    """NaN and infinities, which JSON does not have, occur in outputs and mean nothing here."""


def _plain(value: object, what: str, name: str) -> dict[str, Any]:
    """`value`, if it is an object that all readers read the same."""
    if isinstance(value, _Doubled):
        raise InvalidSubmissionError(f"{name} has the key {quoted(value.key)} twice in one place", SAVE_ANEW)
    if not isinstance(value, dict):
        raise InvalidSubmissionError(f"{what} is not a JSON object", SAVE_ANEW)
    return value


def _check_language(notebook: dict[str, Any], name: str) -> None:
    metadata = notebook.get("metadata")
    if metadata is None:
        return
    metadata = _plain(metadata, f"the metadata of {name}", name)
    for table, key in (("language_info", "name"), ("kernelspec", "language")):
        if (found := metadata.get(table)) is None:
            continue
        language = _plain(found, f"{table} of {name}", name).get(key)
        if isinstance(language, str) and not language.lower().startswith(("python", "ipython")):
            raise InvalidSubmissionError(
                f"{name} is written in {quoted(language)}", "hand in a notebook in Python, with PyTorch"
            )


def _cells(notebook: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    version = notebook.get("nbformat")
    if type(version) is not int or not OLDEST <= version <= NEWEST:
        found = "nothing" if version is None else quoted(version)
        raise InvalidSubmissionError(
            f"{name} is no notebook of version {OLDEST} or {NEWEST}: its nbformat is {found}", SAVE_ANEW
        )
    holders = [notebook]
    if version == OLDEST:
        sheets = _list(notebook.get("worksheets"), f"worksheets of {name}")
        holders = [_plain(sheet, f"a worksheet of {name}", name) for sheet in sheets]
    for holder in holders:
        for cell in _list(holder.get("cells"), f"cells of {name}"):
            yield _plain(cell, f"a cell of {name}", name)


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidSubmissionError(f"the {what} are not a JSON array", SAVE_ANEW)
    return value


def _source(cell: dict[str, Any], number: int, name: str) -> str | None:
    """The code of a cell; None where it has none."""
    if cell.get("cell_type") != "code":
        return None
    source = cell.get("source", cell.get("input"))  # version 3 calls it input
    lines = source if isinstance(source, list) else [source]
    found = [line for line in lines if isinstance(line, str)]
    if len(found) < len(lines):
        refuse(name, number, None, "its source is not text", SAVE_ANEW)
    text = "".join(found).replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError:
        refuse(name, number, None, "its source is not valid Unicode", "write that line again")
    return text if text.strip() else None
