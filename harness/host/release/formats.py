"""Reads what pictures, documents, notebooks, arrays, pickles and encoded text have in them.

Each reader is given a file's bytes and yields names and contents. PNG gives its chunks and pixels, PDF its
streams, XML and HTML their text, JSON its strings, a pickle its constants, which needs no unpickling.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import re
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.release.budget import Budget

    Contents = Iterator[tuple[str, bytes]]

SHORTEST_ENCODED = 40  # characters: shorter runs of base64's alphabet are words
PNG = b"\x89PNG\r\n\x1a\n"
NUMPY = b"\x93NUMPY"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_GZIP = b"\x1f\x8b\x08"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_OBJECTS = re.compile(rb"\x93NUMPY.{2,8}\{'descr': '\|O'[^\n]{0,200}\n", re.DOTALL)
_HEXADECIMAL = re.compile(rb"(?:[0-9a-f]{2}){20,}|(?:[0-9A-F]{2}){20,}")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{4}[\s\\n]{0,4}){10,}[A-Za-z0-9+/_=-]*")
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_END_OF_ROW = re.compile(rb"</(?:\w+:)?(?:tr|row|table-row|p|li)\s*>", re.IGNORECASE)
_TAGS = re.compile(rb"(?:[ \t\r\n]*<[^>]*>[ \t\r]*)+")
_KEPT_IN_MIND = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_AGAIN = {"GET", "BINGET", "LONG_BINGET"}
_NO_CONSTANTS = {"PROTO", "FRAME", "GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}


class _Inflater:
    """A stream of what zlib has packed, read piece by piece."""

    def __init__(self, data: bytes, bits: int) -> None:
        self._rest, self._zlib = data, zlib.decompressobj(bits)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size` of them."""
        piece = self._zlib.decompress(self._rest, size)
        self._rest = self._zlib.unconsumed_tail
        return piece


def _inflated(data: bytes, budget: Budget, bits: int = zlib.MAX_WBITS) -> bytes:
    """What bytes stand for if they are packed by zlib; nothing if they are not."""
    try:
        return budget.read(_Inflater(data, bits))
    except zlib.error:
        return b""


def png(data: bytes, budget: Budget) -> Contents:
    """All chunks beside the pixels, unpacked too, and the pixels (as rows are stored, filters and all)."""
    at, pixels = len(PNG), []
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        content, at = data[at + 8 : at + 8 + size], at + 12 + size
        name = kind.decode(errors="replace")
        if kind == b"IDAT":
            pixels.append(content)
        elif kind not in _PNG_PIXELS:
            yield name, budget.take(content)
            packed = content.find(b"\x78")  # where a stream of zlib begins
            if packed >= 0:
                yield f"{name} unpacked", _inflated(content[packed:], budget)
    yield "pixels", _inflated(b"".join(pixels), budget)
    yield "after its end", budget.take(data[at:])


def pdf(data: bytes, budget: Budget) -> Contents:
    """The streams."""
    for number, match in enumerate(_PDF_STREAM.finditer(data), start=1):
        yield f"stream {number}", _inflated(match[1], budget)


def pickled(data: bytes, budget: Budget) -> Contents:
    """The constants that a pickle names, one a line, and bytes in it; it is read, and never run."""
    constants: list[str] = []
    remembered: dict[int, Any] = {}
    last: Any = None
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _KEPT_IN_MIND:
                remembered[len(remembered) if argument is None else int(str(argument))] = last
                continue
            last = remembered.get(int(str(argument))) if opcode.name in _AGAIN else argument
            if last is None or opcode.name in _NO_CONSTANTS:
                last = None
            elif isinstance(last, bytes | bytearray):
                yield f"bytes in the pickle, before constant {len(constants) + 1}", budget.take(bytes(last))
            else:
                constants.append(str(last))
    except ValueError:
        return
    yield "constants", budget.take("\n".join(constants).encode(errors="replace"))


def is_pickled(data: bytes) -> bool:
    """Whether it is a pickle; the two oldest protocols have no mark, and are read to their end."""
    if data.startswith(b"\x80"):
        return data[1:2] <= b"\x05"
    if data[:1] not in {b"(", b"]", b"}", b"c"} or not data.endswith(b"."):
        return False
    try:
        return all(True for _ in pickletools.genops(data))
    except ValueError:
        return False


def array_of_objects(data: bytes, budget: Budget) -> Contents:
    """The pickle in a ``.npy`` of anything but numbers and text."""
    if match := _OBJECTS.match(data):
        yield "objects", budget.take(data[match.end() :])


def markup(data: bytes, budget: Budget) -> Contents:
    """The text of XML or HTML, a row of a table or of a spreadsheet a line; and what is encoded in it."""
    yield "text", budget.take(_TAGS.sub(b"\t", _END_OF_ROW.sub(b"\n", data)))
    yield from encoded(data, budget)


def from_json(data: bytes, budget: Budget) -> Contents:
    """Lines of text that JSON has in pieces, as notebooks do, or with escapes."""
    for number, text in enumerate(_texts(json.loads(data)), start=1):
        yield f"text {number}", budget.take(text.encode(errors="replace"))


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401  what JSON has
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if value and all(isinstance(each, str) for each in value):
            yield "".join(value) if any("\n" in each for each in value) else "\n".join(value)
        else:
            for each in value:
                yield from _texts(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)


def is_json(data: bytes) -> bool:
    """Whether it is JSON."""
    start = data[:64].lstrip()[:1]
    if start not in {b"{", b"["}:
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def encoded(data: bytes, budget: Budget) -> Contents:
    """What runs of hexadecimal digits and of base64 stand for, and what is packed inside of other bytes."""
    for match in _HEXADECIMAL.finditer(data):
        yield f"hexadecimal at byte {match.start()}", budget.take(binascii.unhexlify(match[0]))
    for match in _BASE64.finditer(data):
        plain = re.sub(rb"\\n|\s", b"", match[0]).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        if len(plain) >= SHORTEST_ENCODED:
            plain = plain[: len(plain) - (len(plain) % 4 == 1)]
            yield (
                f"base64 at byte {match.start()}",
                budget.take(base64.b64decode(plain + b"=" * (-len(plain) % 4))),
            )
    if data.startswith(_ZLIB):
        yield "unpacked", _inflated(data, budget)
    for match in re.finditer(re.escape(_GZIP), data):
        yield f"gzip at byte {match.start()}", _inflated(data[match.start() :], budget, zlib.MAX_WBITS | 16)
