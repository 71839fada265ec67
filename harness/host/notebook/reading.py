"""The way from a notebook's bytes to the files of a submission; nothing of the notebook is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import tomli_w

from harness.host.errors import InvalidSubmissionError
from harness.host.notebook import magics
from harness.host.notebook.cells import LESS_CODE, read_cells, refuse
from harness.host.notebook.harmless import Names
from harness.host.notebook.notes import notes_of
from harness.host.notebook.selection import MODEL_CLASS, select
from harness.host.notebook.settings import read_settings
from harness.host.notebook.statements import statements_of
from harness.host.records import Place
from harness.host.schema_errors import nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.host.notebook.cells import Cell, Contents
    from harness.host.notebook.magics import Code
    from harness.host.notebook.selection import Selection
    from harness.host.notebook.statements import Statement

MAX_STATEMENTS = 2_000  # at the top level of all cells
MAX_REASON = 200
FUTURE = "__future__"
# It keeps whatever a student writes away from the first two lines, where Python looks for an encoding.
HEADER = ("# What MyModel needs of a notebook, by the numbers of its cells.", "")
CORRECT_IT = "correct that line, or make the cell a text cell"
DEFINE_ABOVE = "define what it is made of in a cell above it, by code that only defines"
TAKE_IT_OUT = "take it out of that block, so that it begins at the left edge of its cell"
CALCULATE_IT = f"write its value as a number or text, or work it out inside {MODEL_CLASS}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of a notebook.

    Attributes:
        model: the content of ``model.py``.
        config: the content of ``config.toml``; None where the notebook's own was not asked for.
        lines: where in the notebook each line of `model` stands.
        notes: what was kept and left out, to be shown.
    """

    model: bytes
    config: bytes | None
    lines: Mapping[int, Place]
    notes: tuple[str, ...]


def read_notebook(content: bytes, name: str, *, with_config: bool) -> Taken:
    """Take from a notebook what defines a model, and its config.

    Args:
        content: of the file; it may be cut off one byte over the cap of `read_cells`.
        name: of the file.
        with_config: whether its dictionary ``config`` is to be read.

    Raises:
        InvalidSubmissionError: it cannot be taken; the message names the cell and the line.
    """
    contents = read_cells(content, name)
    try:
        return _taken(contents, with_config=with_config)
    except (RecursionError, MemoryError):
        raise InvalidSubmissionError(f"{contents.name} has code that is nested too deep", LESS_CODE) from None


def _taken(contents: Contents, *, with_config: bool) -> Taken:
    codes = [(cell, _code(contents.name, cell)) for cell in contents.cells]
    future = sorted({name for _, code in codes for name in _future_names(code.tree)})
    statements = _statements(contents.name, codes, annotations_later="annotations" in future)
    selection = select(statements)
    _check(contents.name, selection, statements)
    settings = None
    if with_config:
        settings = read_settings(
            statements, [(cell.number, code.tree) for cell, code in codes], contents.name
        )
    model, lines = _composed(contents.name, selection.kept, future)
    taken_out = [(cell.number, magic) for cell, code in codes for magic in code.magics]
    return Taken(
        model=model,
        config=tomli_w.dumps(settings.table).encode() if settings else None,
        lines=lines,
        notes=notes_of(contents, statements, taken_out, selection, settings),
    )


def _code(name: str, cell: Cell) -> Code:
    try:
        return magics.parse(cell.source)
    except SyntaxError as error:
        refuse(name, cell.number, error.lineno or 1, _reason(error), CORRECT_IT)
    except ValueError:
        refuse(
            name,
            cell.number,
            cell.source.count("\n", 0, cell.source.find("\0")) + 1,
            "a zero byte",
            CORRECT_IT,
        )
    except (RecursionError, MemoryError):
        refuse(name, cell.number, None, "its code is nested too deep", "use fewer brackets inside each other")


def _reason(error: SyntaxError) -> str:
    message = str(error.msg)[:MAX_REASON]
    return message if message.isprintable() else quoted(message, MAX_REASON)


def _future_names(tree: ast.Module) -> list[str]:
    return [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == FUTURE
        for alias in node.names
    ]


def _statements(name: str, codes: Sequence[tuple[Cell, Code]], *, annotations_later: bool) -> list[Statement]:
    names = Names()
    found: list[Statement] = []
    for cell, code in codes:
        if len(found) + len(code.tree.body) > MAX_STATEMENTS:
            refuse(name, cell.number, None, f"there are more than {MAX_STATEMENTS} statements", LESS_CODE)
        try:
            found += statements_of(cell.number, code, names, annotations_later=annotations_later)
        except SyntaxError as error:
            refuse(name, cell.number, error.lineno or 1, _reason(error), CORRECT_IT)
    return [
        each for each in found if not (isinstance(each.node, ast.ImportFrom) and each.node.module == FUTURE)
    ]


def _check(name: str, selection: Selection, statements: Sequence[Statement]) -> None:
    """Refuse what could not even be imported.

    Raises:
        InvalidSubmissionError: there is no `MODEL_CLASS`, or what is kept needs what is not.
    """
    for lost in selection.lost:
        if lost.left_out is not None:
            left_out = lost.left_out
            refuse(name, left_out.cell, left_out.line, f"{lost.name} is made {lost.how}", _way_out(left_out))
    if MODEL_CLASS not in selection.found:
        _refuse_without_model(name, statements)
    for statement in selection.kept:
        if statement.magic is not None:
            text = quoted(statement.magic.text)
            reason = f"{text} stands inside a definition, where no magic and no command can run"
            refuse(name, statement.cell, statement.magic.line, reason, "take it out of there")


def _way_out(lost: Statement) -> str:
    if lost.is_definition:
        return DEFINE_ABOVE
    return CALCULATE_IT if isinstance(lost.node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) else TAKE_IT_OUT


def _refuse_without_model(name: str, statements: Sequence[Statement]) -> NoReturn:
    classes = [each.node.name for each in statements if isinstance(each.node, ast.ClassDef)]
    found = f"; it has {', '.join(classes[:5])}" if classes else ""
    hint = f"define `class {MODEL_CLASS}(nn.Module):` in a cell of its own"
    if near := nearest(MODEL_CLASS, classes) or next(reversed(classes), None):
        hint = f"rename {near} to {MODEL_CLASS}, or add `{MODEL_CLASS} = {near}` to its cell"
    raise InvalidSubmissionError(f"{name} defines no {MODEL_CLASS}{found}", hint)


def _composed(name: str, kept: Sequence[Statement], future: Sequence[str]) -> tuple[bytes, dict[int, Place]]:
    """``model.py``, and where each of its lines stands in the notebook."""
    text = list(HEADER)
    if future:
        text += [f"from {FUTURE} import {', '.join(future)}", ""]
    places: dict[int, Place] = {}
    cell = last_line = 0
    for statement in kept:
        if statement.cell != cell:
            cell = statement.cell
            text += ["", f"# cell {cell}"]
        elif statement.line > last_line + 1:
            text.append("")
        last_line = statement.last_line
        for number, line in enumerate(statement.text.split("\n")):
            text.append(line)
            places[len(text)] = Place(f"{name}:cell {cell}", statement.line + number)
    return ("\n".join(text) + "\n").encode(), places
