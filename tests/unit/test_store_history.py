"""The store keeps every result once, and every later word on it beside the earlier one."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from harness.host.errors import StoreError, UsageError
from harness.host.records import Baseline, Check, Interval
from harness.host.store.hand_ins import microseconds
from harness.host.store.listing import chosen_runs, current_runs, replacements
from harness.host.store.store import Store
from harness.host.store.tables import CHOICES, METADATA, PRIVATE_SCORES, RUNS, SCORES
from tests.stored import NOON, Made, later

if TYPE_CHECKING:
    from sqlalchemy import Executable, Table

    from harness.host.store.place import Place

AT_ONCE = 8
ROOT = Path(__file__).parents[2]
RECORD = """
import sys
from pathlib import Path
from harness.host.store.place import Place
from harness.host.store.store import Store
from tests.stored import Made
store = Store(Place(sys.argv[1], Path(sys.argv[2])))
print("ready", flush=True)
sys.stdin.readline()
print(Made().into(store, again=sys.argv[3] == "again"))
"""


def current(store: Store) -> list[str]:
    """The ids of the runs that nothing replaces, in the order of recording."""
    return [rows.run["id"] for rows in current_runs(store, "hw1-bikes", private=True)]


def count(store: Store, table: Table) -> int:
    """How many rows a table has."""
    with store.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a row in each table."""
    store.choose(Made().into(store))
    store.record_fault("hw1-bikes", "s001", "s001.zip", "the engine is gone", "start it")
    return store


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=str)
def test_database_itself_refuses_to_change_what_it_has(filled: Store, table: Table) -> None:
    """No row can be changed, removed or put in the place of another one, in whatever way somebody tries."""
    with filled.database.reading() as connection:
        before = connection.execute(select(table)).all()
    [row] = [dict(each._mapping) for each in before]
    key = next(column for column in table.c if column.primary_key)
    empty = "DELETE FROM" if filled.database.is_sqlite else "TRUNCATE"
    attempts: list[Executable] = [
        update(table).values({key: row[key.name] + 1}),
        delete(table).where(key == row[key.name]),
        delete(table),
        text(f"{empty} {table.name}" + ("" if filled.database.is_sqlite else " CASCADE")),
    ]
    if filled.database.is_sqlite:
        attempts.append(insert(table).prefix_with("OR REPLACE").values(row))
    for attempt in attempts:
        with (
            pytest.raises(StoreError, match="results are only added to"),
            filled.database.writing() as connection,
        ):
            connection.execute(attempt)
    with filled.database.reading() as connection:
        assert connection.execute(select(table)).all() == before


def test_transaction_that_breaks_leaves_nothing(store: Store) -> None:
    """A run whose score cannot be written is not there either; its artifacts harm nobody."""
    report = Made().report()
    unheard_of = Baseline("boss", object())  # type: ignore[arg-type]
    report = replace(report, run=replace(report.run, baselines=(unheard_of,)))
    with pytest.raises((StoreError, TypeError), match="not JSON serializable"):
        Made().into(store, report=report)
    assert [count(store, table) for table in METADATA.sorted_tables] == [0] * len(METADATA.tables)
    assert current(store) == []


def test_same_work_has_one_result(store: Store) -> None:
    """Who grades it again, by whatever run, gets the first one's id, and nothing is added."""
    first = Made().into(store)
    assert Made().into(store) == first
    assert current(store) == [first]
    assert count(store, SCORES) == 1


