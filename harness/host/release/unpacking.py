"""Takes a file apart into everything that somebody could read in it: members, text chunks, encoded bytes.

Archives and compressed files inside of each other are opened in memory, under caps; `formats` reads the rest.
What cannot be looked into is told as such: a kit may have nothing in it that nobody has looked at.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.host.release import formats
from harness.host.release.budget import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.host.release.budget import Budget

    Contents = Iterator[tuple[str, bytes]]
    Reader = Callable[[bytes, Budget], Contents]

DEEPEST = 8
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
_BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError),
    *(zipfile.BadZipFile, tarfile.TarError),
)


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Something to search.

    Attributes:
        path: of the file in the kit, and inside of it after ``!``.
        data: its bytes.
    """

    path: str
    data: bytes = field(repr=False)


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


def _inside(data: bytes, budget: Budget, path: str) -> Contents:
    """What any reader finds, since a file can be a picture at its beginning and an archive at its end."""
    readers = [reader for recognised, reader in _READERS if recognised(data)] or [formats.encoded]
    try:
        for reader in readers:
            yield from reader(data, budget)
    except UnreadableError as error:
        raise UnreadableError(f"{path}: {error}") from None
    except _BROKEN as error:
        raise UnreadableError(f"{path} cannot be taken apart ({type(error).__name__})") from None


def _zip(data: bytes, budget: Budget) -> Contents:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield "(comments)", b"\n".join([archive.comment, *(each.comment for each in archive.infolist())])
        for member in archive.infolist():
            if member.flag_bits & 1:
                raise UnreadableError("it is encrypted")
            with archive.open(member) as file:
                yield member.filename, budget.read(file)


def _tar(data: bytes, budget: Budget) -> Contents:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            yield member.name, budget.read(file) if file else member.linkname.encode()


def _compressed(opened: Callable[[io.BytesIO], Any]) -> Reader:
    def read(data: bytes, budget: Budget) -> Contents:
        with opened(io.BytesIO(data)) as file:
            yield "unpacked", budget.read(file)

    return read


def _is_zip(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06")) or zipfile.is_zipfile(io.BytesIO(data))


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def _is_markup(data: bytes) -> bool:
    return data[:64].removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")


_READERS: tuple[tuple[Callable[[bytes], bool], Reader], ...] = (
    (_is_zip, _zip),
    (_is_tar, _tar),
    (lambda data: data.startswith(b"\x1f\x8b"), _compressed(gzip.open)),
    (lambda data: data.startswith(b"BZh"), _compressed(bz2.open)),
    (lambda data: data.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")), _compressed(lzma.open)),
    (lambda data: data.startswith(formats.PNG), formats.png),
    (lambda data: data.startswith(b"%PDF"), formats.pdf),
    (lambda data: data.startswith(formats.NUMPY), formats.array_of_objects),
    (_is_markup, formats.markup),
    (formats.is_pickled, formats.pickled),
    (formats.is_json, formats.from_json),
)
