"""A new submission: a copy of what an assignment hands out to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.release.starter import load_starter
from harness.host.scaffold.assignment import refuse_what_is_there

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.assignment import Assignment


def new_submission(assignment: Assignment, out: Path) -> None:
    """Copy an assignment's starter into a new folder.

    Raises:
        UsageError: the folder is there already, or the assignment has no starter that can be graded.
    """
    refuse_what_is_there(out)
    starter = load_starter(assignment)
    try:
        for path, content in starter.files.items():
            file = out / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name another folder") from error
