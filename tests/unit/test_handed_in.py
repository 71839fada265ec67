"""What a class handed in is found: in a folder or on a roster, by whom and when, and no link is followed."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.handed_in import find_handed_in
from harness.host.submission import load_submission

TAIPEI = timezone(timedelta(hours=8))
FIRST, SECOND, THIRD = 1_900_000_000, 1_900_086_400, 1_900_172_800
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  which keeps any time
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for what a class hands in."""
    path = tmp_path / "handed in"
    path.mkdir()
    return path


def submission(folder: Path, name: str, changed: float = FIRST) -> Path:
    """A folder with the two files, both changed then."""
    path = folder / name
    path.mkdir()
    for file in ("model.py", "config.toml"):
        (path / file).write_text("x = 1\n")
        os.utime(path / file, (changed, changed))
    return path


def archive(folder: Path, name: str, changed: float = FIRST) -> Path:
    """An empty file that is named as an archive, changed then."""
    path = folder / name
    path.write_bytes(b"")
    os.utime(path, (changed, changed))
    return path


def found(where: Path) -> dict[str, tuple[str, str]]:
    """Student and file of each, by its name."""
    return {each.name: (each.student, each.path.name) for each in find_handed_in(where, TAIPEI)}


def times(where: Path) -> dict[str, datetime]:
    """When each was handed in."""
    return {each.name: each.submitted for each in find_handed_in(where, TAIPEI)}


def roster(folder: Path, *lines: str) -> Path:
    """A roster beside them."""
    path = folder / "roster.csv"
    path.write_text("\n".join(("student,submission,submitted", *lines)) + "\n")
    return path


def test_folders_and_archives_are_a_submission_each(folder: Path) -> None:
    """Of the student whose name they have, in the order of names; not what tools leave, nor other files."""
    submission(folder, "s003")
    for name in ("s001.zip", "s002.tar.gz", "S004.TGZ", "s005.v2.zip", "notes.txt", "roster.csv", ".s9.zip"):
        archive(folder, name)
    submission(folder, "s006.zip")
    for name in (".git", "__MACOSX", "__pycache__"):
        (folder / name).mkdir()
    assert list(found(folder).items()) == [
        ("S004", ("S004", "S004.TGZ")),
        ("s001", ("s001", "s001.zip")),
        ("s002", ("s002", "s002.tar.gz")),
        ("s003", ("s003", "s003")),
        ("s005.v2", ("s005.v2", "s005.v2.zip")),
        ("s006", ("s006", "s006.zip")),
    ]


@pytest.mark.parametrize("names", [("s001", "s001.zip"), ("s001.zip", "s001.tar.gz")])
def test_two_of_one_name_are_refused(folder: Path, names: tuple[str, str]) -> None:
    """Which of them counts is not ours to guess."""
    for name in names:
        archive(folder, name) if "." in name else submission(folder, name)
    with pytest.raises(UsageError, match="are both of s001") as told:
        find_handed_in(folder, UTC)
    assert all(name in told.value.message for name in names)


def test_where_nothing_is_there_is_nothing_to_grade(folder: Path, tmp_path: Path) -> None:
    """A folder that is missing, one that is empty, and one that is a submission itself."""
    with pytest.raises(UsageError, match=r"there is no .*missing"):
        find_handed_in(tmp_path / "missing", UTC)
    for where in (folder, submission(folder.parent, "s001")):
        with pytest.raises(UsageError, match="there is no submission in"):
            find_handed_in(where, UTC)
    with pytest.raises(UsageError, match="there is no submission in"):
        find_handed_in(roster(folder, "s001,,", "s002,,"), UTC)


