"""Filling in a gradebook of Canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.exports.sheet import read_sheet
from tests.graded_class import LATE, Desk, assignment_in, runs

if TYPE_CHECKING:
    from pathlib import Path

HEAD = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Notes,Homework 1 (4711),Homework 10 (4720),"
    '"Quiz, part ""A"" (4730)",Assignments Current Score,Final Score\r\n'
)
POSTING = ",,,,,,,Manual Posting,,,\r\n"  # of another assignment
POSSIBLE = "    Points Possible,,,,,,10.00,10.00,5.00,(read only),(read only)\r\n"
STUDENTS = (
    '"One, Student",101,u-1,s001@uni.example,Section 1,"=HYPERLINK(""http://x"")",,9.00,,90.00,90.00\r\n'
    '"Two, Student",102,u-2,s002@uni.example,"Section 1 and Section 2","two\nlines",3.00,,"4.50",,\r\n'
    '"=""=Three""",103,u-3,s003@uni.example,Section 1,,EX,N/A,,,\r\n'
    '"Four, Student",104,u-4,s004@uni.example,Section 2,,N/A,,,,\r\n'
    '"Five, Student",105,u-5,s005@uni.example,Section 2,,"8.25",,,,\r\n'
    '"Student, Test",199,,8f3a,Section 1,,,,,,\r\n'
)
GRADEBOOK = HEAD + POSTING + POSSIBLE + STUDENTS


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An assignment whose title is Homework 1."""
    return Desk(tmp_path, assignment_in(tmp_path, late=LATE))


def test_only_the_cells_of_the_assignment_change(desk: Desk) -> None:
    """All else stays byte for byte: header, posting, points possible, quotes, formulas and line ends."""
    filled = desk.export("canvas", runs(("s001@uni.example", 7.5), ("s002@uni.example", 10.0)), GRADEBOOK)
    expected = GRADEBOOK.replace(')",,9.00', ')",7.5,9.00').replace('lines",3.00', 'lines",10')
    assert filled == expected
    assert desk.told("2 of 2 students are found in sheet.csv by the column 'SIS Login ID'")
    assert desk.told("another grade was there before: 's002@uni.example'")
    assert desk.told("2 grades are filled in")


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        ("101", "102", "by the column 'ID'"),
        ("u-1", "U-2", "by the column 'SIS User ID'"),
        ("s001@uni.example", "s002@uni.example", "by the column 'SIS Login ID'"),
        ("s001", "s002", "by what stands before the @ in the column 'SIS Login ID'"),
        ("One, Student", "two, student", "by the column 'Student'"),
        ("Student One", "Student  Two", "by the column 'Student', first names first"),
    ],
)
def test_students_are_found_by_whatever_names_them(desk: Desk, first: str, second: str, label: str) -> None:
    """Each column that names students will do, case and blanks aside, and the note says which it was."""
    filled = desk.export("canvas", runs((first, 7.5), (second, 6.0)), GRADEBOOK)
    assert ')",7.5,9.00' in filled
    assert 'lines",6,' in filled
    assert desk.told(label)


def test_names_in_two_columns_will_do(desk: Desk) -> None:
    """A gradebook with first and last names apart is read too."""
    sheet = (
        "LastName,FirstName,ID,SIS Login ID,Section,Homework 1 (1)\n"
        "    Points Possible,,,,,10\n"
        "One,Student,101,x1,A,\n"
    )
    assert "x1,A,7\n" in desk.export("canvas", runs(("Student One", 7.0)), sheet)
    assert "x1,A,6\n" in desk.export("canvas", runs(("one, student", 6.0)), sheet)


def test_a_name_that_canvas_kept_from_being_a_formula_is_found(desk: Desk) -> None:
    """Canvas writes a name that begins with = as a text formula."""
    sheet = GRADEBOOK.replace(",EX,", ",,")
    assert "Section 1,,4,N/A" in desk.export("canvas", runs(("=Three", 4.0)), sheet)


def test_the_column_with_most_of_the_class_counts(desk: Desk) -> None:
    """One student who is named like another's id does not decide."""
    frame = runs(("101", 1.0), ("s002", 2.0), ("s005", 3.0))
    filled = desk.export("canvas", frame, GRADEBOOK)
    assert desk.told("2 of 3 students")
    assert desk.told("not in the sheet, though there is a run: '101'")
    assert ')",,9.00' in filled


