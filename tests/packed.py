"""Files of many formats, made in memory, and what the search for leaks says of them."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.release.leaks import Leak, find_leaks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.planted import Planted


def leaks_of(planted: Planted, **more: bytes) -> list[Leak]:
    """What is found in the assignment with more files in it; an underscore in a name stands for a dot."""
    files = planted.files | {name.replace("_", "."): content for name, content in more.items()}
    return find_leaks(files, "data/test.csv", planted.data, planted.hidden)


def lines(*columns: Any, header: str = "") -> bytes:
    """A CSV of columns."""
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    return "\n".join([header, *rows] if header else rows).encode() + b"\n"


def zipped(content: bytes, name: str = "notes.csv") -> bytes:
    """A .zip of one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def tarred(content: bytes) -> bytes:
    """A .tar.gz of one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("notes.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def picture(*chunks: bytes, pixels: bytes = b"\0\x80" * 64) -> bytes:
    """A grey PNG of one column, with more chunks."""
    head = struct.pack(">IIBBBBB", 1, len(pixels) // 2, 8, 0, 0, 0, 0)
    body = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def array(values: NDArray[np.float64], dtype: str = "float64") -> bytes:
    """A .npy."""
    file = io.BytesIO()
    np.save(file, values.astype(dtype))
    return file.getvalue()
