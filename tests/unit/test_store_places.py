"""Where a store may be, and what is said where it cannot be: the reason, what to do, and no password."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from harness.host.errors import HarnessError, StoreError, UsageError
from harness.host.store.database import Database, url_of
from harness.host.store.place import Place, place_of
from harness.host.store.store import Store
from tests.stored import Made, store_in

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
SECRET = "hunter2"  # noqa: S105  it opens nothing
ODD_NAMES = ["a b.sqlite", "ü?x=1#y.db", "100%25 & %s.sqlite", "'; DROP.sqlite", ":memory:", "no ending"]


def opened(named: str, root: Path) -> Store:
    """The store that an option names."""
    return Store(place_of(named, None, root))


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that everybody may look into and nobody but root may write into, with a store in it."""
    folder = Path(tempfile.mkdtemp(prefix="harness-"))
    store_in(folder)
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("as_url", [False, True], ids=["path", "URL"])
def test_a_file_of_any_name_can_be_a_store(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, *, as_url: bool
) -> None:
    """With its folder; the artifacts lie beside it."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "deep" / "er" / name
    named = make_url("sqlite://").set(database=str(file)).render_as_string() if as_url else f"deep/er/{name}"
    store = opened(named, tmp_path)
    run = Made().into(store)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [(run,)]
    assert store.artifacts.folder == file.parent / "artifacts"
    assert opened(named, tmp_path).read(run, private=True).student == "s001"


def test_without_a_name_the_store_is_the_courses(tmp_path: Path) -> None:
    """In its folder of results, with the artifacts."""
    place = place_of(None, None, tmp_path)
    assert place == Place(f"sqlite:///{tmp_path}/results/runs.sqlite", tmp_path / "results" / "artifacts")
    assert place_of("", None, tmp_path) == place


def test_artifacts_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are named; of a database that is no file, in the course's folder of results."""
    monkeypatch.chdir(tmp_path)
    assert place_of("x.db", Path("there"), tmp_path / "course").artifacts == tmp_path / "there"
    of_server = place_of(f"postgresql://me:{SECRET}@host/db", None, tmp_path)
    assert of_server.artifacts == tmp_path / "results" / "artifacts"
    assert make_url(of_server.url).password == SECRET
    assert SECRET not in repr(of_server)


def test_a_reader_makes_no_store(tmp_path: Path) -> None:
    """Who only looks, in the wrong folder, is told so, and leaves nothing there."""
    place = place_of(None, None, tmp_path)
    with pytest.raises(UsageError, match="there is no store of results in") as told:
        Store(place, make=False)
    assert "--store" in told.value.fix
    assert list(tmp_path.iterdir()) == []
    Store(place)
    Store(place, make=False)


@pytest.mark.parametrize(
    "named",
    [
        "mysql://me:hunter2@host/db",
        "postgresql+psycopg2://me:hunter2@host/db",
        "sqlite+aiosqlite:///x.db",
        "http://hunter2@host/db",
        "postgresql://me:hunter2@host:port/db",
        "postgresql:/me:hunter2@host/db",
        "postgresql+psycopg:me:hunter2@host/db",
        "postgres:me:hunter2@host",
        "postgresql://me:12@hunter2@host/db",
        "postgresql://me:12@hunter2/3@host/db",
        "://hunter2",
        "sqlite://",
        "sqlite:///",
    ],
)
def test_a_url_that_cannot_be_used_is_refused(
    tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is opened or made, and without the password that may stand in it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as told:
        opened(named, tmp_path)
    assert told.value.fix
    assert SECRET not in f"{told.value} {told.value.message} {told.value.fix}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_may_be_named_in_several_ways(scheme: str) -> None:
    """As SQLAlchemy does, and as hosts of databases do."""
    url = url_of(f"{scheme}://me:{SECRET}%40@host:5433/db")
    assert (url.drivername, url.password, url.port) == ("postgresql+psycopg", f"{SECRET}@", 5433)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/db",
        f"postgresql://me@127.0.0.1:1/db?password={SECRET}",
        f"postgresql://me@127.0.0.1:1/db?sslpassword={SECRET}&connect_timeout=3",
        f"postgresql:///db?host=/nowhere&user=me&password={SECRET}",
        f"postgresql://me:{SECRET}@127.0.0.1:1/db?no_such_option=1",
    ],
)
def test_a_server_that_cannot_be_reached_is_told_without_the_password(tmp_path: Path, url: str) -> None:
    """It is the machine's fault: which database, why, and what to look at."""
    with pytest.raises(StoreError, match="the store of results postgresql") as told:
        opened(url, tmp_path)
    assert told.value.exit_status == 3
    assert "see that it can be reached" in told.value.fix
    assert SECRET not in f"{told.value.message} {told.value.fix}"


@pytest.mark.postgres
def test_a_server_that_refuses_is_told_without_the_password(postgres_url: object, tmp_path: Path) -> None:
    """A database that is not there."""
    url = make_url(str(postgres_url)).set(database="nowhere", password=SECRET)
    with pytest.raises(StoreError, match='database "nowhere" does not exist') as told:
        opened(url.render_as_string(hide_password=False), tmp_path)
    assert SECRET not in f"{told.value.message} {told.value.fix}"


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="a package that is not installed") as told:
        opened("postgresql://me@host/db", tmp_path)
    assert told.value.fix == "pip install 'harness[postgres]'"


@pytest.mark.parametrize(
    "content", [b"no database, but long enough" * 99, b"\x89PNG\r\n" * 99], ids=["text", "PNG"]
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """It may be somebody's report."""
    file = tmp_path / "report.json"
    file.write_bytes(content)
    with pytest.raises(StoreError, match="file is not a database") as told:
        opened(str(file), tmp_path)
    assert "name another one" in told.value.fix
    assert file.read_bytes() == content


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """Nor is what lies under a file."""
    (tmp_path / "file").write_text("a file")
    for named in (tmp_path, tmp_path / "file" / "runs.sqlite"):
        with pytest.raises(StoreError, match="unable to open database file") as told:
            opened(str(named), tmp_path)
        assert "see that it can be reached and written to" in told.value.fix


def test_a_folder_without_permission_is_told(closed_folder: Path) -> None:
    """Neither a new store can be made there, nor anything be added to the one that is there."""
    with unprivileged():
        for named in (closed_folder / "new.sqlite", closed_folder / "deeper" / "new.sqlite"):
            with pytest.raises(StoreError, match="unable to open database file"):
                opened(str(named), closed_folder)
        with pytest.raises(StoreError, match=r"readonly|unable to open") as told:
            Made().into(opened(str(closed_folder / "runs.sqlite"), closed_folder))
    assert told.value.exit_status == 3


def test_who_writes_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A lock that somebody holds is waited for as long as the URL says, or half a minute; readers go on."""
    store = store_in(tmp_path, f"sqlite:///{tmp_path}/runs.sqlite?timeout=0.3")
    run = Made().into(store)
    holder = sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        Made("s002").into(store)
    assert store.read(run, private=True).student == "s001"
    holder.close()
    assert Made("s002").into(store) != run


def test_our_own_faults_are_not_taken_for_the_databases(tmp_path: Path) -> None:
    """What the block raises comes out of it as it is, and nothing that it wrote is kept."""
    database = Database(url_of(tmp_path / "x.sqlite"), "a database")

    def write_and_fail() -> None:
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE x (id INTEGER)"))
            raise UsageError("mine")

    with pytest.raises(HarnessError) as told:
        write_and_fail()
    assert told.value.message == "mine"
    with database.reading() as connection:
        assert connection.execute(text("SELECT name FROM sqlite_master")).all() == []
