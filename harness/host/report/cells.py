"""Makes text safe for a cell of a table that a spreadsheet will open."""

from __future__ import annotations

from harness.host.report.text import printable

# What a spreadsheet takes for a formula; the wide forms too, which some fold into the narrow ones.
_FORMULA_STARTS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_CELL_BREAKS = frozenset("\t\r\n")


def cell(text: str) -> str:
    """`text` on one line; behind an apostrophe where a spreadsheet would take it for a formula."""
    acts = text[:1] in _CELL_BREAKS or text.lstrip()[:1] in _FORMULA_STARTS
    return f"'{printable(text)}" if text and acts else printable(text)
