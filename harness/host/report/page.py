"""Lays out lines for one console: escaped, in columns, never wider than the console, ASCII where it must be.

Text that a student controls never starts a line, so that no CI system takes it for a command: it stands
behind a gutter or in a later column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from harness.host.report.text import encodable, printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

WIDEST = 100
NARROWEST = 40
LONGEST_QUOTE = 20
# What is beyond this is cut before the rest is looked at, so that a line of any length costs nothing.
_LONGEST_LINE = 4000


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs of a page."""

    passed: str
    failed: str
    absent: str
    error: str
    gutter: str
    rule: str
    dot: str
    dash: str
    ellipsis: str


UNICODE = Glyphs("✓", "✗", "–", "!", "│", "─", "·", "–", "…")  # noqa: RUF001  # dashes of typography
ASCII = Glyphs("ok", "NO", "--", "!!", "|", "-", "|", "-", "~")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line; it is escaped when it is written.

    Attributes:
        style: one of rich's styles.
        width: pads or cuts the text to so many columns; negative: aligned to the right; 0: as it is.
    """

    text: str
    style: str = ""
    width: int = 0


class Page:
    """Writes lines to a console.

    Attributes:
        width: the columns that may be used, 40 to 100.
        unicode: whether the output can carry more than ASCII.
        glyphs: the signs to use.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self.width = max(NARROWEST, min(console.width, WIDEST))
        self.unicode = is_unicode(console)
        self.glyphs = UNICODE if self.unicode else ASCII

    def line(self, *spans: Span | str) -> None:
        """Write one line of spans; what is beyond the width is cut."""
        whole = Text()
        for span in spans:
            piece = Span(span) if isinstance(span, str) else span
            whole.append(self._fit(piece), style=piece.style or None)
        whole.rstrip()
        if whole.cell_len > self.width:
            whole.truncate(self.width - 1)
            whole.append(self.glyphs.ellipsis)
        self._console.print(whole, soft_wrap=True)

    def ends(self, left: Span, right: Span) -> None:
        """Write one line with `left` at its start, cut if need be, and `right` at its end."""
        room = self.width - cell_len(right.text) - 2
        self.line(Span(left.text, left.style, room), "  ", right)

    def heading(self, title: str, remark: str = "") -> None:
        """Write an empty line and a section's title with an optional remark."""
        self.line()
        self.line(Span(title, "bold"), Span(f"  {remark}", "dim") if remark else "")

    def rule(self) -> None:
        """Write a line across."""
        self.line(Span(self.glyphs.rule * self.width, "dim"))

    def quote(self, text: str, *, indent: int = 2, style: str = "") -> None:
        """Write untrusted text behind a gutter, wrapped, at most 20 lines of it."""
        pieces = [
            piece
            for line in printable_lines(text[: _LONGEST_LINE * 2])
            for piece in self._wrap(line, self.width - indent - 2)
        ]
        if len(pieces) > LONGEST_QUOTE:
            pieces[LONGEST_QUOTE - 1 :] = [self.glyphs.ellipsis]
        for piece in pieces:
            self._behind_gutter(piece, indent, style)

    def tail(self, text: str, count: int, *, indent: int = 2) -> None:
        """Write the last `count` lines of untrusted text behind a gutter, long lines cut."""
        last = text.rstrip().rsplit("\n", count)[-count:]
        for line in printable_lines("\n".join(line[-_LONGEST_LINE:] for line in last)):
            self._behind_gutter(line, indent, "")

    def paragraph(self, text: str, *, indent: int = 2, style: str = "") -> None:
        """Write text of the harness itself, wrapped."""
        for piece in self._wrap(printable(text), self.width - indent):
            self.line(" " * indent, Span(piece, style))

    def plot(self, lines: Sequence[str], *, indent: int, styles: Mapping[str, str]) -> None:
        """Write the harness's own drawing; characters that `styles` names get its style."""
        for line in lines:
            text = Text(" " * indent + line)
            for position, character in enumerate(text.plain):
                if style := styles.get(character):
                    text.stylize(style, position, position + 1)
            self._console.print(text, soft_wrap=True)

    def _behind_gutter(self, line: str, indent: int, style: str) -> None:
        self.line(" " * indent, Span(f"{self.glyphs.gutter} ", "dim"), Span(line, style))

    def _encodable(self, text: str) -> str:
        return encodable(printable(text), self._console.encoding)

    def _wrap(self, text: str, width: int) -> list[str]:
        wrapped = Text(self._encodable(text)).wrap(self._console, width, overflow="fold")
        return [piece.plain.rstrip() for piece in wrapped]

    def _fit(self, span: Span) -> str:
        text, width = self._encodable(span.text[:_LONGEST_LINE]), abs(span.width)
        if not width:
            return text
        if cell_len(text) > width:
            return set_cell_size(text, width - cell_len(self.glyphs.ellipsis)) + self.glyphs.ellipsis
        padding = " " * (width - cell_len(text))
        return padding + text if span.width < 0 else text + padding


def is_unicode(console: Console) -> bool:
    """Whether what `console` writes can carry every character."""
    return console.encoding.replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"}
