"""A store's tables are brought to the form that the harness knows: in order, once, all or nothing."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, inspect, make_url, select, text

from harness.host.attempts import Attempts
from harness.host.errors import StoreError, UsageError
from harness.host.store.database import Database
from harness.host.store.migrations import migrate, only_add_to
from harness.host.store.place import Place
from harness.host.store.store import Store
from harness.host.store.tables import METADATA, RUNS
from tests.stored import Made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT_ONCE = 8
NOTES = Table("notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", String))


@pytest.fixture
def database(place: Place) -> Database:
    """An empty database."""
    return Database(make_url(place.url), "the store of results")


def add_notes(connection: Connection) -> None:
    """A change that a later harness could make: a table of its own, which is only added to."""
    NOTES.create(connection)
    only_add_to(connection, NOTES)


def add_grader(connection: Connection) -> None:
    """Another one: a column."""
    connection.execute(text("ALTER TABLE runs ADD COLUMN grader VARCHAR"))


def break_down(connection: Connection) -> None:
    """One that does something and then fails."""
    connection.execute(text("CREATE TABLE half (id INTEGER)"))
    connection.execute(text("SELECT no_such_column FROM runs"))


def tables(database: Database) -> set[str]:
    """The names of the tables that there are."""
    with database.reading() as connection:
        return set(inspect(connection).get_table_names())


def form(database: Database) -> list[int]:
    """The forms that it has been in, and is."""
    with database.reading() as connection:
        query = text("SELECT version FROM schema_versions ORDER BY version")
        return list(connection.execute(query).scalars())


def test_a_new_store_has_the_newest_form_at_once(database: Database) -> None:
    """Its tables are made as they are now; to open it again does nothing."""
    migrate(database)
    assert tables(database) == {*METADATA.tables, "schema_versions"}
    assert form(database) == [1]
    migrate(database)
    assert form(database) == [1]


def test_an_older_store_gets_the_changes_since_in_their_order(store: Store) -> None:
    """What is in it stays, and what it has had already is not done again."""
    run = Made().into(store)
    done: list[str] = []

    def noted(change: Callable[[Connection], None]) -> Callable[[Connection], None]:
        def do(connection: Connection) -> None:
            done.append(change.__name__)
            change(connection)

        return do

    migrate(store.database, [noted(add_notes)])
    migrate(store.database, [noted(add_notes), noted(add_grader)])
    migrate(store.database, [noted(add_notes), noted(add_grader)])

    assert done == ["add_notes", "add_grader"]
    assert form(store.database) == [1, 2, 3]
    with store.database.reading() as connection:
        assert connection.execute(text("SELECT id, grader FROM runs")).all() == [(run, None)]
    with store.database.writing() as connection:
        connection.execute(text("INSERT INTO notes (id) VALUES (1)"))
    with pytest.raises(StoreError, match="only added to"), store.database.writing() as connection:
        connection.execute(text("DELETE FROM notes"))


def test_changes_are_made_all_or_none(store: Store) -> None:
    """Where one breaks, those before it are not there either, and the store is what it was."""
    run = Made().into(store)
    before = tables(store.database)
    with pytest.raises(StoreError, match="no_such_column"):
        migrate(store.database, [add_notes, add_grader, break_down])
    assert tables(store.database) == before
    assert form(store.database) == [1]
    assert store.read(run, private=True).report.run.run_id == run
    migrate(store.database, [add_notes])
    assert form(store.database) == [1, 2]


def test_a_store_of_a_later_harness_is_refused(place: Place, store: Store) -> None:
    """It may mean something else by the same columns; nothing is changed in it."""
    migrate(store.database, [add_notes])
    with pytest.raises(UsageError, match="is in form 2 of a later harness, and this one knows form 1"):
        Store(place)
    assert form(store.database) == [1, 2]


def test_a_database_of_something_else_is_refused(database: Database, place: Place) -> None:
    """Nothing is put among another program's tables."""
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE grades (id INTEGER)"))
    with pytest.raises(UsageError, match="holds tables of something else"):
        Store(place)
    assert tables(database) == {"grades"}


def test_the_ledger_of_attempts_is_no_store(tmp_path: Path) -> None:
    """The other database that the harness keeps beside it, named by mistake, stays as it is."""
    Attempts(tmp_path / "attempts.sqlite")
    with pytest.raises(UsageError, match="holds tables of something else"):
        Store(Place(f"sqlite:///{tmp_path / 'attempts.sqlite'}", tmp_path))
    with sqlite3.connect(tmp_path / "attempts.sqlite") as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert {name for (name,) in names} == {"attempts", "endings"}


@pytest.mark.parametrize("there", [False, True], ids=["new", "older"])
def test_many_that_open_a_store_at_once_make_it_once(place: Place, *, there: bool) -> None:
    """Whoever comes first makes or changes the tables; the others wait and find that done."""
    if there:
        Store(place)
    start = threading.Barrier(AT_ONCE)
    done: list[str] = []

    def change(connection: Connection) -> None:
        done.append("changed")
        if there:
            add_notes(connection)

    def open_it(_: int) -> None:
        database = Database(make_url(place.url), "the store of results")
        start.wait()
        migrate(database, [change])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(open_it, range(AT_ONCE)))
    database = Database(make_url(place.url), "the store of results")
    assert done == (["changed"] if there else [])
    assert form(database) == ([1, 2] if there else [2])
    with database.reading() as connection:
        assert connection.execute(select(RUNS)).all() == []