def test_other_work_has_a_result_of_its_own(store: Store) -> None:
    """Another student, assignment, model, time of handing in, or other data: each is another run."""
    made = [Made(), Made("s002"), Made(assignment="hw2"), Made(model="x = 1"), Made(submitted=later(1))]
    ids = [each.into(store) for each in made]
    ids.append(Made("s003").into(store, ran_by="c" * 64))
    ids.append(Made("s003").into(store, ran_by="d" * 64))
    assert len(set(ids)) == 7
    assert count(store, RUNS) == 7


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_threads_that_record_the_same_at_once(store: Store, *, again: bool) -> None:
    """There is one result at the end; what is to be added again is a chain, without two heads."""
    start = threading.Barrier(AT_ONCE)

    def work(_: int) -> str:
        start.wait()
        return Made().into(store, again=again)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ids = set(pool.map(work, range(AT_ONCE)))
    assert count(store, RUNS) == len(ids) == (AT_ONCE if again else 1)
    assert len(current(store)) == 1
    assert set(current(store)) <= ids


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_processes_that_open_a_new_store_and_record_the_same_at_once(place: Place, *, again: bool) -> None:
    """As with threads; who opens the store first makes its tables, and the others find them."""
    words = [sys.executable, "-c", RECORD, place.url, str(place.artifacts), "again" if again else "once"]
    processes = [
        subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(AT_ONCE)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * AT_ONCE
    store = Store(place)
    assert len(set(said)) == count(store, RUNS) == (AT_ONCE if again else 1)
    assert len(current(store)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_who_goes_back_to_an_earlier_version_has_three_runs(store: Store, order: tuple[int, ...]) -> None:
    """A, B and A again are three, in whatever order they are graded, so that the last one is the last one."""
    handed_in = [Made(model="A"), Made(model="B", submitted=later(1)), Made(model="A", submitted=later(2))]
    ids = {number: handed_in[number].into(store) for number in order}
    assert len(set(ids.values())) == 3
    graded = store.graded("hw1-bikes")
    for number, made in enumerate(handed_in):
        assert graded.run_of("s001", made.key(), made.submitted) == ids[number]


def test_what_was_graded_before_is_known_by_its_work_and_time(store: Store) -> None:
    """Files that were only copied have a later date and nothing new; an earlier date or other work has."""
    a = Made(model="A", submitted=later(1)).into(store)
    key = Made(model="A").key()

    def run_of(made: Made, days: float, student: str = "s001") -> str | None:
        return store.graded("hw1-bikes").run_of(student, made.key(), later(days))

    assert run_of(Made(model="A"), 1) == a
    assert run_of(Made(model="A"), 5) == a
    assert run_of(Made(model="A"), 0) is None
    assert run_of(Made(model="B"), 1) is None
    assert run_of(Made(model="A"), 1, "s002") is None
    b = Made(model="B", submitted=later(2)).into(store)
    assert run_of(Made(model="A"), 5) is None
    assert run_of(Made(model="A"), 1.5) == a
    assert run_of(Made(model="B"), 5) == b
    assert store.graded("hw2").run_of("s001", key, later(1)) is None


def test_two_works_of_one_moment_are_both_known(store: Store) -> None:
    """A roster may have a date without a time for several hand-ins of a day."""
    ids = {model: Made(model=model).into(store) for model in "AB"}
    graded = store.graded("hw1-bikes")
    assert {model: graded.run_of("s001", Made(model=model).key(), NOON) for model in "AB"} == ids


def test_a_student_is_known_however_they_are_spelled_out(store: Store) -> None:
    """A name that no database holds finds its runs all the same."""
    odd = Made("s\0\udc80")
    run = odd.into(store)
    assert store.graded("hw1-bikes").run_of(odd.student, odd.key(), odd.submitted) == run
    assert odd.into(store) == run


def test_run_that_is_made_again_takes_the_place_of_the_old_one(store: Store) -> None:
    """Of the same hand-in, whatever data or harness made it; the old one stays in the store."""
    first = Made().into(store)
    other = Made(model="B", submitted=later(1)).into(store)
    second = Made().into(store, again=True)
    third = Made().into(store, ran_by="e" * 64)
    assert current(store) == [other, third]
    assert {store.read(each, private=True).report.run.run_id for each in (first, second)} == {first, second}
    graded = store.graded("hw1-bikes")
    assert graded.run_of("s001", Made().key(), NOON) is None  # it was run with other data since
    assert graded.run_of("s001", Made().key("e" * 64), NOON) == third
    with store.database.reading() as connection:
        assert len(replacements(connection, "hw1-bikes")) == 2
        assert replacements(connection, "hw2") == {}


def test_result_is_the_run_that_is_current(store: Store) -> None:
    """Data that were changed back and forth do not bring back a run that was replaced."""
    Made().into(store, ran_by="a" * 64)
    Made().into(store, ran_by="b" * 64)
    third = Made().into(store, ran_by="a" * 64)
    assert current(store) == [third]


def test_choice_is_added_and_goes_over_to_the_run_that_replaces(store: Store) -> None:
    """The last choice counts; the earlier ones stay."""
    a, b = Made(model="A").into(store), Made(model="B", submitted=later(1)).into(store)
    row_of_b = store.choose(b)
    row_of_a = store.choose(a[:9].upper())
    assert (row_of_a["id"], row_of_b["id"]) == (a, b)
    new_a = store.read(Made(model="A").into(store, again=True), private=False).row["number"]
    with store.database.reading() as connection:
        chosen = chosen_runs(connection, replacements(connection, "hw1-bikes"))
    assert list(chosen) == [row_of_b["number"], new_a]
    assert chosen[new_a] > chosen[row_of_b["number"]]
    assert count(store, CHOICES) == 2


def test_runs_are_named_by_the_beginnings_of_their_ids(store: Store) -> None:
    """Four characters at least, in either case, as long as no other run begins so."""
    Made("s001", run_id="abcd000011112222").into(store)
    Made("s002", run_id="abcd000033334444").into(store)
    assert store.read(" ABCD00001 ", private=False).student == "s001"
    assert store.read("abcd000033334444", private=False).student == "s002"
    for named, said in [
        ("abcd0000", "several runs begin with abcd0000"),
        ("abcd1", "there is no run abcd1"),
        ("abcd0000111122223", "there is no run abcd0000111122223"),
        ("abc", "'abc' is no run"),
        ("", "'' is no run"),
        ("%%%%%", "'%%%%%' is no run"),
        ("____", "'____' is no run"),
        ("abcd\0", r"'abcd\x00' is no run"),
        ("\udc80\udc80\udc80\udc80", r"'\udc80\udc80\udc80\udc80' is no run"),
    ]:
        with pytest.raises(UsageError) as refused:
            store.read(named, private=True)
        assert refused.value.message == said
    with pytest.raises(UsageError, match="there is no run"):
        store.choose("ffff")


def test_newest_score_counts_and_the_others_stay(store: Store) -> None:
    """All that are written together count at once; each student sees the new one."""
    ids = [Made(student).into(store) for student in ("s001", "s002")]
    numbers = [store.read(each, private=True).row["number"] for each in ids]
    reports = {}
    for number, run_id in zip(numbers, ids, strict=True):
        report = store.read(run_id, private=True).report
        interval = Interval(10.0 + number, (9.0, 30.0), 50)
        score = replace(report.run.score, metric="mae", public=interval, private=interval)
        checks = (Check("other", "passed", 7.0, 8.0),)
        reports[number] = replace(report, run=replace(report.run, score=score), checks=checks)
    store.record_scores(reports, "f" * 64)

    for number, run_id in zip(numbers, ids, strict=True):
        assert repr(store.read(run_id, private=True).report) == repr(reports[number])
    for rows in current_runs(store, "hw1-bikes", private=True):
        assert rows.private is not None
        assert (rows.score["metric"], rows.private["scored_by"]) == ("mae", "f" * 64)
    with store.database.reading() as connection:
        metrics = connection.execute(select(SCORES.c.metric).order_by(SCORES.c.number)).scalars().all()
    assert metrics == ["rmse", "rmse", "mae", "mae"]
    assert count(store, PRIVATE_SCORES) == 4


def test_scores_are_added_all_or_none(store: Store) -> None:
    """Where one of them cannot be, the others are not there either."""
    number = store.read(Made().into(store), private=True).row["number"]
    report = Made().report()
    with pytest.raises(StoreError):
        store.record_scores({number: report, number + 1: report}, "f" * 64)
    assert count(store, SCORES) == 1


def test_who_reads_sees_one_state(store: Store) -> None:
    """What is recorded meanwhile is not there for one query and missing for the next."""
    Made("s001").into(store)
    numbers = select(func.count()).select_from(RUNS)
    with store.database.reading() as connection:
        before = connection.execute(numbers).scalar_one()
        Made("s002").into(store)
        assert connection.execute(numbers).scalar_one() == before == 1
    assert count(store, RUNS) == 2


@pytest.mark.parametrize("place", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_who_reads_cannot_write(store: Store) -> None:
    """Where the database knows such transactions, it holds a reader to it."""
    with pytest.raises(StoreError, match="read-only"), store.database.reading() as connection:
        connection.execute(insert(CHOICES), {"run": 1, "chosen": microseconds(NOON)})
