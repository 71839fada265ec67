"""What runs are made of: each byte string once, under its own digest, whole or not there."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import StoreError
from harness.host.sandbox.owner import Owner
from harness.host.store.artifacts import Artifacts
from harness.host.store.place import Place
from harness.host.store.store import Store
from tests.stored import Made

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"weights of the best epoch"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from harness.host.store import artifacts
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
artifacts.Artifacts(Path(sys.argv[1])).put(b"weights of the best epoch")
"""


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """An empty folder's, which is not there yet."""
    return Artifacts(tmp_path / "results" / "artifacts")


def files(artifacts: Artifacts) -> list[str]:
    """What is there."""
    found = (path for path in artifacts.folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(artifacts.folder)) for path in found)


@pytest.mark.parametrize("content", [b"", b"\0", CONTENT, bytes(range(256)) * 4096])
def test_what_is_put_is_what_one_gets(artifacts: Artifacts, content: bytes) -> None:
    """Under its SHA-256, in a file whose name says it."""
    digest = artifacts.put(content)
    assert digest == hashlib.sha256(content).hexdigest()
    assert artifacts.get(digest) == content
    assert files(artifacts) == [f"{digest[:2]}/{digest[2:]}"]


def test_what_is_there_stays_as_it_is(artifacts: Artifacts) -> None:
    """The same content is written once."""
    artifacts.put(CONTENT)
    path = artifacts.folder / DIGEST[:2] / DIGEST[2:]
    before = path.stat()
    assert artifacts.put(CONTENT) == DIGEST
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT + b".", CONTENT.swapcase(), b""], ids=repr)
def test_damage_is_told_and_mended_by_whoever_has_the_content(artifacts: Artifacts, damage: bytes) -> None:
    """Changed, cut off or longer: it is never handed out, and a run that makes it again puts it right."""
    artifacts.put(CONTENT)
    path = artifacts.folder / DIGEST[:2] / DIGEST[2:]
    path.write_bytes(damage)
    with pytest.raises(StoreError, match=f"{DIGEST[2:]} is not what was written") as told:
        artifacts.get(DIGEST)
    assert "harness regrade" in told.value.fix
    artifacts.put(CONTENT)
    assert artifacts.get(DIGEST) == CONTENT


def test_what_is_gone_is_told(artifacts: Artifacts) -> None:
    """The message names the file, and says what to do."""
    with pytest.raises(StoreError, match=f"{DIGEST[2:]} cannot be read: No such file") as told:
        artifacts.get(DIGEST)
    assert "put the folder of artifacts back" in told.value.fix


@pytest.mark.parametrize("name", ["", "abc", "../../etc/passwd", DIGEST.upper(), f"{DIGEST}\n"])
def test_only_a_digest_names_an_artifact(artifacts: Artifacts, name: str) -> None:
    """Nothing else leads to a file."""
    artifacts.put(CONTENT)
    with pytest.raises(ValueError, match="no digest"):
        artifacts.get(name)


def test_many_that_put_the_same_at_once(artifacts: Artifacts) -> None:
    """One file is left, and it is whole."""
    start = threading.Barrier(8)

    def put(_: int) -> str:
        start.wait()
        return artifacts.put(CONTENT * 10_000)

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(put, range(8)))
    assert files(artifacts) == [f"{digest[:2]}/{digest[2:]}" for digest in digests]
    assert artifacts.get(digests.pop()) == CONTENT * 10_000


def limit_files(size: int) -> None:
    """Have this process write no longer file than so many bytes, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_nothing_is_left_of_what_cannot_be_written(artifacts: Artifacts) -> None:
    """A disk that gets full in the middle leaves no half and no temporary file, and what to do is said."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.getsignal(signal.SIGXFSZ)
    limit_files(1000)
    try:
        with pytest.raises(StoreError, match="cannot be written: File too large") as told:
            artifacts.put(b"." * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "free some space" in told.value.fix
    assert files(artifacts) == []
    assert artifacts.get(artifacts.put(b"." * 100_000)) == b"." * 100_000


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the place of the folder."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written: Not a directory"):
        Artifacts(tmp_path / "results" / "artifacts").put(CONTENT)


def test_what_a_killed_process_left_is_swept(artifacts: Artifacts) -> None:
    """It is no artifact, and the next batch removes it."""
    killed = subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, artifacts.folder], check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = files(artifacts)
    assert left.startswith("unfinished/")
    with pytest.raises(StoreError):
        artifacts.get(DIGEST)
    artifacts.sweep()
    assert files(artifacts) == []


def test_what_others_still_write_is_not_swept(artifacts: Artifacts) -> None:
    """Nor what another machine that shares the folder writes, nor what is not ours."""
    folder = artifacts.folder / "unfinished"
    folder.mkdir(parents=True)
    kept = [
        f"{platform.node()} {Owner.of_this_process()} 00",
        f"another-machine {Owner(2**22 + 1, 1)} 00",
        "a file of somebody",
    ]
    gone = [f"{platform.node()} {Owner(os.getpid(), 1)} 00", f"{platform.node()} not an owner"]
    for name in (*kept, *gone):
        (folder / name).write_bytes(b"half")
    artifacts.sweep()
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)


def test_sweeping_what_is_not_there_is_no_fault(artifacts: Artifacts) -> None:
    """Before the first artifact there is no folder."""
    artifacts.sweep()
    assert not artifacts.folder.exists()


def test_a_run_whose_artifacts_cannot_be_written_is_not_recorded(tmp_path: Path) -> None:
    """Rows never name what is not there."""
    (tmp_path / "artifacts").write_text("a file")
    store = Store(Place(f"sqlite:///{tmp_path / 'runs.sqlite'}", tmp_path / "artifacts"))
    with pytest.raises(StoreError, match="cannot be written"):
        Made().into(store)
    assert store.graded("hw1-bikes").run_of("s001", Made().key(), Made().submitted) is None
