"""Opens a database, SQLite or PostgreSQL, and says what is wrong with it in the harness's own words.

In SQLite a transaction that writes takes the lock at once: what it read holds until its commit. The file is
in WAL mode, so that nobody who reads waits for one who writes. In PostgreSQL whoever reads sees one state,
and whoever writes sees what others wrote meanwhile: what must not happen twice is locked by name (`alone`).
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from harness.host.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 30.0  # what a command waits for others that write
SECONDS_TO_CONNECT = 10
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
        self.name = url.database or "" if _is_sqlite(url) else _without_secrets(url)
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
        with self._faults_of_machine(), self._engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
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

    def alone(self, writer: Connection, what: str) -> None:
        """Wait until no other transaction is alone with `what`, and be it until the end of this one.

        Args:
            writer: from `writing`; in SQLite, it is alone with everything.
            what: any text that a database can hold.
        """
        if not self.is_sqlite:
            query = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")
            writer.execute(query, {"what": f"harness {what}"})

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


def url_of(named: str | Path) -> URL:
    """The URL of a database that is named by a URL or by a file's path.

    Raises:
        UsageError: it is no URL that can be read.
    """
    name = str(named)
    if "://" not in name:
        if _SLASHED.match(name):  # or a file would be named after the password
            raise UsageError("the URL of the database cannot be read", _FORMS)
        return URL.create("sqlite", database=name)
    try:
        url = make_url(name)
    except (ArgumentError, ValueError) as error:
        raise UsageError("the URL of the database cannot be read", _FORMS) from error
    if "@" in f"{url.host}{url.database}" and not _is_sqlite(url):  # the rest of a password that had one
        raise UsageError("the URL of the database cannot be read", "write an @ in a password as %40")
    if _is_sqlite(url) and not url.database:
        raise UsageError("the URL of the database names no file", _FORMS)
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


_SLASHED = re.compile(r"postgres(ql)?(\+\w+)?:")
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_FORMS = "name a file, or postgresql://USER@HOST/DATABASE"


def _without_secrets(url: URL) -> str:
    """A URL as it may be shown: a password may stand among its parameters too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> Engine:
    backend = url.drivername
    if backend not in {"sqlite", *DRIVERS.values()}:
        raise UsageError(f"a database of the kind {backend} is not known here", _FORMS)
    patience = {"timeout": BUSY_SECONDS} if _is_sqlite(url) else {"connect_timeout": SECONDS_TO_CONNECT}
    if not patience.keys().isdisjoint(url.query):  # the URL says it
        patience = {}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=patience)
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