def test_times_are_those_of_the_files(folder: Path) -> None:
    """Of an archive its own; of a folder that of the newest file at its top, to the microsecond."""
    archive(folder, "s001.zip", FIRST)
    os.utime(submission(folder, "s002", FIRST) / "model.py", ns=(0, SECOND * 10**9 + 123_456_789))
    deep = submission(folder, "s003", SECOND) / "blocks"
    deep.mkdir()
    (deep / "new.py").write_text("")
    (folder / "empty").mkdir()
    os.utime(folder / "empty", (THIRD, THIRD))
    assert times(folder) == {
        "empty": datetime.fromtimestamp(THIRD, UTC),
        "s001": datetime.fromtimestamp(FIRST, UTC),
        "s002": datetime.fromtimestamp(SECOND, UTC) + timedelta(microseconds=123_456),
        "s003": datetime.fromtimestamp(SECOND, UTC),
    }


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "model.pyc"])
def test_looking_at_a_submission_makes_it_no_later(folder: Path, name: str) -> None:
    """What file managers and Python write beside the files is not the student's."""
    archive(submission(folder, "s001", FIRST), name, THIRD)
    assert times(folder) == {"s001": datetime.fromtimestamp(FIRST, UTC)}


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [(-1, BEGINNING), (-(10**9), BEGINNING), (0, BEGINNING), (10**10, datetime.fromtimestamp(10**10, UTC))],
)
def test_times_that_no_clock_had_stop_nobody(folder: Path, seconds: int, moment: datetime) -> None:
    """An archive is unpacked with whatever times stand in it."""
    submission(folder, "s001", seconds)
    archive(folder, "s002.zip", seconds)
    assert times(folder) == {"s001": moment, "s002": moment}


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no file system here holds such times")
@pytest.mark.parametrize(("seconds", "year"), [(2**38, 9999), (2**55, 9999), (-(2**38), 1970)])
def test_times_beyond_the_calendar_stop_nobody(seconds: int, year: int) -> None:
    """They are its end, or the beginning of ours."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        assert abs(archive(Path(folder), "s001.zip", seconds).stat().st_mtime) > 2**37
        assert times(Path(folder))["s001"].year == year


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    """A link is its own file, with its own time, and no submission that could be graded."""
    elsewhere = submission(tmp_path, "elsewhere", THIRD)
    zipped = archive(tmp_path, "elsewhere.zip", THIRD)
    for name, target in (("s001", elsewhere), ("s002.zip", zipped), ("s003.zip", tmp_path / "gone")):
        (folder / name).symlink_to(target)
        os.utime(folder / name, (FIRST, FIRST), follow_symlinks=False)
    (folder / "s004").symlink_to(tmp_path / "gone")
    inside = submission(folder, "s005", SECOND)
    (inside / "late.py").symlink_to(elsewhere / "model.py")
    handed_in = {each.name: each for each in find_handed_in(folder, UTC)}
    assert list(handed_in) == ["s001", "s002", "s003", "s005"]
    assert handed_in["s001"].submitted == datetime.fromtimestamp(FIRST, UTC)
    assert handed_in["s005"].submitted == datetime.fromtimestamp(SECOND, UTC)
    for each in handed_in.values():
        with pytest.raises(InvalidSubmissionError, match="is a symbolic link"):
            load_submission(each.path, max_bytes=1 << 20)


def test_what_is_no_file_is_left_to_the_grading(folder: Path) -> None:
    """A pipe or a socket that is named like an archive is found without being opened."""
    os.mkfifo(folder / "s001.zip")
    with closing(socket.socket(socket.AF_UNIX)) as server:
        short = os.path.relpath(folder / "s002.zip")
        server.bind(short)
        assert set(found(folder)) == {"s001", "s002"}
    for name in ("s001.zip", "s002.zip"):
        with pytest.raises(InvalidSubmissionError):
            load_submission(folder / name, max_bytes=1 << 20)


def test_names_that_are_no_text_are_names_all_the_same(folder: Path) -> None:
    """Bytes that no encoding knows, and letters that no terminal should get."""
    os.mkdir(os.fsencode(folder) + b"/s\xff1")  # noqa: PTH102  pathlib has no bytes
    (folder / "s\x1b[31m2").mkdir()
    assert sorted(found(folder)) == ["s\x1b[31m2", "s\ufffd1"]


def test_a_folder_that_cannot_be_read_is_told(folder: Path) -> None:
    """As wrong use, without a traceback."""
    submission(folder, "s001")
    folder.chmod(0)
    if os.getuid() == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(UsageError, match="cannot be read: Permission denied"):
            find_handed_in(folder, UTC)
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o755)


def test_a_roster_says_whose_and_when(folder: Path) -> None:
    """In the zone of the deadline where it names none; where it says nothing, the file's own time holds."""
    submission(folder, "a", FIRST)
    archive(folder, "b.zip", SECOND)
    file = roster(folder, "s001,a,2030-03-01T23:59", "s002,b.zip,", "s003,,", "s004,a,2030-03-01T23:59Z")
    assert found(file) == {"s001": ("s001", "a"), "s002": ("s002", "b.zip"), "s004": ("s004", "a")}
    assert times(file) == {
        "s001": datetime(2030, 3, 1, 15, 59, tzinfo=UTC),
        "s002": datetime.fromtimestamp(SECOND, UTC),
        "s004": datetime(2030, 3, 1, 23, 59, tzinfo=UTC),
    }


def test_several_hand_ins_of_a_student_have_names_of_their_own(folder: Path) -> None:
    """No two of a class are called the same, however students and files are called."""
    file = roster(
        folder,
        "s001,a.zip,",
        "s001,b.zip,",
        "s001,old/b.zip,",
        "s001: b.zip,x,",
        "s001: line 6,y,",
        "s001,n/b.zip,",
    )
    handed_in = find_handed_in(file, UTC)
    names = [each.name for each in handed_in]
    assert names[:3] == ["s001", "s001: b.zip", "s001: line 4"]
    assert len(set(names)) == len(names) == 6
    assert [each.student for each in handed_in].count("s001") == 4


def test_what_is_not_there_is_a_fault_of_that_one_alone(folder: Path) -> None:
    """The others are found; who grades it is told that there is nothing."""
    archive(folder, "a.zip")
    handed_in = find_handed_in(roster(folder, "s001,a.zip,", "s002,gone.zip,", f"s003,{'x' * 300},"), UTC)
    assert [each.student for each in handed_in] == ["s001", "s002", "s003"]
    for each in handed_in[1:]:
        assert each.submitted == BEGINNING
        with pytest.raises(UsageError, match="there is no submission"):
            load_submission(each.path, max_bytes=1 << 20)


def test_a_roster_that_is_wrong_is_refused(folder: Path) -> None:
    """Whole: its own problems are named by `read_roster`."""
    with pytest.raises(UsageError, match="line 2, column submitted"):
        find_handed_in(roster(folder, "s001,a.zip,yesterday"), UTC)
