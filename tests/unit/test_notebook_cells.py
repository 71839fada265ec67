"""Notebooks as files: what is read of them, what is refused, and what hostile ones cost."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from harness.host.errors import InvalidSubmissionError
from harness.host.intake import MAX_NOTEBOOK_BYTES
from harness.host.notebook.cells import MAX_CELLS, MAX_CODE_BYTES, MAX_PARTS, read_cells
from tests.notebooks import code_cell, notebook

NAME = "hw1.ipynb"


def sources(content: bytes) -> dict[int, str]:
    """Number and source of each code cell."""
    return {cell.number: cell.source for cell in read_cells(content, NAME).cells}


def refusal(content: bytes, name: str = NAME) -> InvalidSubmissionError:
    """The error that a notebook is refused with."""
    with pytest.raises(InvalidSubmissionError) as caught:
        read_cells(content, name)
    assert (caught.value.message + caught.value.hint).isprintable()
    assert caught.value.hint
    return caught.value


def test_code_cells_are_read_by_their_place_among_all_cells() -> None:
    """Texts count too, as whoever counts on the screen does; empty cells have nothing to read."""
    text = {"cell_type": "markdown", "metadata": {}, "source": "class MyModel: pass"}
    raw = {"cell_type": "raw", "metadata": {}, "source": "class MyModel: pass"}
    contents = read_cells(notebook(text, "x = 1", raw, " \n", "y = 2"), NAME)
    assert [(cell.number, cell.source) for cell in contents.cells] == [(2, "x = 1"), (5, "y = 2")]
    assert contents.others == 3


def test_a_source_is_a_text_or_a_list_of_lines() -> None:
    """Both forms are in the format, and all kinds of line ends in files from other systems."""
    cells = (code_cell("a\r\nb\rc"), code_cell("") | {"source": ["a\n", "b\n", "c"]})
    assert sources(notebook(*cells)) == {1: "a\nb\nc", 2: "a\nb\nc"}


def test_version_3_has_its_cells_in_worksheets() -> None:
    """What IPython wrote before 2015 is read too: its code cells have an input."""
    sheets = [{"cells": [{"cell_type": "code", "input": ["x = 1"], "language": "python"}]}]
    content = json.dumps({"nbformat": 3, "metadata": {}, "worksheets": sheets * 2}).encode()
    assert sources(content) == {1: "x = 1", 2: "x = 1"}


def test_outputs_attachments_and_metadata_are_not_looked_at() -> None:
    """Whatever a tool leaves there, NaN and keys that are there twice too, says nothing about the code."""
    junk: dict[str, Any] = {"outputs": [{"data": 1}], "attachments": 7, "metadata": {"path": "../../etc"}}
    content = notebook(code_cell("x = 1", **junk))
    content = content.replace(b'{"data": 1}', b'{"data": NaN, "a": 1, "a": -Infinity, "b": [1e999]}')
    assert sources(content) == {1: "x = 1"}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "python3"}},
        {"kernelspec": {"language": "python"}, "language_info": {"name": "python", "version": "3.11"}},
        {"language_info": {"name": "ipython"}},
    ],
)
def test_python_is_taken_whatever_says_so(metadata: dict[str, Any]) -> None:
    """Colab, Jupyter and editors say it in different places, or not at all."""
    assert sources(notebook("x = 1", metadata=metadata)) == {1: "x = 1"}


@pytest.mark.parametrize(
    "metadata", [{"kernelspec": {"language": "R"}}, {"language_info": {"name": "julia\n\x1b[31m"}}]
)
def test_other_languages_are_refused(metadata: dict[str, Any]) -> None:
    """The error names the language."""
    error = refusal(notebook("x <- 1", metadata=metadata))
    assert "is written in" in error.message
    assert "in Python" in error.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no notebook: it is no JSON at line 1"),
        (b"{\n'cells': []}", "it is no JSON at line 2"),
        (b"[]", "it is not a JSON object"),
        (b"12", "it is not a JSON object"),
        (b"\xff\xfe{\x00", "saved as UTF-16"),
        (b'{"cells": "\xff"}', "not valid UTF-8 at byte 11"),
        (b"{}", "its nbformat is nothing"),
        (b'{"nbformat": true}', "its nbformat is true"),
        (b'{"nbformat": 2}', "its nbformat is 2"),
        (b'{"nbformat": 99}', "its nbformat is 99"),
        (b'{"nbformat": "4"}', "its nbformat is '4'"),
        (b'{"nbformat": 4}', "the cells of hw1.ipynb are not a JSON array"),
        (b'{"nbformat": 3}', "the worksheets of hw1.ipynb are not"),
        (b'{"nbformat": 3, "worksheets": [1]}', "a worksheet of hw1.ipynb is not"),
        (b'{"nbformat": 4, "cells": [[]]}', "a cell of hw1.ipynb is not a JSON object"),
        (b'{"nbformat": 4, "cells": [], "metadata": 3}', "the metadata of hw1.ipynb is not"),
        (b'{"nbformat": 4, "cells": [], "metadata": {"kernelspec": 3}}', "kernelspec of hw1.ipynb is not"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]}', "cell 1: its source is not text"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a", {}]}]}', "cell 1: its source is"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "\\ud800"}]}', "is not valid Unicode"),
        (b'{"nbformat": ' + b"9" * 5000 + b"}", "a number that is too long"),
        (b"[" * 100_000, "parts nested too deep"),
        (b'{"a":' * 100_000, "parts nested too deep"),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else "",
)
def test_what_is_no_notebook_is_refused_with_what_is_wrong(content: bytes, said: str) -> None:
    """Each error says what was found, and that the notebook can be saved anew."""
    assert said in refusal(content).message


@pytest.mark.parametrize(
    "content",
    [
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "source": "y"}]}',
        b'{"nbformat": 4, "nbformat": 3, "cells": []}',
        b'{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"language": "R", "language": "python"}}}',
        b'{"nbformat": 4, "cells": [{"cell_type": "markdown", "cell_type": "code", "source": "x"}]}',
    ],
)
def test_keys_that_are_there_twice_are_refused(content: bytes) -> None:
    """One editor would show the first value and another the second."""
    assert "twice in one place" in refusal(content).message


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: notebook(*["x = 1"] * (MAX_CELLS + 1)), f"more than {MAX_CELLS} cells"),
        (lambda: notebook(*["x = 1"] * 100_000), "more than"),
        (lambda: notebook("(" * 1_000_000), f"more than the {MAX_CODE_BYTES} bytes of code"),
        (lambda: notebook(*["#" * 1000] * (MAX_CODE_BYTES // 1000 + 1)), "bytes of code"),
        (
            lambda: notebook(code_cell("x = 1", outputs=[{"text": "A" * MAX_NOTEBOOK_BYTES}])),
            f"more than the {MAX_NOTEBOOK_BYTES} bytes",
        ),
        (lambda: notebook("x", metadata={"a": [[]] * (MAX_PARTS + 1)}), f"more than {MAX_PARTS} parts"),
        (lambda: notebook("x", metadata=dict.fromkeys(map(str, range(MAX_PARTS)))), "parts"),
    ],
    ids=["cells", "100,000 cells", "parentheses", "code", "output", "arrays", "keys"],
)
def test_each_cap_is_named_and_costs_little(make: Any, said: str) -> None:
    """Hostile sizes are refused before most of the work is done."""
    content = make()
    started = time.process_time()
    assert said in refusal(content).message
    assert time.process_time() - started < 2


@pytest.mark.timeout(60)
def test_large_outputs_are_no_fault() -> None:
    """Pictures of some megabytes are what notebooks are full of."""
    picture = {"data": {"image/png": "A" * (8 << 20)}}
    started = time.process_time()
    assert sources(notebook(code_cell("x = 1", outputs=[picture]))) == {1: "x = 1"}
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "name", ["a\x1b[31mb.ipynb", "new\nline.ipynb", "x" * 300 + ".ipynb", "turn\u202e.ipynb"]
)
def test_a_hostile_name_is_shown_escaped(name: str) -> None:
    """The notebook's name is a student's too."""
    assert len(refusal(b"{}", name).message) < 200
