"""Takes IPython's own lines out of a cell: magics, shell commands and questions, which are no Python.

What stays has the same number of lines. The rules are those of IPython's input transformers
(https://ipython.readthedocs.io/en/stable/config/inputtransforms.html): such a line stands where a statement
could begin, not inside a string or brackets.
"""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass

RUN_THEIR_CELL = frozenset({"%%time", "%%capture", "%%prun"})  # here, so what it defines is the notebook's
LONGEST = 40
STAND_IN = "get_ipython()"  # what IPython itself puts in the place of a command whose result is kept

_COMMAND = re.compile(r"[^\S\n]*(?:[%!?]|[,;/](?=\w))")
_TIMED = re.compile(r"[^\S\n]*%time[^\S\n]+(?P<code>\S.*)")
_ASSIGNED = re.compile(r"([^\S\n]*[^\W\d][\w.\[\]*, ]*=)\s*(?=[%!])")
_PIECE = re.compile(
    r"(?P<comment>\#.*)"
    r"|(?P<fence>'''|\"\"\")"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<open>[(\[{])"
    r"|(?P<close>[)\]}])"
    r"|(?P<other>[^'\"#()\[\]{}\\]+|\\.|.)"
)
_TO_FENCE_END = {fence: re.compile(rf"(?:[^\\]|\\.)*?{fence}") for fence in ("'''", '"""')}


@dataclass(frozen=True, slots=True)
class Magic:
    """A line that was taken out.

    Attributes:
        line: in its cell, from 1.
        text: its beginning, to be shown.
    """

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A cell's Python.

    Attributes:
        text: as many lines as the cell has.
        magics: what was taken out; a magic that takes the whole cell is the only one.
    """

    text: str
    tree: ast.Module
    magics: tuple[Magic, ...] = ()


def parse(source: str) -> Code:
    """A cell's Python, without what only IPython knows.

    Raises:
        SyntaxError: what is left is no Python.
        ValueError: it has a zero byte in it.
        RecursionError: it is nested too deep.
        MemoryError: likewise.
    """
    if "\0" in source:  # which versions of Python tell in words of their own
        raise ValueError("a zero byte")
    try:
        return Code(source, _tree(source))
    except SyntaxError:
        lines = _unindented(source.split("\n"))
        magics: list[Magic] = []
        first = _skip_cell_magics(lines, magics)
        if first is not None:
            _take_out(lines, first, magics)
        text = "\n".join(lines)
        return Code(text, _tree(text), tuple(magics))


def _tree(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of an escape that Python does not know
        return ast.parse(source)


def _unindented(lines: list[str]) -> list[str]:
    """Without the blanks that the first line begins with, as IPython has it."""
    first = next((line for line in lines if line.strip()), "")
    blanks = first[: len(first) - len(first.lstrip(" \t"))]
    return [line.removeprefix(blanks) for line in lines]


def _skip_cell_magics(lines: list[str], magics: list[Magic]) -> int | None:
    """Take out the magics that a cell begins with; where its own code begins, or None where it has none."""
    for number, line in enumerate(lines):
        if not line.strip() or line.startswith("#"):  # such as Colab's #@title
            continue
        if not line.startswith("%%"):
            return number
        magics.append(_magic(number, line))
        lines[number] = ""
        if line.split()[0] not in RUN_THEIR_CELL:
            lines[:] = [""] * len(lines)
            return None
    return None


def _take_out(lines: list[str], start: int, magics: list[Magic]) -> None:
    """Put a statement that does nothing in the place of each command."""
    place = _Place()
    number = start
    while number < len(lines):
        line = lines[number]
        last = number
        if place.is_between_statements and (stand_in := _stand_in(line)) is not None:
            while lines[last].endswith("\\") and last + 1 < len(lines):
                last += 1
            magics.append(_magic(number, line))
            lines[number : last + 1] = [stand_in, *[""] * (last - number)]
        else:
            begins = place.is_between_statements
            code = place.after(line)
            if begins and place.is_between_statements and code.rstrip().endswith("?"):
                magics.append(_magic(number, line))
                lines[number] = _indentation(line) + "pass"
        number = last + 1


def _stand_in(line: str) -> str | None:
    if timed := _TIMED.match(line):
        with suppress(SyntaxError, RecursionError, MemoryError):
            _tree(timed["code"])
            return _indentation(line) + timed["code"]
    if _COMMAND.match(line):
        return _indentation(line) + "pass"
    if assigned := _ASSIGNED.match(line):
        return f"{assigned[1]} {STAND_IN}"
    return None


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _magic(number: int, line: str) -> Magic:
    text = line.strip()
    return Magic(number + 1, text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")


class _Place:
    """Where in Python's grammar a line begins: between statements, or inside a string or brackets."""

    def __init__(self) -> None:
        self._fence = ""
        self._depth = 0
        self._continued = False

    @property
    def is_between_statements(self) -> bool:
        return not (self._fence or self._depth or self._continued)

    def after(self, line: str) -> str:
        """Go over a line; returns it without its comment."""
        position = 0
        end = len(line)
        while position < end:
            if self._fence:
                position = self._to_fence_end(line, position)
                continue
            piece = _PIECE.match(line, position)
            if piece is None:  # a line end, which there is none of in a line
                break
            position = piece.end()
            match piece.lastgroup:
                case "comment":
                    end = piece.start()
                case "fence":
                    self._fence = piece[0]
                case "open":
                    self._depth += 1
                case "close":
                    self._depth = max(0, self._depth - 1)
                case _:
                    pass
        code = line[:end]
        self._continued = code.endswith("\\") and not self._fence and end == len(line)
        return code

    def _to_fence_end(self, line: str, position: int) -> int:
        found = _TO_FENCE_END[self._fence].match(line, position)
        if found is None:
            return len(line)
        self._fence = ""
        return found.end()
