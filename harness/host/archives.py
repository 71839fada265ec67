"""Reads zip and tar.gz submissions into an `Intake`, member by member, and never unpacks them to disk.

Only what a submission needs of the formats is understood: regular files and folders, stored or deflated. The
tar side walks the 512-byte blocks itself (POSIX.1-2017, pax, "ustar Interchange Format"; GNU long names),
because the standard library's reader has had inputs that keep it busy for ever.
"""

from __future__ import annotations

import functools
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError
from harness.host.intake import (
    MAX_ENTRIES,
    MAX_NOTEBOOK_BYTES,
    ignored,
    member_parts,
    read_named,
    refuse_special,
    taken,
)
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.host.intake import Intake

MAX_ARCHIVE_BYTES = 16 << 20
MAX_UNPACKED_BYTES = 64 << 20
MAX_NAME_RECORD = 64 << 10
MAX_NAME_RECORDS = 2 << 20  # of all members together: each of their lines costs time
MAX_MEMBERS = 3 * MAX_ENTRIES  # of the archive, with what is ignored: hidden files, caches, headers
MAX_GZIP_STREAMS = 16
CENTRAL_ENTRY = b"PK\1\2"
MAX_LENGTH_DIGITS = 8
BLOCK = 512
GZIP_ONLY = 16 + zlib.MAX_WBITS  # zlib's own sign for a gzip header and trailer
ENCRYPTED = 0x1
HINT = "pack the folder anew, as .zip or .tar.gz"
FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
)
_TAR_SPECIAL = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}


@dataclass(frozen=True, slots=True)
class _Member:
    """A file, or a folder where `read` is None; `read` returns at most as many bytes as it is asked for."""

    parts: tuple[str, ...]
    read: Callable[[int], bytes] | None


def read_archive(path: Path, intake: Intake) -> None:
    """Read a ``.zip``, ``.tar.gz`` or ``.tgz`` into `intake`; a single folder around everything is taken off.

    Raises:
        InvalidSubmissionError: it is damaged, over a cap, or holds anything but plain files and folders.
    """
    packed = _read_capped(path)
    list_members = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    try:
        members = [member for member in list_members(packed) if member.parts and not ignored(member.parts)]
        wrapped = len({member.parts[0] for member in members}) == 1
        wrapped = wrapped and all(len(member.parts) > 1 or member.read is None for member in members)
        for member in members:
            _take(member, member.parts[wrapped:], intake)
        if name := intake.wanted_notebook():
            read = next(
                member.read for member in members if member.parts[wrapped:] == (name,) and member.read
            )
            intake.notebook = name, read(MAX_NOTEBOOK_BYTES + 1)
    except FAULTS as error:  # what these libraries raise on damaged input
        raise InvalidSubmissionError(f"{quoted(path.name)} is damaged: {quoted(str(error))}", HINT) from None


def _read_capped(path: Path) -> bytes:
    packed = read_named(path, MAX_ARCHIVE_BYTES)
    if len(packed) > MAX_ARCHIVE_BYTES:
        raise InvalidSubmissionError(
            f"{quoted(path.name)} has more than the {MAX_ARCHIVE_BYTES} bytes that an archive may have",
            "leave out data and weights: model.py, config.toml and further .py files are enough",
        )
    return packed


def _take(member: _Member, parts: tuple[str, ...], intake: Intake) -> None:
    if not parts:
        return
    intake.check(parts)
    if member.read is None:
        return
    if taken(parts):
        intake.add(parts, member.read(intake.room + 1))
    else:
        intake.left_out.append("/".join(parts))


