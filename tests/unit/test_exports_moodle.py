"""Filling in a grading worksheet of Moodle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.exports.sheet import read_sheet
from tests.graded_class import Desk, assignment_in, runs

if TYPE_CHECKING:
    from pathlib import Path

WORKSHEET = (
    '\ufeffIdentifier,"Full name","ID number","Email address",Status,Grade,"Maximum Grade",'
    '"Grade can be changed","Last modified (submission)","Last modified (grade)","Feedback comments"\n'
    '"Participant 12345","Student One",u-1,s001@uni.example,"Submitted for grading - ",,10.00,Yes,'
    '"Friday, 1 March 2030, 10:14 PM",-,\n'
    '"Participant 12346","Student ""Two""",u-2,s002@uni.example,"Submitted for grading - ",4.00,10.00,Yes,'
    '"Friday, 1 March 2030, 11:02 PM","Monday, 4 March 2030, 9:00 AM","<p>See me,\nplease</p>"\n'
    '"Participant 12347",=Three,u-3,s003@uni.example,"No submission","5.00",10.00,No,-,-,\n'
    '"Participant 12348","Student Four",u-4,s004@uni.example,"No submission",,10.00,Yes,-,-,\n'
)
GERMAN = (
    'ID;"Vollständiger Name";E-Mail-Adresse;Status;Bewertung;Bestwertung;"Bewertung kann geändert werden";'
    '"Zuletzt geändert (Bewertung)"\r\n'
    'Teilnehmer/in12345;"Student One";s001@uni.example;Abgegeben;;10,00;Ja;-\r\n'
    'Teilnehmer/in12346;"Student Two";s002@uni.example;Abgegeben;3,50;10,00;Nein;-\r\n'
    'Teilnehmer/in12347;"Student Three";s003@uni.example;Abgegeben;;10,00;Ja;-\r\n'
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An assignment of 10 points."""
    return Desk(tmp_path, assignment_in(tmp_path))


def test_only_grades_change(desk: Desk) -> None:
    """Marks, quotes, dates, feedback with line breaks and line ends are there byte for byte."""
    filled = desk.export("moodle", runs(("s001@uni.example", 7.5), ("s002@uni.example", 10.0)), WORKSHEET)
    assert filled == WORKSHEET.replace('- ",,10.00', '- ",7.5,10.00').replace("4.00,10.00", "10,10.00")
    assert desk.told("2 of 2 students are found in sheet.csv by the column 'Email address'")
    assert desk.told("another grade was there before: 's002@uni.example'")


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        ("S001@uni.example", "s002@uni.example", "by the column 'Email address'"),
        ("s001", "s002", "by what stands before the @ in the column 'Email address'"),
        ("u-1", "u-2", "by the column 'ID number'"),
        ("Participant 12345", "participant 12346", "by the column 'Identifier'"),
        ("12345", "12346", "by the number in the column 'Identifier'"),
        ("student one", 'Student "Two"', "by the column 'Full name'"),
    ],
)
def test_students_are_found_by_whatever_names_them(desk: Desk, first: str, second: str, label: str) -> None:
    """Each column that names students will do, and the note says which it was."""
    filled = desk.export("moodle", runs((first, 7.5), (second, 6.0)), WORKSHEET)
    assert '- ",7.5,10.00' in filled
    assert '- ",6,10.00' in filled
    assert desk.told(label)


def test_a_grade_that_cannot_be_changed_stays(desk: Desk) -> None:
    """Moodle would not take it, and the user is told."""
    filled = desk.export("moodle", runs(("s001", 7.5), ("s003", 9.0)), WORKSHEET)
    assert '"No submission","5.00",10.00,No' in filled
    assert desk.told("left as they are: 's003' (the grade cannot be changed in Moodle)")


@pytest.mark.parametrize(("missing", "cell"), [("keep", ""), ("zero", "0")])
def test_students_without_a_run_get_what_was_asked_for(desk: Desk, missing: str, cell: str) -> None:
    """They keep what is there, or get 0, but for those whose grade is locked."""
    filled = desk.export("moodle", runs(("s001", 7.5)), WORKSHEET, missing=missing)
    assert f's004@uni.example,"No submission",{cell},10.00' in filled
    assert '"No submission","5.00",10.00,No' in filled


def test_a_worksheet_in_another_language_is_filled(desk: Desk) -> None:
    """With the column named, students, locked grades and the decimal comma are found all the same."""
    filled = desk.export("moodle", runs(("s001", 7.5), ("s002", 6.0)), GERMAN, column="Bewertung")
    assert filled == GERMAN.replace(
        "Abgegeben;;10,00;Ja;-\r\nTeilnehmer/in12346", "Abgegeben;7,5;10,00;Ja;-\r\nTeilnehmer/in12346"
    )
    assert desk.told("by what stands before the @ in the column 'E-Mail-Adresse'")
    assert desk.told("'s002' (the grade cannot be changed in Moodle)")


def test_a_blind_worksheet_is_filled_by_its_numbers(desk: Desk) -> None:
    """Where Moodle hides who students are, the number of the participant is enough."""
    sheet = (
        "Identifier,Status,Grade,Maximum Grade,Marking workflow state,Grade can be changed,Last modified\n"
        "Participant 71,Submitted,-,10.00,In marking,Yes,-\n"
        "Participant 72,Submitted,-,10.00,In marking,No,-\n"
    )
    filled = desk.export("moodle", runs(("71", 7.5), ("72", 6.0)), sheet)
    assert filled == sheet.replace("71,Submitted,-", "71,Submitted,7.5")


def test_another_maximum_is_pointed_out(desk: Desk) -> None:
    """Nothing is scaled; a grade over the maximum, which Moodle would skip in silence, is named."""
    sheet = WORKSHEET.replace("10.00", "5.00")
    desk.export("moodle", runs(("s001", 7.5)), sheet)
    assert desk.told("CHECK THIS: the LMS gives 5.00 points at most, the runs were graded out of 10")
    assert desk.told("CHECK THIS: more points than the LMS gives: 's001'")


@pytest.mark.parametrize(
    ("sheet", "column", "named", "fix"),
    [
        (GERMAN, None, "no column is named 'Grade'; there are 'ID', 'Vollständiger Name'", "--column"),
        (GERMAN, "Bewertungen", "no column is named 'Bewertungen'", "did you mean --column 'Bewertung'?"),
        (WORKSHEET, "Full name", "line 2: 'Student One' in the column 'Full name' is no number", "--column"),
        (WORKSHEET.replace(",Status", ",Grade"), None, "more than one column is named 'Grade'", "--column"),
        (WORKSHEET.replace('"Maximum Grade"', "Scale"), None, "graded by a scale", "by points"),
        (WORKSHEET.replace("4.00", "Good"), None, "'Good' in the column 'Grade' is no number", "by points"),
        (WORKSHEET.replace("s002@", "s001@"), None, "lines 2 and 3 are both of 's001'", "take out one"),
        (
            WORKSHEET.replace("s001@uni.example", "x"),
            None,
            "none of the 1 students (as 's001')",
            "name students",
        ),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused(
    desk: Desk, sheet: str, column: str | None, named: str, fix: str
) -> None:
    """The message says what was looked for and where, and the fix what to do."""
    with pytest.raises(UsageError) as caught:
        desk.export("moodle", runs(("s001", 7.5)), sheet, column=column)
    assert named in caught.value.message
    assert fix in caught.value.fix


def test_hostile_names_are_quoted_in_notes(desk: Desk) -> None:
    """What a note says of a student is on one line, escaped and cut short."""
    name = "\x1b[31m::error::\n" + "x" * 300
    desk.export("moodle", runs(("s001", 7.5), (name, 1.0)), WORKSHEET)
    assert desk.told("not in the sheet, though there is a run: '\\x1b[31m")
    assert not any({"\x1b", "\n"} & set(note) or len(note) > 300 for note in desk.notes)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["s001", "s002", "s003", "s004"]), st.floats(0, 20), min_size=1),
    st.sampled_from(["keep", "zero"]),
    st.sampled_from([WORKSHEET, GERMAN]),
)
def test_filling_touches_grades_alone(desk: Desk, points: dict[str, float], missing: str, sheet: str) -> None:
    """Whoever has a grade, each cell outside the column stays, byte for byte, and so do locked ones."""
    if sheet is GERMAN and set(points) == {"s004"}:
        points = {"s001": 1.0}
    column = 5 if sheet is WORKSHEET else 4
    name = None if sheet is WORKSHEET else "Bewertung"
    filled = desk.export("moodle", runs(*points.items()), sheet, missing=missing, column=name)
    before = read_sheet(desk.folder / "sheet.csv")
    (desk.folder / "filled.csv").write_bytes(filled.encode())
    after = read_sheet(desk.folder / "filled.csv")
    assert after.mark == before.mark
    for was, now in zip(before.rows, after.rows, strict=True):
        changed = [index for index, cell in enumerate(now.raw) if cell != was.raw[index]]
        assert changed in ([], [column])
        assert not ({"No", "Nein"} & set(was.raw) and changed)
