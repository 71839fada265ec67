r"""Makes text that a student controls safe to show: one place that says which characters are inert.

What is escaped becomes visible (an escape character is shown as ``\x1b``), so nothing is lost and nothing
acts. The result is also free of every character that XML 1.0 forbids.
"""

from __future__ import annotations

import re
import unicodedata

# Controls, formatting (all bidirectional controls, zero-width characters, tags), lone surrogates, private
# and unassigned code points, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMBINING = frozenset({"Mn", "Me"})
# More marks than any script needs on one letter paint over the lines above and below.
_MOST_MARKS = 4
_TAB = "    "
# GitHub reads `::command::` at a line's start, leading blanks or not, and `##[command]` anywhere in a line;
# Azure Pipelines reads `##vso[`.
_COMMAND_AT_START = re.compile(r"^(\s*):(?=:)")
_COMMAND_ANYWHERE = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)


def is_hidden(character: str) -> bool:
    """Whether a character acts or cannot be seen, instead of being shown."""
    return unicodedata.category(character) in _HIDDEN


def escape(character: str) -> str:
    r"""The visible form of one character, as Python writes it in a string: ``\x1b``, ``\u202e``."""
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004  # the range of two hexadecimal digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  # likewise, four


def printable(text: str) -> str:
    r"""`text` on one line, with nothing in it that a terminal, a CI log or an XML parser would act on.

    Control characters (line breaks and ANSI escapes too), C1 controls, bidirectional and zero-width
    controls, line separators, lone surrogates and undefined characters are made visible, e.g. ``\x1b``;
    a tab becomes four blanks; what a CI system would take for a command is broken up. Rich's markup is
    left as it is: show the result through `rich.text.Text`, never as a markup string.
    """
    if not (text.isascii() and text.isprintable()):
        text = _escape_hidden(text.replace("\t", _TAB))
    text = _COMMAND_AT_START.sub(r"\1\\x3a", text)
    return _COMMAND_ANYWHERE.sub(r"#\\x23", text)


def printable_lines(text: str) -> list[str]:
    """`text` line by line, each `printable`; blank lines at both ends are left out.

    A line that was rewritten after a carriage return, as progress bars do, is shown as it last stood.
    """
    lines = [printable(line.rstrip("\r").rsplit("\r", 1)[-1]).rstrip() for line in text.split("\n")]
    shown = [number for number, line in enumerate(lines) if line]
    return lines[shown[0] : shown[-1] + 1] if shown else []


def printable_block(text: str) -> str:
    """The lines of `printable_lines`, joined by line feeds."""
    return "\n".join(printable_lines(text))


def printable_text(text: str) -> str:
    """`text` with each of its lines `printable`; no line is left out or shortened."""
    return "\n".join(printable(line) for line in text.split("\n"))


def inert_json(text: str) -> str:
    r"""JSON in which no CI system finds a command: its second number sign is written as ``\u0023``."""
    return _COMMAND_ANYWHERE.sub(r"#\\u0023", text)


def encodable(text: str, encoding: str) -> str:
    """`text` with visible escapes for whatever `encoding` cannot carry."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _escape_hidden(text: str) -> str:
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _COMBINING else 0
        hidden = category in _HIDDEN or marks > _MOST_MARKS
        shown.append(escape(character) if hidden else character)
    return "".join(shown)
