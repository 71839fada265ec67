"""Reading a class's roster."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.roster import COLUMNS, Roster, read_roster, same

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[..., Roster]

TAIPEI = ZoneInfo("Asia/Taipei")
BERLIN = ZoneInfo("Europe/Berlin")
DEADLINE = datetime(2030, 3, 1, 15, 59, tzinfo=UTC)
HEAD = "student,submission,group,extension,alias,submitted\n"


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Writes a roster and reads it, times in Taipei's zone unless told otherwise."""

    def read_text(text: str | bytes, zone: ZoneInfo = TAIPEI) -> Roster:
        path = tmp_path / "roster.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_roster(path, zone)

    return read_text


def refusal(read: Reader, text: str | bytes) -> str:
    """The message with which a roster is refused."""
    with pytest.raises(UsageError) as caught:
        read(text)
    assert caught.value.fix
    return caught.value.message


def test_a_roster_is_read(read: Reader, tmp_path: Path) -> None:
    """Every column arrives with its meaning; submissions lie beside the roster unless they are absolute."""
    roster = read(
        HEAD
        + "s001,subs/s001.zip,team-1,1.5,Otter,2030-03-01T20:00\n"
        + "s002,/srv/subs/s002,team-1,2030-03-04T23:59,,2030-03-01T20:00+01:00\n"
        + "s003,,,,,\n"
    )
    first, second, third = roster.entries
    assert first.submission == tmp_path / "subs/s001.zip"
    assert (first.group, first.alias, first.line) == ("team-1", "Otter", 2)
    assert first.extension == timedelta(days=1.5)
    assert first.submitted == datetime(2030, 3, 1, 12, 0, tzinfo=UTC)
    assert str(second.submission) == "/srv/subs/s002"
    assert second.extension == datetime(2030, 3, 4, 15, 59, tzinfo=UTC)
    assert second.submitted == datetime(2030, 3, 1, 19, 0, tzinfo=UTC)
    assert (third.submission, third.extension, third.submitted) == (None, None, None)


def test_two_columns_are_enough(read: Reader) -> None:
    """All but the student and the submission may be left out, and the columns have any order."""
    roster = read("submission,student,alias\nsubs/a,s001\n")
    assert [(entry.student, entry.alias) for entry in roster.entries] == [("s001", "")]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfstudent,submission,extension\r\ns001,a,3\r\n\r\ns002,b,\r\n",
        b"Student;Submission;Extension\r\ns001;a;3,0\r\n;;\r\ns002;b;\r\n",
        b"student\tsubmission\textension\ns001\ta\t3.0\ns002\tb\n",
        b"\n student , submission , extension ,,\n s001 , a , 3 ,,\ns002,b,,,\n",
        b"student,submission,extension\rs001,a,3\rs002,b,\r",
    ],
    ids=[
        "byte order mark and CRLF",
        "semicolons and decimal comma",
        "tabs",
        "blanks and empty columns",
        "CR",
    ],
)
def test_what_spreadsheets_save_is_read(read: Reader, data: bytes) -> None:
    """Separators, line ends, marks, empty lines and empty columns at the end make no difference."""
    roster = read(data)
    assert [entry.student for entry in roster.entries] == ["s001", "s002"]
    assert roster.entries[0].extension == timedelta(days=3)
    assert roster.entries[1].extension is None


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("student,submission\ns001,a\n".encode("utf-16"), "UTF-16"),
        ("student,submission\ns001,a\n".encode("utf-16-le"), "UTF-16"),
        ("student,submission\ns001,a\ns00ä,b\n".encode("latin-1"), "line 3 is not in UTF-8"),
        (b'student,submission\ns001,a\ns002,"b\n', "line 3 is no CSV"),
    ],
)
def test_a_file_in_another_form_is_refused_with_how_to_save_it(read: Reader, data: bytes, named: str) -> None:
    """The message says what the file is, and the fix what to choose in the spreadsheet."""
    with pytest.raises(UsageError, match=named) as caught:
        read(data)
    assert "CSV UTF-8" in caught.value.fix


