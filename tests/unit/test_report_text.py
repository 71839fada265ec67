"""Text that a student controls is inert and still tells what it was."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.report.text import encodable, printable, printable_block, printable_lines

ANYTHING = st.text(st.characters(codec=None, categories=None))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\rc\x00", r"a\x0ab\x0dc\x00"),
        ("invoice\u202egpj.py", r"invoice\u202egpj.py"),
        ("\u2066x\u2069\u200b\ufeff", r"\u2066x\u2069\u200b\ufeff"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\udce9t\udce9", r"\udce9t\udce9"),
        ("\U000e0041", r"\U000e0041"),
        ("\ufffe\uffff", r"\ufffe\uffff"),
        ("a\tb", "a    b"),
    ],
)
def test_what_acts_is_made_visible(text: str, shown: str) -> None:
    """Controls, bidirectional controls, separators and surrogates are shown as escapes."""
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "plain", "[red]markup[/red]", "Ünïcode 學生 Прокат", "a \\ b", "x::y"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Names in any script, markup and backslashes are shown as they are."""
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::you passed", r"\x3a:error::you passed"),
        ("  ::add-mask::x", r"  \x3a:add-mask::x"),
        ("a ##[error]b", r"a #\x23[error]b"),
        ("a ##VSO[task.complete]b", r"a #\x23VSO[task.complete]b"),
    ],
)
def test_no_ci_system_takes_a_line_for_a_command(text: str, shown: str) -> None:
    """What GitHub's and Azure's runners would obey is broken up."""
    assert printable(text) == shown


def test_piled_up_accents_are_cut_short() -> None:
    """A letter keeps the accents that a language needs, and not the hundred that paint over other lines."""
    shown = printable("e" + "\u0301" * 100)
    assert shown.startswith("e" + "\u0301" * 4 + "\\u0301")
    assert sum(unicodedata.combining(character) > 0 for character in shown) == 4


@given(ANYTHING)
def test_any_text_becomes_one_harmless_line(text: str) -> None:
    """The result is one printable line that UTF-8 and XML can carry, and a second pass keeps it."""
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert all(character.isprintable() or character.isspace() for character in shown)
    element = ET.Element("x", text=shown)
    read_back = ET.fromstring(ET.tostring(element, encoding="utf-8"))  # noqa: S314  # just written here
    assert read_back.get("text") == shown
    assert printable(shown) == shown


def test_lines_are_those_of_the_log() -> None:
    """A log keeps its lines; blank ones at both ends go, and a progress bar is shown as it last stood."""
    log = "\n\n  first\r\n\n10 %\r20 %\r100 %\r\nlast \x1b[K\n\n"
    assert printable_lines(log) == ["  first", "", "100 %", r"last \x1b[K"]
    assert printable_block("a\nb\n") == "a\nb"
    assert printable_lines(" \n\n") == []


def test_what_an_encoding_cannot_carry_is_escaped() -> None:
    """Output that is not Unicode gets escapes instead of an error."""
    assert encodable("né 學", "ascii") == r"n\xe9 \u5b78"
    assert encodable("né 學", "utf-8") == "né 學"
