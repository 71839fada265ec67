"""Finds the rows of a class's students in a sheet, by whichever of its columns knows them best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.roster import same
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from harness.host.exports.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Identity:
    """One way in which the rows of a sheet may name students.

    Attributes:
        label: for messages, such as ``the column 'SIS Login ID'``.
        names: what the row says, by its index.
    """

    label: str
    names: Mapping[int, str]


def identities_of(label: str, cells: Mapping[int, str]) -> list[Identity]:
    """What a column says of students: its cells, and of e-mail addresses also what stands before the @."""
    found = [Identity(label, cells)]
    if any("@" in cell for cell in cells.values()):
        before = {index: cell.partition("@")[0] for index, cell in cells.items()}
        found.append(Identity(f"what stands before the @ in {label}", before))
    return found


def match(
    sheet: Sheet, identities: Sequence[Identity], students: Collection[str]
) -> tuple[str, dict[int, str]]:
    """Match rows and students by the identity that finds most students, the first of those that find as many.

    Case, blanks and invisible characters make no difference.

    Returns:
        The identity's label, and the student of each row that has one.

    Raises:
        UsageError: nobody is found, two rows are one student's, or one row is two students'.
    """
    known: dict[str, list[str]] = {}
    for student in students:
        known.setdefault(same(student), []).append(student)
    found = [
        {index: meant for index, name in identity.names.items() if (meant := known.get(same(name)))}
        for identity in identities
    ]
    counts = [len({student for meant in rows.values() for student in meant}) for rows in found]
    if not any(counts):
        raise UsageError(_nobody(sheet, identities, students), _SAME_NAMES)
    best = counts.index(max(counts))
    label, rows = identities[best].label, found[best]
    first: dict[str, int] = {}
    for index, meant in rows.items():
        line = sheet.rows[index].line
        if len(meant) > 1:
            both = " and ".join(quoted(student) for student in meant)
            raise UsageError(f"{sheet.path}: line {line} is that of both {both}, by {label}", _SAME_NAMES)
        if (earlier := first.setdefault(meant[0], index)) != index:
            raise UsageError(
                f"{sheet.path}: lines {sheet.rows[earlier].line} and {line} are both of {quoted(meant[0])}, "
                f"by {label}",
                "take out one of the lines, or name students by something that tells them apart",
            )
    return label, {index: meant[0] for index, meant in rows.items()}


_SAME_NAMES = "name students on the roster, and when grading, as a column of the sheet does"


def _nobody(sheet: Sheet, identities: Sequence[Identity], students: Collection[str]) -> str:
    looked = [
        f"{identity.label} (as in {quoted(name)})"
        for identity in identities
        if (name := next(filter(None, identity.names.values()), None))
    ]
    return (
        f"{sheet.path}: none of the {len(students)} students (as {quoted(min(students))}) is in it; "
        f"looked at {', '.join(looked) or 'no column, since there is no row of a student'}"
    )
