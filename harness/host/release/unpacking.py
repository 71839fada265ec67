"""Takes a file apart into everything that somebody could read in it: members, text chunks, encoded bytes.

Archives and compressed files inside of each other are opened in memory, under caps; notebooks and other JSON
give their strings, PNG its text chunks and pixels, PDF its streams, a pickle its constants, which needs no
unpickling. What cannot be looked into is told as such: a kit may have nothing in it that nobody has looked
at.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import json
import lzma
import pickletools
import re
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES = 1 << 28  # of all that is unpacked of a kit
MOST_PARTS = 100_000
DEEPEST = 8
CHUNK = 1 << 20
SHORTEST_ENCODED = 40  # characters: shorter runs of base64's alphabet are words
CLOSED = {  # formats whose content no part of this package can read
    b"PAR1": "Parquet",
    b"SQLite format 3\0": "SQLite",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x89HDF": "HDF5",
    b"ARROW1": "Arrow",
    b"\xd0\xcf\x11\xe0": "an old office format",
}
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = {b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
_HEXADECIMAL = re.compile(rb"(?:[0-9a-f]{2}){20,}|(?:[0-9A-F]{2}){20,}")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{4}[\s\\n]{0,4}){10,}[A-Za-z0-9+/_=-]*")
_BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError),
    *(zipfile.BadZipFile, tarfile.TarError),
)
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)


class UnreadableError(Exception):
    """A part that cannot be looked into; its text says why."""


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Something to search.

    Attributes:
        path: of the file in the kit, and inside of it after ``!``.
        data: its bytes.
    """

    path: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Budget:
    """What may still be unpacked."""

    size: int = MOST_BYTES
    parts: int = MOST_PARTS

    def take(self, data: bytes) -> bytes:
        """Count bytes that were unpacked.

        Raises:
            UnreadableError: they are too many.
        """
        self.size -= len(data)
        self.parts -= 1
        if self.size < 0 or self.parts < 0:
            raise UnreadableError("it unpacks to more than can be looked through")
        return data

    def read(self, stream: Any) -> bytes:  # noqa: ANN401  a file of any of the readers
        """Read a stream to its end, but never more than is left."""
        pieces = []
        while piece := stream.read(CHUNK):
            pieces.append(self.take(piece))
            self.parts += 1
        return b"".join(pieces)


def parts_of(path: str, data: bytes, budget: Budget, depth: int = 0) -> Iterator[Part]:
    """A file and everything inside of it, to any depth.

    Args:
        path: of the file, for messages.
        data: its content.
        budget: what may be unpacked, of this and all others.
        depth: how many files it is in.

    Raises:
        UnreadableError: something in it cannot be looked into.
    """
    for magic, name in CLOSED.items():
        if data.startswith(magic):
            raise UnreadableError(f"{path} is {name}, which cannot be looked into")
    yield Part(path, data)
    for name, content in _inside(data, budget, path):
        if depth == DEEPEST:
            raise UnreadableError(f"{path} is packed {DEEPEST} times over")
        yield from parts_of(f"{path}!{name}", content, budget, depth + 1)


def _inside(data: bytes, budget: Budget, path: str) -> Iterator[tuple[str, bytes]]:
    """What any reader finds, since a file can be a picture at its beginning and an archive at its end."""
    readers = [reader for recognised, reader in _READERS if recognised(data)] or [_encoded]
    try:
        for reader in readers:
            yield from reader(data, budget)
    except UnreadableError as error:
        raise UnreadableError(f"{path}: {error}") from None
    except _BROKEN as error:
        raise UnreadableError(f"{path} cannot be taken apart ({type(error).__name__})") from None


def _zip(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield "(comments)", b"\n".join([archive.comment, *(each.comment for each in archive.infolist())])
        for member in archive.infolist():
            if member.flag_bits & 1:
                raise UnreadableError("it is encrypted")
            with archive.open(member) as file:
                yield member.filename, budget.read(file)


def _tar(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            yield member.name, budget.read(file) if file else member.linkname.encode()


def _compressed(
    opened: Callable[[io.BytesIO], Any],
) -> Callable[[bytes, Budget], Iterator[tuple[str, bytes]]]:
    def read(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
        with opened(io.BytesIO(data)) as file:
            yield "unpacked", budget.read(file)

    return read


def _inflated(data: bytes, budget: Budget) -> bytes:
    return budget.read(_Inflater(data))


class _Inflater:
    """A stream of what zlib has packed, read piece by piece."""

    def __init__(self, data: bytes) -> None:
        self._rest, self._zlib = data, zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size` of them."""
        piece = self._zlib.decompress(self._rest, size)
        self._rest = self._zlib.unconsumed_tail
        return piece


def _png(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """The text chunks, EXIF data, and pixels (as their rows are stored, filters and all)."""
    at, pixels = len(_PNG), []
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        content, at = data[at + 8 : at + 8 + size], at + 12 + size
        if kind == b"IDAT":
            pixels.append(content)
        elif kind in _PNG_TEXTS:
            yield kind.decode(), budget.take(content)
            packed = content.find(b"\x78")  # where a stream of zlib begins
            if kind in {b"zTXt", b"iTXt"} and packed >= 0:
                yield f"{kind.decode()} unpacked", _leniently_inflated(content[packed:], budget)
    yield "pixels", _leniently_inflated(b"".join(pixels), budget)
    yield "after its end", budget.take(data[at:])


def _leniently_inflated(data: bytes, budget: Budget) -> bytes:
    try:
        return _inflated(data, budget)
    except zlib.error:
        return b""


def _pdf(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    for number, match in enumerate(_PDF_STREAM.finditer(data), start=1):
        yield f"stream {number}", _leniently_inflated(match[1], budget)


def _pickle(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """The constants that a pickle names, one a line; it is read, and never run."""
    try:
        constants = [str(argument) for _, argument, _ in pickletools.genops(data) if argument is not None]
    except ValueError:
        return
    yield "constants", budget.take("\n".join(constants).encode(errors="replace"))


def _json(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
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


def _encoded(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """What runs of hexadecimal digits and of base64 stand for."""
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


def _is_json(data: bytes) -> bool:
    start = data[:64].lstrip()[:1]
    if start not in {b"{", b"["}:
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _is_zip(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06")) or zipfile.is_zipfile(io.BytesIO(data))


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


_READERS: tuple[
    tuple[Callable[[bytes], bool], Callable[[bytes, Budget], Iterator[tuple[str, bytes]]]], ...
] = (
    (_is_zip, _zip),
    (_is_tar, _tar),
    (lambda data: data.startswith(b"\x1f\x8b"), _compressed(gzip.open)),
    (lambda data: data.startswith(b"BZh"), _compressed(bz2.open)),
    (lambda data: data.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")), _compressed(lzma.open)),
    (lambda data: data.startswith(_PNG), _png),
    (lambda data: data.startswith(b"%PDF"), _pdf),
    (lambda data: data.startswith(b"\x80") and data[1:2] <= b"\x05", _pickle),
    (_is_json, _json),
)
