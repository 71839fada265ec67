"""How text, numbers and ids may be written: what a file's bytes say, whatever they are encoded as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_WORDS = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?")
_ASCII = re.compile(rb"[\t\n\r -~]{4,}")
_WIDE = re.compile(rb"(?:[\t\n\r -~]\0){4,}|(?:\0[\t\n\r -~]){4,}")
LONGEST_NUMBER = 40  # digits: more are a key or a picture, and slow to convert


def text_of(data: bytes) -> str:
    """The text in a file: UTF-8 or UTF-16 as a whole, or else all runs of printable characters in it."""
    if b"\0" not in data:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} and len(data) % 2 == 0:
        return data.decode("utf-16", "replace")
    wide = [match[0].replace(b"\0", b"") for match in _WIDE.finditer(data)]
    return "\n".join(run.decode("ascii") for run in [*_ASCII.findall(data), *wide])


def numbers_in(text: str) -> list[str]:
    """All numbers that stand by themselves in a text, as they are written; not the 2 of ``model2``."""
    return [number for number in _NUMBER.findall(text) if len(number) <= LONGEST_NUMBER]


def values_of(numbers: list[str]) -> NDArray[np.float64]:
    """What numbers, as they are written, stand for."""
    return np.array(numbers, dtype=np.float64)


def pieces_of(name: str) -> list[str]:
    """A name's words and numbers: ``digit7/0012.png`` has digit, 7, 0012 and png."""
    return _WORDS.findall(name)


def number_of(identity: str) -> float:
    """The number that an id is, or has in it; NaN where there is none."""
    found = _DIGITS.search(identity) if len(identity) <= LONGEST_NUMBER else None
    return float(found[0]) if found else float("nan")


def plain(identity: str) -> str:
    """One spelling of all that are the same id to a reader: ``0012``, ``12`` and ``12.0``."""
    text = identity.strip().strip("\"'").lower()
    if _DIGITS.fullmatch(text) and len(text) <= LONGEST_NUMBER:
        number = float(text)
        return str(int(number)) if number.is_integer() else repr(number)
    return text
