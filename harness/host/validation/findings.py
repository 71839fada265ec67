"""One thing that was looked at, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How something stands; the sign and the colour that it is shown with."""

    PASSED = ("✓", "green")
    WARNING = ("!", "yellow")
    PROBLEM = ("✗", "red")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table.

    Attributes:
        subject: what was looked at, in a word or two.
        level: how it stands.
        detail: what was found, with figures.
        todo: what to do about it; empty where it passed.
    """

    subject: str
    level: Level
    detail: str
    todo: str = ""


def passed(subject: str, detail: str) -> Finding:
    """Nothing is to be done."""
    return Finding(subject, Level.PASSED, detail)


def warning(subject: str, detail: str, todo: str) -> Finding:
    """Somebody should look at it, and may leave it as it is."""
    return Finding(subject, Level.WARNING, detail, todo)


def problem(subject: str, detail: str, todo: str) -> Finding:
    """It has to be mended before students see it."""
    return Finding(subject, Level.PROBLEM, detail, todo)


def share(count: int, of: int) -> str:
    """A count with its share: ``12 of 300 (4 %)``."""
    return f"{count:,} of {of:,} ({count / of:.1%})".replace("%", " %")


def some(names: list[str], most: int = 5) -> str:
    """Names in a row, the first of them spelled out."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
