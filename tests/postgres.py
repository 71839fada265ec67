"""A PostgreSQL server of the tests' own, with a new database for each test that asks for one.

It listens on a socket in a folder of its own and nowhere else, and ends with the tests, however these end. As
root, whom it refuses, it is run as another user. What it writes need not survive a power cut, so it waits for
no disk.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from sqlalchemy import URL

PROGRAMS = ("initdb", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
OTHER_USERS = ("postgres", "nobody")
USER = "harness"
SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 20.0
SECONDS_BETWEEN_TRIES = 0.02
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "50",
}


class ServerError(Exception):
    """The server did not start; what it said is in the message."""


def programs() -> Path | None:
    """The folder of the server's programs; None where there are none."""
    found = [Path(path).resolve().parent for path in [shutil.which("postgres")] if path]
    if shutil.which("pg_config"):
        asked = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(asked.stdout.strip()))
    versions = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    found += sorted(versions, key=lambda path: -int(path.parent.name))
    return next((path for path in found if all((path / name).is_file() for name in PROGRAMS)), None)


def why_not() -> str:
    """What is missing for a server; an empty text where one can be started."""
    return "" if programs() else "there is no server program; on Debian: apt-get install postgresql"


class PostgresServer:
    """A server that runs until its context is left.

    Args:
        bin_folder: where `initdb` and `postgres` are.

    Raises:
        ServerError: it did not start.
    """

    def __init__(self, bin_folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="harness-postgres-"))  # a socket's path has to be short
        self._as_user = _as_another_user(self._folder) if os.geteuid() == 0 else {}
        self._log = self._folder / "log"
        self._count = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._initialize(bin_folder / "initdb")
            self._server = self._start(bin_folder / "postgres")
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> URL:
        """SQLAlchemy's URL of a database."""
        from sqlalchemy import URL  # noqa: PLC0415  only where there is a server

        return URL.create("postgresql+psycopg", USER, database=database, query={"host": str(self._folder)})

    def new_database(self) -> str:
        """Make a database that is empty, and return its name."""
        name = f"test_{next(self._count)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """End the server, by its own process id, and remove what it wrote."""
        server, self._server = self._server, None
        for each in (
            signal.SIGINT,
            signal.SIGQUIT,
            signal.SIGKILL,
        ):  # to a server: fast, at once, and any way
            if server is None or server.poll() is not None:
                break
            server.send_signal(each)
            try:
                server.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                continue
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _initialize(self, program: Path) -> None:
        options = ["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        with self._log.open("wb") as log:
            made = subprocess.run(
                [program, "--pgdata", self._folder / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                check=False,
                **self._as_user,
            )
        if made.returncode:
            raise ServerError(self._log.read_text(errors="replace"))

    def _start(self, program: Path) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {"unix_socket_directories": str(self._folder)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        tied = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*tied, program, "-D", self._folder / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the tests, which then end it
                **self._as_user,
            )

    def _wait_until_ready(self) -> None:
        import psycopg  # noqa: PLC0415  only where there is a server

        assert self._server is not None
        until = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                return self._execute("SELECT 1")
            except psycopg.OperationalError as error:
                if self._server.poll() is not None or time.monotonic() > until:
                    raise ServerError(self._log.read_text(errors="replace")) from error
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _execute(self, statement: str) -> None:
        import psycopg  # noqa: PLC0415  only where there is a server

        with psycopg.connect(
            host=str(self._folder), user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


def _as_another_user(folder: Path) -> dict[str, Any]:
    """Give a folder to a user who is not root, and return what makes a process that user's."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next((known[name] for name in OTHER_USERS if name in known), None)
    if user is None:
        raise ServerError(f"there is none of the users {', '.join(OTHER_USERS)}, and root may not run it")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for all tests of this process; see the marker ``postgres``."""
    found = programs()
    assert found is not None, why_not()
    with PostgresServer(found) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[URL]:
    """SQLAlchemy's URL of an empty database that no other test has."""
    name = postgres_server.new_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)