def test_excused_and_unassigned_students_stay(desk: Desk) -> None:
    """``EX`` and ``N/A`` are somebody's decision, and are told."""
    filled = desk.export("canvas", runs(("s001", 1.0), ("s003", 2.0), ("s004", 3.0)), GRADEBOOK)
    assert ",EX,N/A," in filled
    assert "Section 2,,N/A," in filled
    assert desk.told("left as they are: 's003' (excused), 's004' (not assigned to them)")


@pytest.mark.parametrize(("missing", "cell"), [("keep", '"8.25"'), ("zero", '"0"')])
def test_students_without_a_run_get_what_was_asked_for(desk: Desk, missing: str, cell: str) -> None:
    """By default they keep what is there; zeros spare only the excused, and are told where a grade goes."""
    roster = "student,submission\ns001,a\ns005,\n"
    filled = desk.export("canvas", runs(("s001", 9.0)), GRADEBOOK, roster, missing=missing)
    assert f"Section 2,,{cell},,,," in filled
    assert ("8f3a,Section 1,,0,,,,\r\n" in filled) == (missing == "zero")
    assert ",EX,N/A," in filled
    assert desk.told(
        "another grade was there before: line 5, 's005'" if missing == "zero" else "cells stay as they are"
    )


def test_lateness_is_taken_off(desk: Desk) -> None:
    """What is filled in are the final points, rounded to the two decimals that Canvas shows."""
    frame = runs(("s001", 7.77, "2030-03-02T10:00:00Z"), ("s002", 0.125), ("s005", 2 / 3))
    filled = desk.export("canvas", frame, GRADEBOOK)
    assert ')",6.99,9.00' in filled
    assert 'lines",0.13,' in filled
    assert 'Section 2,,"0.67",' in filled


def test_other_points_possible_are_pointed_out(desk: Desk) -> None:
    """Nothing is scaled where Canvas gives other points than the harness, and the user is told."""
    filled = desk.export("canvas", runs(("s001", 12.0), max_points=20.0), GRADEBOOK)
    assert ')",12,9.00' in filled
    assert desk.told("CHECK THIS: the LMS gives 10.00 points at most, the runs were graded out of 20")
    assert desk.told("CHECK THIS: more points than the LMS gives: 's001'")


def test_semicolons_and_decimal_commas_stay(desk: Desk) -> None:
    """A gradebook in a European form is filled in its own form, byte order mark and all."""
    sheet = (
        "\ufeffStudent;ID;SIS Login ID;Section;Homework 1 (1)\n"
        "    Points Possible;;;;10,00\n"
        '"One, Student";101;s001;A;3,25\n'
        '"Two, Student";102;s002;A;\n'
    )
    filled = desk.export("canvas", runs(("s001", 7.5), ("s002", 0.25)), sheet)
    assert filled == sheet.replace("A;3,25", "A;7,5").replace("s002;A;", "s002;A;0,25")


@pytest.mark.parametrize("column", ["Homework 10 (4720)", "homework 10", "4720"])
def test_the_column_can_be_chosen(desk: Desk, column: str) -> None:
    """By its whole name, by the name without the id, or by the id."""
    assert ')",,7.5,,' in desk.export("canvas", runs(("s001", 7.5)), GRADEBOOK, column=column)


def test_the_title_may_be_the_beginning_of_the_name(desk: Desk) -> None:
    """A column that says more than the title is found, if it is the only one."""
    sheet = GRADEBOOK.replace("Homework 1 (", "Homework 1: bikes (").replace("Homework 10", "Essay")
    assert ')",7.5,9.00' in desk.export("canvas", runs(("s001", 7.5)), sheet)


