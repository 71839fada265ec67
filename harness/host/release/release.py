"""Makes a kit, searches it, and writes it: a folder that was not there before, an archive, or both."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.packing import pack
from harness.host.release.hidden import read_hidden
from harness.host.release.kit import Kit, make_kit
from harness.host.release.leaks import Leak, find_leaks
from harness.host.report.files import write_bytes_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.host.assignment import Assignment


def searched_kit(
    assignment: Assignment,
    reference: Path,
    also: Sequence[str],
    more: Mapping[str, bytes],
    note: Callable[[str], None],
) -> tuple[Kit, list[Leak]]:
    """The kit of an assignment, and what must not be in it.

    Args:
        assignment: the assignment.
        reference: the folder of its hidden answers, without which nobody knows what to search for.
        also: further files of its folder that students get.
        more: files of no assignment, path in the kit to content, such as a workflow.
        note: is told what the instructor should know.

    Raises:
        UsageError: there is no reference, or something that every kit has is missing.
    """
    data = load_data(assignment)
    hidden = read_hidden(assignment, data, reference)
    kit = make_kit(assignment, also, note)
    kit = replace(kit, files=dict(sorted({**more, **kit.files}.items())))
    return kit, find_leaks(kit.files, kit.test_file, data, hidden)


def check_targets(out: Path | None, archive: Path | None) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        UsageError: nothing was named, or something is there already.
    """
    if out is None and archive is None:
        raise UsageError("nothing says where to write the kit", "name a new folder: --out DIR, or --zip FILE")
    for path in (out, archive):
        if path is not None and (path.exists() or path.is_symlink()):
            raise UsageError(
                f"{path} is there already, and nothing is written over", "name another, or move it away"
            )
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {path.absolute().parent}", "make it first")


def write_kit(kit: Kit, out: Path | None, archive: Path | None) -> None:
    """Write a kit that was searched, to a new folder and to a .zip, each whole or not at all.

    Raises:
        UsageError: it cannot be written there.
    """
    if out is not None:
        _write_folder(kit.files, out)
    if archive is not None:
        write_bytes_atomically(
            pack({f"{kit.name}/{path}": text for path, text in kit.files.items()}), archive
        )


def _write_folder(files: Mapping[str, bytes], out: Path) -> None:
    try:
        making = Path(tempfile.mkdtemp(prefix=".kit-", dir=out.absolute().parent))
    except OSError as error:
        raise UsageError(f"{out} cannot be made: {error.strerror}", "name another folder") from error
    try:
        making.chmod(0o755)
        for path, content in files.items():
            file = making / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        making.rename(out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name another folder") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
