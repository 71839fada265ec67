"""Archives that are small or sound and cost much to read: too large for the corpus, so they are made here."""

from __future__ import annotations

import gzip
import struct
import tarfile
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import InvalidSubmissionError
from harness.host.submission import load_submission
from tests.fuzz.corpus import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNPACKED = 64 << 20
PACKED = 16 << 20
RECORD = 64 << 10


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar header of 512 bytes."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.USTAR_FORMAT)


def ignored_tar_members() -> bytes:
    """As many hidden files as fit, which are counted nowhere else."""
    return gzip.compress(header(".a") * (UNPACKED // 512 - 2), 1)


def short_extended_records() -> bytes:
    """Extended headers of the shortest lines: each line took as long as all that follow."""
    record = b"4 =\n" * (RECORD // 4)
    return gzip.compress((header("x", len(record), tarfile.XHDTYPE) + record) * (UNPACKED // RECORD - 16), 1)


def many_extended_keys() -> bytes:
    """Extended headers with a new key in every line, all of which were kept."""
    lines = b"".join(b"16 %011x=\n" % number for number in range(UNPACKED // 2 // 16))
    pieces = (lines[start : start + RECORD] for start in range(0, len(lines), RECORD))
    return gzip.compress(b"".join(header("x", len(each), tarfile.XHDTYPE) + each for each in pieces), 1)


def empty_gzip_streams() -> bytes:
    """Hundreds of thousands of gzip streams with nothing in them."""
    empty = gzip.compress(b"", mtime=0)
    return empty * (PACKED // len(empty))


def ignored_zip_members() -> bytes:
    """As many hidden files as the list at a zip's end can name."""
    fields = (b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0)
    entry = struct.pack("<4s4B4HL2L5H2L", *fields) + b".a"
    count = PACKED // len(entry) - 1
    directory = entry * count
    return directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), 0, 0)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("bomb.tar.gz", ignored_tar_members, "members"),
        ("bomb.tar.gz", short_extended_records, "extended headers are longer"),
        ("bomb.tar.gz", many_extended_keys, "extended headers are longer"),
        ("bomb.tar.gz", empty_gzip_streams, "gzip streams"),
        ("bomb.zip", ignored_zip_members, "members"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_costly_archive_is_refused_early(
    tmp_path: Path, name: str, make: Callable[[], bytes], message: str
) -> None:
    """What took up to fourteen seconds of the host is refused within the time that any input may take."""
    path = tmp_path / name
    path.write_bytes(make())
    with Stopwatch(factor=2), pytest.raises(InvalidSubmissionError, match=message):
        load_submission(path, max_bytes=1 << 20)


def test_sound_archives_of_several_gzip_streams_are_read(tmp_path: Path) -> None:
    """The cap on streams leaves room for what parallel packers write, with zeros behind it."""
    files = {"model.py": b"class MyModel: pass\n", "config.toml": b"epochs = 1\n"}
    tar = b"".join(
        header(name, len(content)) + content.ljust(512, b"\0") for name, content in files.items()
    ) + bytes(1024)
    path = tmp_path / "sound.tar.gz"
    path.write_bytes(gzip.compress(tar[:700]) + gzip.compress(tar[700:]) + bytes(100))
    assert load_submission(path, max_bytes=1 << 20).files == files
