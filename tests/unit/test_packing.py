"""A submission packed into one byte string is the same submission when it is taken apart."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.host.errors import InvalidSubmissionError
from harness.host.packing import pack, pack_submission, unpack, unpack_submission
from harness.host.records import Place
from harness.host.submission import load_submission, submission_of
from tests.toy_guests import GALLERY

ROOT = Path(__file__).parents[2]
FILES = {"model.py": b"x = 1\n" * 99, "config.toml": b"seed = 1\n", "blocks/\u00fc.py": b"\0\xff"}
PACK = "import sys; from harness.host.packing import pack; from tests.unit.test_packing import FILES; "
# Names as they come out of an intake: any letters, no control characters.
NAMES = st.text(
    st.characters(exclude_categories=["C"], exclude_characters="/\\"), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENTS = st.dictionaries(PATHS, st.binary(max_size=2000), max_size=8)


@given(CONTENTS)
def test_what_is_packed_comes_out_as_it_was(files: dict[str, bytes]) -> None:
    """Every path and every byte, whatever their order was; and the bytes are the same each time."""
    packed = pack(files)
    assert unpack(packed) == files
    assert pack(dict(reversed(list(files.items())))) == packed


@given(CONTENTS, st.dictionaries(st.integers(1), st.builds(Place, NAMES, st.integers(1)), max_size=8))
def test_a_notebooks_lines_are_packed_beside_its_files(
    files: dict[str, bytes], lines: dict[int, Place]
) -> None:
    """They are no file of the submission, and where there are none, nothing is packed beside."""
    files = {**files, "config.toml": b"seed = 1\n"}
    submission = replace(submission_of("s001", files, Path("s001")), lines=lines)
    packed = pack_submission(submission)
    assert unpack_submission(packed) == (files, lines)
    assert (packed == pack(files)) == (not lines)


@given(CONTENTS, CONTENTS)
def test_two_submissions_are_two_byte_strings(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """So that an artifact's digest tells what was handed in."""
    assert (pack(one) == pack(other)) == (one == other)


@given(CONTENTS)
def test_submission_that_is_read_back_has_its_digest(files: dict[str, bytes]) -> None:
    """What is run or scored again is known as what was handed in."""
    files = {**files, "config.toml": b"seed = 1\n"}
    read = submission_of("s001", unpack(pack(files)), Path("s001"))
    assert read.sha256 == submission_of("other", files, Path("elsewhere")).sha256
    assert read.files == files


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.py", fullmatch=True), st.binary(max_size=500), max_size=5
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_packed_submission_can_be_handed_in(files: dict[str, bytes]) -> None:
    """It is an archive like those of students, so people can open it."""
    files = {**files, "model.py": b"x = 1\n", "config.toml": b"seed = 1\n"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s001.zip")
        path.write_bytes(pack(files))
        assert load_submission(path, max_bytes=1 << 20).files == files


def test_every_submission_of_the_gallery_survives() -> None:
    """Those whose names and contents are meant to harm too."""
    survived = 0
    for folder in GALLERY.glob("*/submission"):
        with suppress(InvalidSubmissionError):  # nothing of it is packed
            submission = load_submission(folder, max_bytes=1 << 20)
            assert unpack(pack(submission.files)) == submission.files
            survived += 1
    assert survived > 50


def test_bytes_are_the_same_everywhere() -> None:
    """In another process, at another time, in another time zone, with another mask for new files."""
    program = f"{PACK}import os; os.umask(0); sys.stdout.buffer.write(pack(FILES))"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"TZ": "Asia/Tokyo"}, capture_output=True, check=True
    )
    assert said.stdout == pack(FILES)
    assert len(pack(FILES)) < sum(map(len, FILES.values())) + 500
    assert (
        hashlib.sha256(unpack(said.stdout)["model.py"]).digest() == hashlib.sha256(FILES["model.py"]).digest()
    )
