"""The tests' own PostgreSQL server: what a test gets of it, and that nothing is left of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.postgres import PostgresServer, ServerError, programs

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

ROOT = Path(__file__).parents[2]
KILLED = """
import os, pathlib, signal
from tests.postgres import PostgresServer, programs
folder = pathlib.Path(PostgresServer(programs()).url().query["host"])
print(folder, (folder / "data" / "postmaster.pid").read_text().split()[0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
pytestmark = pytest.mark.postgres


@pytest.fixture
def server() -> PostgresServer:
    """A server that a test may end."""
    found = programs()
    assert found is not None
    return PostgresServer(found)


def tables(url: URL) -> list[str]:
    """What there is in a database."""
    engine = create_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def has_ended(process: str) -> bool:
    """Whether nothing runs under a process id, but for a zombie that nobody waits for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def execute(engine: Engine, statement: str) -> None:
    """Run a statement and commit."""
    with engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("test", ["first", "second"])
def test_each_test_has_an_empty_database(postgres_url: URL, test: str) -> None:
    """What one test writes is not there for the next."""
    assert postgres_url.drivername == "postgresql+psycopg"
    assert tables(postgres_url) == []
    engine = create_engine(postgres_url)
    execute(engine, f"CREATE TABLE {test} (id integer)")
    engine.dispose()
    assert tables(postgres_url) == [test]


def test_a_database_is_removed_under_a_connection(postgres_server: PostgresServer) -> None:
    """A test that forgot to close one fails at nothing else for it."""
    name = postgres_server.new_database()
    engine = create_engine(postgres_server.url(name))
    with engine.connect() as connection:
        postgres_server.drop_database(name)
        connection.invalidate()
    engine.dispose()


def test_nothing_is_left_of_a_server(server: PostgresServer) -> None:
    """Its process has ended and its folder is gone; to close it again does nothing."""
    url = server.url()
    process = (Path(str(url.query["host"])) / "data" / "postmaster.pid").read_text().split()[0]
    assert tables(url) == []
    assert not has_ended(process)
    server.close()
    server.close()
    assert has_ended(process)
    assert not Path(str(url.query["host"])).exists()


def test_a_server_ends_with_its_tests() -> None:
    """When the process of the tests is killed, the server does not stay behind."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder, process = done.stdout.split()
    until = time.monotonic() + 20
    while not has_ended(process) and time.monotonic() < until:
        time.sleep(0.05)
    shutil.rmtree(folder)
    assert has_ended(process)


def test_a_server_that_cannot_start_says_why() -> None:
    """What the program printed is in the error, and nothing stays behind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        program = folder / "initdb"
        program.write_text("#!/bin/sh\necho no room for a cluster\nexit 1\n")
        program.chmod(0o755)
        with pytest.raises(ServerError, match="no room for a cluster"):
            PostgresServer(folder)