def test_all_problems_are_named_at_once(read: Reader) -> None:
    """Each wrong cell is named with its line, its column, what was found and what is allowed."""
    message = refusal(
        read,
        HEAD
        + ",subs/a,,,,\n"
        + "s002,subs/b,,tomorrow,,2030-03-01\n"
        + "\n"
        + "s003,subs/c,,-3,,2030-02-30T10:00\n"
        + '"s\n004",subs/d,,400,,\n'
        + "s005,subs/e,,,Otter,,surplus\n",
    )
    assert "line 2, column student: an empty cell must be the student's name or id" in message
    assert "line 3, column extension: 'tomorrow' must be a number of days up to 366" in message
    assert "line 3, column submitted: '2030-03-01' must be a date with a time" in message
    assert "line 5, column extension: '-3'" in message
    assert "line 5, column submitted: '2030-02-30T10:00'" in message
    assert "line 6, column student: 's\\n004' must be one line" in message
    assert "line 6, column extension: '400'" in message
    assert "line 8: 'surplus' is in column 7" in message


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (
            "student,submission,extention",
            "'extention' is no column of a roster; the nearest known name is extension",
        ),
        ("student,submission,email", "known are alias, extension, group, student, submission, submitted"),
        ("student,submission,student", "the column 'student' is there more than once"),
        ("student,path", "there is no column submission"),
        ("name of student|path", "there is no column student"),
    ],
)
def test_a_wrong_header_is_refused(read: Reader, head: str, named: str) -> None:
    """Unknown, repeated and missing columns are named, with the nearest one that is known."""
    assert named in refusal(read, head + "\ns001,a,b\n")


def test_lines_of_one_student_add_up(read: Reader) -> None:
    """What one line says of a student holds for all of theirs."""
    roster = read(HEAD + "s001,a,,,,\ns002,b,,,,\ns001,c,team-1,2,Otter,\ns001,d,team-1,,,\n")
    assert [entry.group for entry in roster.entries] == ["team-1", "", "team-1", "team-1"]
    assert {entry.alias for entry in roster.entries if entry.student == "s001"} == {"Otter"}
    assert list(roster.students()) == ["s001", "s002"]
    assert roster.students()["s001"].extension == timedelta(days=2)


def test_lines_of_one_student_must_agree(read: Reader) -> None:
    """Two groups, extensions, aliases or the same submission twice are a contradiction, with both lines."""
    message = refusal(read, HEAD + "s001,a,team-1,2,Otter,\ns001,b,team-2,3,Heron,\ns001,a,,,,\n")
    for column in ("group", "extension", "alias"):
        assert f"line 3, column {column}: 's001' has another {column} on line 2" in message
    assert "line 4: the student and the submission are those of line 2" in message


def test_partners_may_hand_in_one_submission(read: Reader) -> None:
    """The same submission for two students is a pair's."""
    assert len(read(HEAD + "s001,a,pair,,,\ns002,a,pair,,,\n").entries) == 2


@pytest.mark.parametrize(
    ("alias", "named"),
    [
        ("Otter", "'Otter' is the alias of 's001'"),
        (" \uff2f\uff34\uff34\uff25\uff32 ", "is the alias of 's001'"),
        ("O\u200btter", "is the alias of 's001'"),
        ("S003", "'S003' is the name of 's003'"),
    ],
    ids=ascii,
)
def test_nobody_takes_anothers_name(read: Reader, alias: str, named: str) -> None:
    """An alias that looks like another's alias or like another student's name is refused."""
    assert named in refusal(read, HEAD + f"s001,a,,,Otter,\ns002,b,,,{alias},\ns003,c,,,,\n")


def test_ones_own_name_may_be_the_alias(read: Reader) -> None:
    """Who wants to appear under their name may."""
    assert read(HEAD + "s001,a,,,s001,\n").students()["s001"].alias == "s001"


@pytest.mark.parametrize("other", ["S001", "s\u200b001", "\uff53001"], ids=ascii)
def test_a_student_in_two_spellings_is_refused(read: Reader, other: str) -> None:
    """One student who would become two is named with the line of the first spelling."""
    assert "of line 2 but for case" in refusal(read, HEAD + f"s001,a,,,,\n{other},b,,,,\n")


def test_hostile_names_are_quoted_and_kept_apart(read: Reader) -> None:
    """Formulas, quotes and separators in a name are text, and controls are refused and shown escaped."""
    roster = read(HEAD + '"=HYPERLINK(""http://x"")",a,,,"the \'second\', ""Otter""",\n')
    assert roster.entries[0].student == '=HYPERLINK("http://x")'
    assert roster.entries[0].alias == "the 'second', \"Otter\""
    message = refusal(read, HEAD + "s001,a,,,\x1b[31mred,\n" + f"{'x' * 300},b,,,,\n")
    assert "\x1b" not in message
    assert len(message) < 500