def _zip_members(packed: bytes) -> Iterator[_Member]:
    if packed.count(CENTRAL_ENTRY) > MAX_MEMBERS:  # the library lists all of them before it shows the first
        raise _too_many_members()
    archive = zipfile.ZipFile(io.BytesIO(packed))
    for info in archive.infolist():
        parts = member_parts(info.orig_filename)  # `filename` ends at a NUL, so it may hide what is behind
        if parts and ignored(parts):
            continue
        mode = info.external_attr >> 16
        folder = info.orig_filename.endswith("/")
        if stat.S_IFMT(mode) and not folder:
            refuse_special(info.orig_filename, mode)
        if info.flag_bits & ENCRYPTED:
            raise InvalidSubmissionError(
                f"{quoted(info.orig_filename)} is encrypted", "pack it without a password"
            )
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise InvalidSubmissionError(
                f"{quoted(info.orig_filename)} is packed in a way that is not read here",
                "pack it as a common zip",
            )
        yield _Member(parts, None if folder else functools.partial(_read_zip_member, archive, info))


def _read_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    with archive.open(info) as member:
        return member.read(limit)


def _too_many_members() -> InvalidSubmissionError:
    return InvalidSubmissionError(
        f"the archive has more than {MAX_MEMBERS} members",
        "hand in your own code only, without data, hidden folders or a virtual environment",
    )


def _gunzipped(packed: bytes) -> bytes:
    """Unpack gzip streams, one after the other as the format allows, with zeros between or behind them."""
    pieces, room = [], MAX_UNPACKED_BYTES
    for _ in range(MAX_GZIP_STREAMS):
        unpacking = zlib.decompressobj(wbits=GZIP_ONLY)
        pieces.append(unpacking.decompress(packed, room + 1))
        room -= len(pieces[-1])
        if room < 0:
            raise InvalidSubmissionError(
                f"the archive unpacks to more than the {MAX_UNPACKED_BYTES} bytes allowed",
                "leave out data and weights",
            )
        if not unpacking.eof:
            raise EOFError("the archive ends too early")
        packed = unpacking.unused_data.lstrip(b"\0")
        if not packed:
            return b"".join(pieces)
    raise ValueError(f"it is made of more than {MAX_GZIP_STREAMS} gzip streams")


def _tar_members(packed: bytes) -> Iterator[_Member]:
    data = _gunzipped(packed)
    offset, headers, extended, attributes = 0, 0, 0, dict[str, str]()
    while any(block := data[offset : offset + BLOCK]):
        headers += 1
        if headers > MAX_MEMBERS:
            raise _too_many_members()
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        size = int(attributes.get("size", header.size))
        start = offset + BLOCK
        if not 0 <= size <= len(data) - start:
            raise ValueError("a member is longer than the archive")
        offset = start + -(-size // BLOCK) * BLOCK
        if header.type == tarfile.XGLTYPE:
            continue
        if header.type in {tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME}:
            extended += size
            if extended > MAX_NAME_RECORDS:
                raise ValueError("its extended headers are longer than any names need")
            attributes |= _name_record(header.type, data[start : start + min(size, MAX_NAME_RECORD)])
            continue
        parts, attributes = member_parts(attributes.get("path", header.name)), {}
        if not ignored(parts or (".",)):
            yield _tar_member(parts, header, data, start, size)


def _tar_member(
    parts: tuple[str, ...], header: tarfile.TarInfo, data: bytes, start: int, size: int
) -> _Member:
    if header.isdir():
        return _Member(parts, None)
    if header.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
        kind = _TAR_SPECIAL.get(header.type, "no regular file")
        raise InvalidSubmissionError(
            f"{quoted('/'.join(parts))} is {kind}", "pack plain files and folders only"
        )
    return _Member(parts, lambda limit: data[start : start + min(size, limit)])


def _name_record(kind: bytes, record: bytes) -> dict[str, str]:
    """The attributes that a pax header or a GNU long name gives to the next member.

    A pax record is its own length in decimal, a space, the key, an equals sign, the value and a line feed.
    """
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": record.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")}
    attributes, start = {}, 0
    while start < len(record):
        length = int(record[start : start + MAX_LENGTH_DIGITS].split(b" ", 1)[0])
        line = record[start : start + max(length, 0)]
        key, equals, value = line.partition(b" ")[2].partition(b"=")
        if not equals or not line.endswith(b"\n"):
            raise ValueError("an extended header is not of its form")
        if key in {b"path", b"size"}:
            attributes[key.decode()] = value[:-1].decode("utf-8", "surrogateescape")
        start += length
    return attributes
