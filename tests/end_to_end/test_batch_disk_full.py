"""A disk that fills up in the middle of a batch: a clear message, a whole store, and a batch that goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.crowd import ASSIGNMENT, fill, make_course
from tests.end_to_end.conftest import HARNESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 12
SECONDS = 120.0


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of a few megabytes, in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_up(disk: Path) -> Path:
    """Leave no byte free; return what takes the space."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def runs_in(file: Path) -> list[str]:
    """The ids of all runs; the database must be sound."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in database.execute("SELECT id FROM runs ORDER BY number")]


def wait_for_runs(file: Path) -> None:
    """Wait until the first result is stored."""
    deadline = time.monotonic() + SECONDS
    while not (file.exists() and _count(file)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _count(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM runs").fetchone()[0])
        except sqlite3.OperationalError:  # it is being made
            return 0


@pytest.mark.bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("elsewhere", [[], ["--artifacts"]], ids=["artifacts", "database"])
def test_full_disk_stops_the_batch_and_loses_nothing(tmp_path: Path, elsewhere: list[str]) -> None:
    """What was stored stays, the message says what to do, and once there is space the rest is graded."""
    course, disk = make_course(tmp_path / "course"), tmp_path / "disk"
    store = disk / "runs.sqlite"
    fill(tmp_path / "class", SIZE)
    where = ["--assignment", ASSIGNMENT, "--sandbox", "bubblewrap", "--store", str(store)]
    where += [*elsewhere, str(tmp_path / "artifacts")] if elsewhere else []
    words = [str(HARNESS), "batch", str(tmp_path / "class"), *where]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    with small_disk(disk):
        with subprocess.Popen(words, cwd=course, **pipes) as stopped:
            wait_for_runs(store)
            filler = fill_up(disk)
            output, errors = stopped.communicate(timeout=SECONDS)
        filler.unlink()
        before = runs_in(store)
        done = subprocess.run(words, cwd=course, check=False, timeout=SECONDS, **pipes)
        after = runs_in(store)
        unfinished = list(disk.glob("artifacts/unfinished/*"))

    assert stopped.returncode == 3, output + errors
    assert "free some space" in errors
    assert "Traceback" not in errors
    assert f"{SIZE - len(before)} left undone" in output
    assert 0 < len(before) < SIZE
    assert done.returncode == 0, done.stdout + done.stderr
    assert after[: len(before)] == before
    assert len(after) == SIZE
    assert unfinished == []
