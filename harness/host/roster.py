"""Reads a class's roster: who handed in what, by which deadline, and under which name they appear.

The file is what a spreadsheet saves: a CSV whose header has ``student`` and ``submission``, and any of
``group``, ``extension``, ``alias`` and ``submitted``. Several lines of one student are several submissions;
what is said of the student on one of them holds for all.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.schema_errors import joined, quoted, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo
    from pathlib import Path

REQUIRED = ("student", "submission")
COLUMNS = (*REQUIRED, "group", "extension", "alias", "submitted")
HINT = "mend the file; docs/reference/roster.md lists its columns"
HOW_TO_SAVE = 'save it as CSV in UTF-8; in Excel: Save As, "CSV UTF-8 (Comma delimited)"'
MOST_DAYS = 366  # a longer extension is a year that was taken for a number, or a slip
LONGEST = {"student": 200, "submission": 4096, "group": 200, "alias": 60}

_DELIMITERS = (",", ";", "\t")
_DAYS = re.compile(r"\d{1,8}([.,]\d{1,6})?", re.ASCII)  # 1,5 is what a spreadsheet in Europe writes
_HAS_TIME = re.compile(r"[T ]\d", re.IGNORECASE)
_LONGEST_HEAD = 10_000  # characters
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_MOMENT = "a date with a time, as in 2030-03-01T23:59 or 2030-03-01T23:59+08:00"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a roster.

    Attributes:
        student: as the course names them.
        submission: what they handed in; None: nothing.
        address: the same as it is written, for who polls repositories; empty: nothing.
        group: of the student; empty: none.
        extension: a new deadline in UTC, or what is added to the deadline; None: neither.
        alias: what the leaderboard shows instead of the name; empty: none was chosen.
        submitted: when it was handed in, in UTC; None: the roster does not say.
        line: of the file, from 1; where a cell has line breaks, the first.
    """

    student: str
    submission: Path | None
    address: str
    group: str
    extension: datetime | timedelta | None
    alias: str
    submitted: datetime | None
    line: int


