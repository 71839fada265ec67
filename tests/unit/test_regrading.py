"""What must be run again is found, and what was handed in is laid out as it was, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from harness.host.errors import UsageError
from harness.host.identity import run_digest
from harness.host.keeping import keep, key_of, key_of_path
from harness.host.records import Place
from harness.host.regrading import lay_out, to_run_again
from harness.host.store.tables import RUNS, SCORES
from harness.host.submission import load_submission
from tests.notebooks import CONFIG, MODEL, notebook
from tests.stored import NOON, Made, later, store_in
from tests.toy_class import CLASS, ToyCourse

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.grading import Graded
    from harness.host.records import Submission
    from harness.host.store.store import Store

READABLE = [student for student in CLASS if student != "unreadable"]
HOSTILE = [
    "../../outside",
    "/etc/passwd",
    "..",
    ".",
    "...",
    "",
    "a/../../b",
    "~",
    "-rf",
    "new\nline \x1b[31m",
    "NUL \0 and \udc80",
    "ü" * 300,
    "s001.zip",
    ".hidden",
]


@pytest.fixture
def toy(tmp_path: Path) -> ToyCourse:
    """The gallery's small course."""
    return ToyCourse(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return store_in(tmp_path)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder, deep enough that one could leave it."""
    folder = tmp_path / "a" / "b" / "laid out"
    folder.mkdir(parents=True)
    return folder


def again(store: Store, toy: ToyCourse, *named: str, everything: bool = False) -> list[str]:
    """Whose runs are to be made again."""
    return [row["student"] for row in to_run_again(store, toy.assignment, named, everything=everything)]


def test_runs_of_other_data_limits_or_harness_are_run_again(toy: ToyCourse, store: Store) -> None:
    """Those that are as they would be now are not, unless all are asked for."""
    toy.grade_class(store)
    assert again(store, toy) == []
    assert again(store, toy, everything=True) == list(CLASS)
    toy.edit(toy.own / "assignment.toml", "memory_mb = 700", "memory_mb = 800")
    assert again(store, toy) == READABLE
    keep(store, toy.grade("good"), "good", NOON, again=True)
    assert again(store, toy) == [student for student in READABLE if student != "good"]
    toy.edit(toy.own / "assignment.toml", "memory_mb = 800", "memory_mb = 700")
    assert again(store, toy) == ["good"]


def test_runs_of_another_harness_are_run_again(toy: ToyCourse, store: Store) -> None:
    """Its loops may have been others."""
    ran_by = run_digest(toy.assignment)
    Made("s001", assignment="toy").into(store, ran_by=ran_by)
    assert again(store, toy) == []
    assert again(store, toy, everything=True) == ["s001"]
    with store.database.writing() as connection:
        row = dict(connection.execute(select(RUNS)).mappings().one())
        row |= {"number": 2, "id": "f" * 16, "student": "s002", "harness": "0.0.1+abcdefabcdef"}
        connection.execute(insert(RUNS), row)
        score = dict(connection.execute(select(SCORES)).mappings().one())
        connection.execute(insert(SCORES), score | {"number": 2, "run": 2})
    assert again(store, toy) == ["s002"]


def test_new_scores_are_no_reason_to_run_again(toy: ToyCourse, store: Store) -> None:
    """Tiers, answers and checks reach no sandbox."""
    toy.grade_class(store)
    toy.edit(toy.own / "assignment.toml", "threshold = 0.6", "threshold = 0.5")
    toy.edit(toy.reference / "answers.csv", "\n", "\n\n")
    toy.write("test_own.py", "def test_it(): pass\n")
    assert again(store, toy) == []


def test_what_cannot_be_read_is_the_same_work_by_any_data(toy: ToyCourse, store: Store) -> None:
    """It has its result, so a batch does not count it as another attempt."""
    before = toy.grade("unreadable")
    run = keep(store, before, "unreadable", NOON)
    toy.edit(toy.own / "assignment.toml", "memory_mb = 700", "memory_mb = 800")
    key = key_of_path(toy.assignment, CLASS["unreadable"][0])
    assert key == key_of(before.assignment, None, before.report.run.message)
    assert store.graded("toy").run_of("unreadable", key, NOON) == run


def test_runs_that_are_named_are_run_again_once(toy: ToyCourse, store: Store) -> None:
    """By the beginnings of their ids, whatever made them; twice named is once."""
    runs = toy.grade_class(store)
    assert again(store, toy, runs["bad"][:8], runs["good"], runs["bad"]) == ["bad", "good"]
    other = Made(assignment="other").into(store)
    with pytest.raises(UsageError, match=f"run {other} is of other, not of toy") as told:
        again(store, toy, other)
    assert told.value.fix == f"harness regrade other --run {other}"
    with pytest.raises(UsageError, match="there is no run ffff"):
        again(store, toy, "ffff")


def test_what_was_handed_in_is_laid_out_file_by_file(store: Store, toy: ToyCourse, empty: Path) -> None:
    """Under its name, with its student and its time; it is the same submission."""
    ran_by = run_digest(toy.assignment)
    made = [Made("s001", "toy", later(1), model="A"), Made("s002", "toy", later(2), model="B", name="two")]
    ids = [each.into(store, ran_by=ran_by) for each in made]
    rows = to_run_again(store, toy.assignment, (), everything=True)

    handed_in, lost = lay_out(store, rows, empty)

    assert lost == []
    assert [(each.name, each.student, each.submitted) for each in handed_in] == [
        (f"s001 ({ids[0]})", "s001", later(1)),
        (f"s002 ({ids[1]})", "s002", later(2)),
    ]
    assert [each.path for each in handed_in] == [empty / ids[0] / "s001", empty / ids[1] / "two"]
    for each, was in zip(handed_in, made, strict=True):
        read = load_submission(each.path, max_bytes=1 << 20)
        assert (read.sha256, read.files) == (was.submission.sha256, was.submission.files)
    written = sorted(str(path.relative_to(empty)) for path in empty.rglob("*") if path.is_file())
    assert len(written) == 2 * len(made)


def test_what_is_known_of_a_notebook_is_known_after_it_was_run_again(
    toy: ToyCourse, store: Store, empty: Path
) -> None:
    """However often: its notes, and the cell of an error. What is run again are the files made of it."""
    path = empty.parent / "hw.ipynb"
    path.write_bytes(notebook("print('hello')", MODEL, CONFIG))
    first = load_submission(path, max_bytes=1 << 20)
    lines = first.files["model.py"].decode().splitlines()
    place = Place("model.py", lines.index("    def forward(self, x):") + 1)
    graded = toy.grade("broken")
    run = keep(store, told_at(graded, first, first.origin_of(place), "a" * 16), "s001", NOON)

    for number in (1, 2):
        before = store.read(run, private=False).report
        rows = to_run_again(store, toy.assignment, (), everything=True)
        [handed_in], _ = lay_out(store, rows, empty / str(number))
        read = load_submission(handed_in.path, max_bytes=1 << 20)
        assert (read.sha256, read.files, read.notes) == (first.sha256, first.files, ())
        run = keep(store, told_at(graded, read, place, f"{number}" * 16), "s001", NOON, again=True)
        after = store.read(run, private=False).report
        assert after.notes == before.notes == first.notes
        assert after.run.place == before.run.place == Place("hw.ipynb:cell 2", 9)


def told_at(graded: Graded, submission: Submission, place: Place, run_id: str) -> Graded:
    """A result as that of another submission, whose run ended at a place."""
    run = replace(graded.report.run, run_id=run_id, place=place)
    report = replace(graded.report, run=run, notes=submission.notes, submission_sha256=submission.sha256)
    return replace(graded, report=report, submission=submission)


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_no_name_leads_out_of_the_folder(store: Store, toy: ToyCourse, empty: Path, name: str) -> None:
    """However a submission was called, its files lie in a folder of its own, and nothing lies elsewhere."""
    run = Made("s001", "toy", name=name).into(store)
    before = {path for path in empty.parents[2].rglob("*") if not path.is_relative_to(empty)}

    [handed_in], _ = lay_out(store, to_run_again(store, toy.assignment, (), everything=True), empty)

    after = {path for path in empty.parents[2].rglob("*") if not path.is_relative_to(empty)}
    assert after == before
    assert handed_in.path.parent == empty / run
    assert handed_in.path.resolve().is_relative_to(empty.resolve() / run)
    assert sorted(path.name for path in handed_in.path.iterdir()) == ["config.toml", "model.py"]
    assert load_submission(handed_in.path, max_bytes=1 << 20).sha256 == Made("s001").submission.sha256


def test_what_is_not_there_any_more_is_left_out(toy: ToyCourse, store: Store, empty: Path) -> None:
    """What could not be read was never kept; what was kept and is gone is told. The others are laid out."""
    runs = toy.grade_class(store)
    row = store.read(runs["wrong config"], private=False).row
    (store.artifacts.folder / row["content"][:2] / row["content"][2:]).write_bytes(b"damaged")
    rows = to_run_again(store, toy.assignment, (), everything=True)

    handed_in, lost = lay_out(store, rows, empty)

    assert [each.student for each in handed_in] == [
        student for student in CLASS if student not in {"unreadable", "wrong config"}
    ]
    assert [error.message.endswith("is not what was written") for error in lost] == [True]
    assert len(rows) - len(handed_in) - len(lost) == 1
