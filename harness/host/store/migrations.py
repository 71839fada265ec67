"""Brings a store's tables to the form that this harness knows, by small steps in a fixed order.

A step is never changed once it was released: a store that was made by it would not get the change. The next
change of the tables is the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, MetaData, Table, func, insert, inspect, select

from harness.host.errors import UsageError
from harness.host.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from harness.host.store.database import Database

_VERSIONS = Table("schema_versions", MetaData(), Column("version", Integer, primary_key=True))
_LOCK = 0x68617273  # of PostgreSQL's advisory locks: one process at a time changes the tables


def _results(connection: Connection) -> None:
    """The tables of the first release."""
    tables.METADATA.create_all(connection)


def _only_added_to(connection: Connection) -> None:
    """Have the database itself refuse to change or remove a result."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "CREATE FUNCTION harness_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'results are only added to'; END$$"
        )
    for table in tables.METADATA.sorted_tables:
        for change in ("UPDATE", "DELETE"):
            start = f"CREATE TRIGGER {table.name}_no_{change.lower()} BEFORE {change} ON {table.name}"
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"{start} FOR EACH ROW EXECUTE FUNCTION harness_refuse()")
            else:
                refuse = "SELECT RAISE(ABORT, 'results are only added to')"
                connection.exec_driver_sql(f"{start} BEGIN {refuse}; END")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_results, _only_added_to)


def migrate(database: Database, steps: Sequence[Callable[[Connection], None]] = MIGRATIONS) -> None:
    """Take the steps that the database has not taken yet, all or none of them.

    Raises:
        UsageError: it was made by a later harness.
        StoreError: it cannot be read or written to.
    """
    with database.reading() as connection:
        if _version(connection) == len(steps):
            return
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        done = _version(connection)
        if done > len(steps):
            raise UsageError(
                f"{database.name} is in form {done} of a later harness, and this one knows form {len(steps)}",
                "use the harness that wrote it, or a later one",
            )
        _VERSIONS.create(connection, checkfirst=True)
        for version, step in enumerate(steps[done:], start=done + 1):
            step(connection)
            connection.execute(insert(_VERSIONS), {"version": version})


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(_VERSIONS.name):
        return 0
    return int(connection.execute(select(func.coalesce(func.max(_VERSIONS.c.version), 0))).scalar_one())
