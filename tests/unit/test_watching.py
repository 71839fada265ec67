"""A submission that changes is noticed, once it is written."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from harness.host.watching import SECONDS_BETWEEN_LOOKS, state_of, wait_for_change

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def noticed(submission: Path, change: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether the change ends the waiting within `seconds`."""
    seen = threading.Event()
    before = state_of(submission)

    def watch() -> None:
        wait_for_change(submission, before)
        seen.set()

    threading.Thread(target=watch, daemon=True).start()
    time.sleep(2 * SECONDS_BETWEEN_LOOKS)
    assert not seen.is_set()
    change()
    return seen.wait(seconds)


def test_edited_added_and_removed_files_are_noticed(tmp_path: Path) -> None:
    """Also one that keeps its size, and one deep inside."""
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    file = folder / "model.py"
    file.write_text("one")
    assert noticed(tmp_path, lambda: file.write_text("two"))
    assert noticed(tmp_path, (folder / "other.py").touch)
    assert noticed(tmp_path, (folder / "other.py").unlink)


def test_archive_that_is_put_in_place_of_another_is_noticed(tmp_path: Path) -> None:
    """As a browser or `zip` does it: the same name is another file."""
    archive, new = tmp_path / "submission.zip", tmp_path / "new.zip"
    archive.write_bytes(b"old")
    new.write_bytes(b"new")
    os.utime(new, ns=(archive.stat().st_mtime_ns,) * 2)
    assert noticed(archive, lambda: new.replace(archive))


def test_missing_submission_has_not_changed(tmp_path: Path) -> None:
    """An editor that moves a file away and back, or a folder that is unpacked anew, is waited for."""
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "model.py").touch()
    assert not noticed(folder, lambda: folder.rename(tmp_path / "away"), 5 * SECONDS_BETWEEN_LOOKS)


def test_submission_is_graded_when_it_is_written(tmp_path: Path) -> None:
    """What still changes is not taken yet."""
    file = tmp_path / "model.py"
    file.touch()
    before = state_of(tmp_path)
    done = threading.Event()

    def write_slowly() -> None:
        for _ in range(20):
            time.sleep(SECONDS_BETWEEN_LOOKS / 2)
            with file.open("a") as end:
                end.write("line\n")
        done.set()

    writer = threading.Thread(target=write_slowly)
    writer.start()
    state = wait_for_change(tmp_path, before)
    writer.join()
    assert state == state_of(tmp_path)
    assert done.is_set()


def test_nothing_outside_is_looked_at(tmp_path: Path) -> None:
    """A link is a name and no way out, and a loop of links has an end."""
    outside, folder = tmp_path / "outside", tmp_path / "submission"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    before = state_of(folder)
    (outside / "secret").touch()
    assert state_of(folder) == before
