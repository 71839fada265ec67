"""Packs a submission that was read into one byte string, the same for the same files, and takes it apart."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

from harness.host.records import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.host.records import Submission

LINES = ".lines.json"  # hidden, so that no submission has a file of this name

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_PLAIN_FILE = 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as a .zip, which `load_submission` reads.

    Args:
        files: path with forward slashes, to content.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            member = zipfile.ZipInfo(path, _LONG_AGO)
            member.external_attr = _PLAIN_FILE
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return packed.getvalue()


def unpack(packed: bytes) -> dict[str, bytes]:
    """The files that `pack` packed; only what it returned is taken apart, never an archive of a student's."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def pack_submission(submission: Submission) -> bytes:
    """Its files as `pack` packs them, with the places of their lines where they were made of a notebook."""
    if not submission.lines:
        return pack(submission.files)
    lines = [[number, place.file, place.line] for number, place in sorted(submission.lines.items())]
    return pack({**submission.files, LINES: json.dumps(lines).encode()})


def unpack_submission(packed: bytes) -> tuple[dict[str, bytes], dict[int, Place]]:
    """The files that `pack_submission` packed, and where in a notebook the lines of their model.py stand."""
    files = unpack(packed)
    lines = json.loads(files.pop(LINES, b"[]"))
    return files, {number: Place(file, line) for number, file, line in lines}