@pytest.mark.parametrize(
    ("change", "column", "named"),
    [
        (("Homework 1 (", "Homework 1: bikes ("), None, "more than one assignment's column begins with"),
        (
            ("Homework 1", "Essay "),
            None,
            "no assignment's column that can be filled in begins with 'Homework 1'",
        ),
        (("", ""), "Final Score", "is named 'Final Score'; there are 'Homework 1 (4711)'"),
        (("", ""), "Section", "no assignment's column"),
        (("10.00,10.00", "(read only),10.00"), "4711", "no assignment's column"),
        (("Homework 10 (4720)", "Homework 1 (4720)"), None, "more than one"),
    ],
)
def test_a_column_that_is_not_clear_is_refused(
    desk: Desk, change: tuple[str, str], column: str | None, named: str
) -> None:
    """The message lists the columns that can be filled in, and the fix names the option."""
    sheet = GRADEBOOK.replace(*change) if change[0] else GRADEBOOK
    with pytest.raises(UsageError) as caught:
        desk.export("canvas", runs(("s001", 7.5)), sheet, column=column)
    assert named in caught.value.message
    assert "(47" in caught.value.message
    assert "--column" in caught.value.fix


def test_a_misspelt_column_is_met_with_the_nearest(desk: Desk) -> None:
    """The fix is the option as it should be."""
    with pytest.raises(UsageError) as caught:
        desk.export("canvas", runs(("s001", 7.5)), GRADEBOOK, column="Homwork 10 (4720)")
    assert caught.value.fix == "did you mean --column 'Homework 10 (4720)'?"


@pytest.mark.parametrize(
    ("sheet", "named"),
    [
        ("Identifier,Full name,Grade\nParticipant 1,x,\n", "no gradebook of Canvas"),
        ("Student,ID,Section,Homework 1 (1)\nx,1,A,\n", "no line Points Possible"),
        (GRADEBOOK.replace("s002@", "s001@"), "lines 4 and 5 are both of 's001@uni.example'"),
        (HEAD + POSSIBLE, "there is no row of a student"),
        (
            GRADEBOOK.replace("s001@uni.example", "x"),
            "none of the 1 students (as 's001@uni.example') is in it",
        ),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused(desk: Desk, sheet: str, named: str) -> None:
    """The message says what was looked for and where."""
    with pytest.raises(UsageError) as caught:
        desk.export("canvas", runs(("s001@uni.example", 7.5)), sheet)
    assert named in caught.value.message


def test_two_students_in_one_row_are_refused(desk: Desk) -> None:
    """Runs under two spellings of one name are not guessed at."""
    with pytest.raises(UsageError, match="line 4 is that of both 'S001' and 's001'"):
        desk.export("canvas", runs(("s001", 7.5), ("S001", 6.0)), GRADEBOOK)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.dictionaries(st.sampled_from([f"s00{n}" for n in range(1, 7)]), st.floats(0, 20), min_size=1).filter(
        lambda grades: set(grades) - {"s006"}
    ),
    st.sampled_from(["keep", "zero"]),
)
def test_filling_touches_one_column_of_the_students(
    desk: Desk, points: dict[str, float], missing: str
) -> None:
    """Whoever has a grade, each cell outside the column and the students' lines stays, byte for byte."""
    filled = desk.export("canvas", runs(*points.items()), GRADEBOOK, missing=missing)
    before = read_sheet(desk.folder / "sheet.csv")
    (desk.folder / "filled.csv").write_bytes(filled.encode())
    after = read_sheet(desk.folder / "filled.csv")
    for number, (was, now) in enumerate(zip(before.rows, after.rows, strict=True)):
        changed = [index for index, cell in enumerate(now.raw) if cell != was.raw[index]]
        assert changed in ([], [6])
        assert number > 2 or not changed
