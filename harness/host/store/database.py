"""Opens a database, SQLite or PostgreSQL, and says what is wrong with it in the harness's own words.

In SQLite a transaction that writes takes the lock at once: what it read holds until its commit. The file is
in WAL mode, so that nobody who reads waits for one who writes.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from harness.host.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 30.0  # what a command waits for others that write
SECONDS_BETWEEN_TRIES = 0.01
_WRITES = "harness_writes"
_FULL = ("disk is full", "No space left on device", "disk I/O error")
_NO_DATABASE = "file is not a database"


class Database:
    """One database; it is opened for each transaction, so that processes may share it and fork.

    Args:
        url: SQLAlchemy's, for SQLite or PostgreSQL.
        what: what is kept in it, for messages.

    Raises:
        UsageError: the URL is none of these, or the driver for it is not installed.
    """

    def __init__(self, url: URL, what: str) -> None:
        self.name = url.database or "" if _is_sqlite(url) else url.render_as_string(hide_password=True)
        self._what = what
        self._engine = _engine(url)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._faults_of_machine(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept if the block ends well.

        Raises:
            StoreError: the database cannot be written to.
        """
        with self._faults_of_machine(), self._engine.connect() as connection:
            writer = connection.execution_options(**{_WRITES: True})
            with writer.begin():
                yield writer

    @contextmanager
    def _faults_of_machine(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).strip()
            raise StoreError(f"{self._what} {self.name}: {reason}", _fix(reason)) from error


def _fix(reason: str) -> str:
    if any(words in reason for words in _FULL):
        return "free some space and start the command again; what was stored is whole"
    if _NO_DATABASE in reason:
        return "that file is something else: name another one, or move it away"
    return "see that it can be reached and written to, its folder too"


def url_of(text: str | Path) -> URL:
    """The URL of a database that is named by a URL or by a file's path.

    Raises:
        UsageError: it is no URL that can be read.
    """
    named = str(text)
    if "://" not in named:
        return URL.create("sqlite", database=named)
    try:
        url = make_url(named)
    except (ArgumentError, ValueError) as error:
        raise UsageError("the URL of the database cannot be read", _FORMS) from error
    if _is_sqlite(url) and not url.database:
        raise UsageError("the URL of the database names no file", _FORMS)
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


_FORMS = "name a file, or postgresql://USER@HOST/DATABASE"


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> Engine:
    backend = url.drivername
    if not (_is_sqlite(url) or backend == "postgresql+psycopg"):
        raise UsageError(f"a database of the kind {backend} is not known here", _FORMS)
    arguments = {"timeout": BUSY_SECONDS} if _is_sqlite(url) else {}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise UsageError(
            "PostgreSQL needs a package that is not installed", "pip install 'harness[postgres]'"
        ) from error
    except (NoSuchModuleError, ArgumentError) as error:
        raise UsageError(f"a database of the kind {backend} is not known here", _FORMS) from error
    if _is_sqlite(url):
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    return engine


def _leave_transactions_to_us(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    _write_ahead(connection)
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Put the file into WAL mode; the lock that this takes does not wait for others by itself, so we do."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(SECONDS_BETWEEN_TRIES)
        else:
            return