@dataclass(frozen=True, slots=True)
class Student:
    """What the roster says of a student; the fields are those of `Entry`."""

    group: str
    extension: datetime | timedelta | None
    alias: str


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster without a contradiction: each student has one group, one extension and one alias at most.

    Attributes:
        path: the file, for messages.
        entries: its lines in order; each has what any line says of its student.
    """

    path: Path
    entries: tuple[Entry, ...]
    _students: Mapping[str, Student]

    def students(self) -> Mapping[str, Student]:
        """What is known of each student, in the order in which they first appear."""
        return self._students

    def deadline_for(self, student: str, deadline: datetime | None) -> datetime | None:
        """When the student's time is over: the assignment's deadline, or a later one by an extension.

        An extension in days adds that many times 24 hours. One that ends before the deadline changes nothing.

        Args:
            student: need not be on the roster.
            deadline: the assignment's, with its time zone; None: it has none, and so has the student.
        """
        known = self._students.get(student)
        if deadline is None or known is None or known.extension is None:
            return deadline
        # In UTC, since within one time zone Python compares and adds by the clock on the wall.
        instant = deadline.astimezone(UTC)
        extended = known.extension if isinstance(known.extension, datetime) else instant + known.extension
        return max(instant, extended).astimezone(deadline.tzinfo)


def read_roster(path: Path, zone: tzinfo) -> Roster:
    """Read a roster, separated by commas, semicolons or tabs, in UTF-8 with or without a byte order mark.

    Args:
        path: of the file; submissions are relative to its folder. Whether they exist is not looked at.
        zone: of the times that name none. One that the clocks show twice, or skip, is taken in the student's
            favour.

    Raises:
        UsageError: the file is missing, is no CSV in UTF-8, or has a wrong column or cell, or lines that
            contradict each other; all of them are named.
    """
    try:
        text = _decoded(path, path.read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"{path} does not exist", "name a CSV file with the columns student,submission"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "name a file that you may read"
        ) from error
    problems: list[str] = []
    rows = _rows(path, text, problems)
    entries = [_entry(row, line, path.parent, zone, problems) for line, row in rows]
    known = _students(entries, problems)
    if problems:
        raise UsageError(f"{path}: {joined(problems)}", HINT)
    if not entries:
        raise UsageError(f"{path}: there is no student in it", HINT)
    filled = [
        replace(entry, group=facts.group, extension=facts.extension, alias=facts.alias)
        for entry in entries
        for facts in (known[entry.student],)
    ]
    return Roster(path, tuple(filled), known)


def same(name: str) -> str:
    """A form in which names that a reader would take for the same one are equal.

    Case, blanks, characters without a width, and forms of a letter that Unicode holds equal do not count.
    """
    seen = "".join(character for character in name if unicodedata.category(character) != "Cf")
    folded = unicodedata.normalize("NFKC", seen).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _decoded(path: Path, data: bytes) -> str:
    if data.startswith(_UTF_16) or b"\0" in data:
        raise UsageError(f"{path} is saved in UTF-16, which a spreadsheet calls Unicode text", HOW_TO_SAVE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}: line {line} is not in UTF-8", HOW_TO_SAVE) from None


def _rows(path: Path, text: str, problems: list[str]) -> list[tuple[int, dict[str, str]]]:
    """The lines that are not empty, each with its number and its cells by column."""
    delimiter = max(_DELIMITERS, key=lambda each: _known_names(text, each))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((line, [cell.strip() for cell in row]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}: line {line} is no CSV: {error}", HOW_TO_SAVE) from None
    if not rows:
        raise UsageError(f"{path} is empty", HINT)
    (_, names), *rest = rows
    names = [name.casefold() for name in names]
    _check_header(path, names)
    for line, row in rest:
        for number, cell in enumerate(row):
            if cell and (number >= len(names) or not names[number]):
                problems.append(
                    f"line {line}: {quoted(cell)} is in column {number + 1}, which the header does not name; "
                    "a cell that holds a separator must be in quotes"
                )
    return [(line, dict(zip(names, row, strict=False))) for line, row in rest]


def _known_names(text: str, delimiter: str) -> int:
    head = next(iter(text.lstrip().splitlines()), "")[:_LONGEST_HEAD]
    return sum(
        cell.strip().casefold() in COLUMNS for cell in next(csv.reader([head], delimiter=delimiter), [])
    )


def _check_header(path: Path, names: list[str]) -> None:
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    problems = [f"the column {quoted(name)} is there more than once" for name in repeated]
    problems += [
        f"{quoted(name)} is no column of a roster; {unknown(name, COLUMNS)}"
        for name in dict.fromkeys(names)
        if name and name not in COLUMNS
    ]
    problems += [f"there is no column {name}" for name in REQUIRED if name not in names]
    if problems:
        raise UsageError(f"{path}: line 1: {joined(problems)}", HINT)


def _entry(row: Mapping[str, str], line: int, folder: Path, zone: tzinfo, problems: list[str]) -> Entry:
    """A line as it stands; a wrong cell is told in `problems` and left out."""

    def wrong(column: str, allowed: str) -> None:
        found = row.get(column, "")
        shown = quoted(found) if found else "an empty cell"
        problems.append(f"line {line}, column {column}: {shown} must be {allowed}")

    if not row.get("student"):
        wrong("student", "the student's name or id")
    texts = {column: row.get(column, "") for column in LONGEST}
    for column, text in texts.items():
        if len(text) > LONGEST[column] or any(unicodedata.category(each) in _CONTROLS for each in text):
            wrong(column, f"one line of at most {LONGEST[column]} characters, without control characters")
            texts[column] = ""
    extension: datetime | timedelta | None = None
    submitted = None
    if written := row.get("extension"):
        extension = _days(written)
        extension = _moment(written, zone, latest=True) if extension is None else extension
        if extension is None:
            wrong("extension", f"a number of days up to {MOST_DAYS}, as in 3 or 1.5, or {_MOMENT}")
    if (written := row.get("submitted")) and (submitted := _moment(written, zone, latest=False)) is None:
        wrong("submitted", _MOMENT)
    path = folder / texts["submission"] if texts["submission"] else None
    return Entry(
        student=texts["student"],
        submission=path,
        address=texts["submission"],
        group=texts["group"],
        extension=extension,
        alias=texts["alias"],
        submitted=submitted,
        line=line,
    )


def _days(written: str) -> timedelta | None:
    if not _DAYS.fullmatch(written):
        return None
    days = float(written.replace(",", "."))
    return timedelta(days=days) if days <= MOST_DAYS else None


def _moment(written: str, zone: tzinfo, *, latest: bool) -> datetime | None:
    """The instant in UTC; of those that a clock set back or forward may mean, the latest or the earliest."""
    if not _HAS_TIME.search(written):
        return None  # a day alone: whether its beginning or its end is meant is not ours to say
    try:
        stated = datetime.fromisoformat(written.upper())
        if stated.tzinfo is not None:
            return stated.astimezone(UTC)
        meant = [stated.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    except (ValueError, OverflowError):
        return None
    return max(meant) if latest else min(meant)


def _students(entries: Iterable[Entry], problems: list[str]) -> dict[str, Student]:
    """What all lines together say of each student; where they contradict each other is told in `problems`."""
    lines: dict[str, dict[str, Entry]] = {}  # for each student and column, the first line that says something
    spelled: dict[str, Entry] = {}
    handed_in: dict[tuple[str, Path | None], int] = {}
    for entry in entries:
        if not entry.student:
            continue
        first = spelled.setdefault(same(entry.student), entry)
        if first.student != entry.student:
            problems.append(
                f"line {entry.line}, column student: {quoted(entry.student)} is {quoted(first.student)} "
                f"of line {first.line} but for case, blanks or the coding of letters; write it as there"
            )
        said = lines.setdefault(entry.student, {})
        for column in ("group", "extension", "alias"):
            value = getattr(entry, column)
            earlier = said.setdefault(column, entry) if value not in ("", None) else entry
            if getattr(earlier, column) != value:
                problems.append(
                    f"line {entry.line}, column {column}: {quoted(entry.student)} has another {column} "
                    f"on line {earlier.line}; state it once"
                )
        if (line := handed_in.setdefault((entry.student, entry.submission), entry.line)) != entry.line:
            problems.append(f"line {entry.line}: the student and the submission are those of line {line}")
    _check_aliases(
        {student: said["alias"] for student, said in lines.items() if "alias" in said}, spelled, problems
    )
    return {student: _facts(said) for student, said in lines.items()}


def _facts(said: Mapping[str, Entry]) -> Student:
    return Student(
        group=said["group"].group if "group" in said else "",
        extension=said["extension"].extension if "extension" in said else None,
        alias=said["alias"].alias if "alias" in said else "",
    )


def _check_aliases(aliases: Mapping[str, Entry], spelled: Mapping[str, Entry], problems: list[str]) -> None:
    """Nobody appears under a name that belongs to somebody else."""
    taken: dict[str, Entry] = {}
    for student, entry in aliases.items():
        alias = same(entry.alias)
        other = spelled.get(alias) or taken.setdefault(alias, entry)
        if other.student != student:
            whose = "the name" if same(other.student) == alias else "the alias"
            problems.append(
                f"line {entry.line}, column alias: {quoted(entry.alias)} is {whose} of "
                f"{quoted(other.student)} (line {other.line}); an alias must be of one's own"
            )