@pytest.mark.parametrize("text", ["", "\n\n", ",,,\n", "student,submission\n", "student,submission\n,\n"])
def test_a_roster_without_students_is_refused(read: Reader, text: str) -> None:
    """A file without a line of a student is a mistake."""
    assert refusal(read, text)


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    """The message names the file, and the fix its columns."""
    with pytest.raises(UsageError, match=r"none\.csv does not exist") as caught:
        read_roster(tmp_path / "none.csv", TAIPEI)
    assert "student,submission" in caught.value.fix
    with pytest.raises(UsageError, match="cannot be read"):
        read_roster(tmp_path, TAIPEI)


@pytest.mark.parametrize(
    ("extension", "deadline"),
    [
        ("", DEADLINE),
        ("0", DEADLINE),
        ("1.5", DEADLINE + timedelta(hours=36)),
        ("2030-03-02T23:59", DEADLINE + timedelta(days=1)),
        ("2030-03-02T15:59Z", DEADLINE + timedelta(days=1)),
        ("2029-03-02T23:59", DEADLINE),
    ],
)
def test_an_extension_moves_the_deadline(read: Reader, extension: str, deadline: datetime) -> None:
    """Days are added, a date replaces, and one before the deadline takes nothing away."""
    roster = read(HEAD + f"s001,a,,{extension},,\n")
    extended = roster.deadline_for("s001", DEADLINE.astimezone(TAIPEI))
    assert extended == deadline
    assert extended.tzinfo == TAIPEI
    assert roster.deadline_for("s999", DEADLINE) == DEADLINE
    assert roster.deadline_for("s001", None) is None


def test_a_day_of_extension_has_24_hours(read: Reader) -> None:
    """Over a night in which the clocks are set forward, the deadline stands an hour later on the clock."""
    deadline = datetime(2030, 3, 30, 12, 0, tzinfo=BERLIN)
    extended = read(HEAD + "s001,a,,1,,\n").deadline_for("s001", deadline)
    assert extended is not None
    assert extended.astimezone(UTC) - deadline.astimezone(UTC) == timedelta(days=1)
    assert extended.hour == 13


@pytest.mark.parametrize(
    ("stated", "earliest", "latest"),
    [("2030-10-27T02:30", "00:30", "01:30"), ("2030-03-31T02:30", "00:30", "01:30")],
    ids=["shown twice", "skipped"],
)
def test_a_time_that_is_not_clear_is_read_in_the_students_favour(
    read: Reader, stated: str, earliest: str, latest: str
) -> None:
    """A deadline is the later instant that is meant, a time of submission the earlier one."""
    entry = read(HEAD + f"s001,a,,{stated},,{stated}\n", BERLIN).entries[0]
    assert isinstance(entry.extension, datetime)
    assert entry.submitted is not None
    assert (f"{entry.submitted:%H:%M}", f"{entry.extension:%H:%M}") == (earliest, latest)


def test_ten_thousand_lines_are_read_in_a_moment(read: Reader) -> None:
    """A large course does not wait for its roster."""
    lines = (f"s{n:05},subs/{n},g{n // 3},{n % 4},alias {n},2030-03-01T{n % 24:02}:00" for n in range(10_000))
    began = time.monotonic()
    roster = read(HEAD + "\n".join(lines))
    assert len(roster.students()) == 10_000
    assert time.monotonic() - began < 5


def test_the_reference_is_right(read: Reader) -> None:
    """The example of the page on rosters is one, and the page has all columns."""
    page = (Path(__file__).parents[2] / "docs/reference/roster.md").read_text(encoding="utf-8")
    roster = read(page.split("```text\n")[1].split("```")[0])
    assert [entry.student for entry in roster.entries] == ["s001", "s002", "s003"]
    assert roster.students()["s002"].extension == timedelta(days=3)
    assert [column for column in COLUMNS if f"| `{column}` |" not in page] == []


@given(st.text(max_size=20))
def test_what_looks_the_same_is_the_same(name: str) -> None:
    """Blanks around a name and a second folding change nothing."""
    assert same(f" {same(name)} ") == same(name)
