"""The target ``cells``: notebooks whose cells hold anything, up to the files that are made of them."""

from __future__ import annotations

import ast
import tomllib
import warnings
from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError
from harness.host.notebook.notes import MAX_NOTES
from harness.host.notebook.reading import HEADER, read_notebook
from tests.notebooks import notebook

if TYPE_CHECKING:
    from harness.host.notebook.reading import Taken

NAME = "a.ipynb"
BETWEEN_CELLS = "\f\n"


def check_cells(data: bytes) -> None:
    """Whatever cells hold, they are refused with a place, or become Python and TOML whose lines are known.

    `data` are the cells' sources, with a form feed and a line feed between them.
    """
    sources = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split(BETWEEN_CELLS)
    try:
        taken = read_notebook(notebook(*sources), NAME, with_config=len(data) % 4 > 0)
    except InvalidSubmissionError as error:
        _check_refusal(error)
        return
    _check_taken(taken, sources)


def _check_refusal(error: InvalidSubmissionError) -> None:
    assert error.message.startswith((f"{NAME} ", f"{NAME}, cell "))
    assert error.message.isprintable()
    assert error.hint


def _check_taken(taken: Taken, sources: list[str]) -> None:
    lines = taken.model.decode().split("\n")
    assert lines[: len(HEADER)] == list(HEADER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(taken.model)
    names = {name for node in tree.body for each in ast.walk(node) for name in _bound(each)}
    assert "MyModel" in names
    for number, place in taken.lines.items():
        file, _, cell = place.file.rpartition(":cell ")
        assert file == NAME
        source = sources[int(cell) - 1].split("\n")
        assert 1 <= place.line <= len(source)
        if not lines[number - 1].startswith(("import ", "from ")):  # of which each has a line of its own
            assert lines[number - 1].strip() in source[place.line - 1]
    assert len(taken.notes) <= MAX_NOTES
    assert all(len(note) < 2000 for note in taken.notes)
    if taken.config is not None:
        tomllib.loads(taken.config.decode())


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).partition(".")[0]]
    return [node.id] if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) else []
