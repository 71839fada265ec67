"""Makes a store's tables, and brings those of an earlier harness to the form that this one knows.

A new store is made as `tables` has it. An older one gets the changes since then, one after another; a change
is never altered once it was released, since a store that was changed by it would not get the alteration. So
whoever alters `tables` adds a change that does the same to what is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, Table, func, insert, inspect, select

from harness.host.errors import UsageError
from harness.host.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from harness.host.store.database import Database

_FORMS = Table("schema_versions", MetaData(), Column("version", Integer, primary_key=True))
_REFUSAL = "results are only added to"

CHANGES: tuple[Callable[[Connection], None], ...] = ()  # since the first form


def migrate(database: Database, changes: Sequence[Callable[[Connection], None]] = CHANGES) -> None:
    """Make the tables, or take the changes that they have not had yet, all or none of them.

    Raises:
        UsageError: it was made by a later harness, or is of something else.
        StoreError: it cannot be read or written to.
    """
    newest = 1 + len(changes)
    with database.reading() as connection:
        if _form(connection) == newest:
            return
    with database.writing() as connection:
        database.alone(connection, "changes the tables")
        form = _form(connection)
        if form > newest:
            raise UsageError(
                f"{database.name} is in form {form} of a later harness, and this one knows form {newest}",
                "use the harness that wrote it, or a later one",
            )
        if not form:
            if inspect(connection).get_table_names():
                raise UsageError(
                    f"{database.name} holds tables of something else",
                    "name a file or a database of the store's own",
                )
            _make(connection)
            _FORMS.create(connection)
            connection.execute(insert(_FORMS), {"version": newest})
            return
        for version, change in enumerate(changes[form - 1 :], start=form + 1):
            change(connection)
            connection.execute(insert(_FORMS), {"version": version})


def _form(connection: Connection) -> int:
    """The form of the tables, from 1; 0: there are none."""
    if not inspect(connection).has_table(_FORMS.name):
        return 0
    return int(connection.execute(select(func.coalesce(func.max(_FORMS.c.version), 0))).scalar_one())


def _make(connection: Connection) -> None:
    tables.METADATA.create_all(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "CREATE FUNCTION harness_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN RAISE EXCEPTION '{_REFUSAL}'; END$$"
        )
    for table in tables.METADATA.sorted_tables:
        only_add_to(connection, table)


def only_add_to(connection: Connection, table: Table) -> None:
    """Have the database itself refuse to change or remove a row of a table."""
    if connection.dialect.name == "postgresql":
        for change, each in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table.name}_no_{change.lower()} BEFORE {change} ON {table.name} "
                f"FOR EACH {each} EXECUTE FUNCTION harness_refuse()"
            )
        return
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for change in ("UPDATE", "DELETE"):
        name = f"{table.name}_no_{change.lower()}"
        connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE {change} ON {table.name} {refuse}")
    # INSERT OR REPLACE takes a row away without asking what guards deletion.
    same = " OR ".join(f"{column.name} = NEW.{column.name}" for column in table.c if _is_unique(column))
    there = f"EXISTS (SELECT 1 FROM {table.name} WHERE {same})"  # noqa: S608  of our own names
    connection.exec_driver_sql(
        f"CREATE TRIGGER {table.name}_no_replace BEFORE INSERT ON {table.name} WHEN {there} {refuse}"
    )


def _is_unique(column: Column[Any]) -> bool:
    return column.primary_key or bool(column.unique)
