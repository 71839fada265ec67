"""A new submission: a copy of what an assignment hands out to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.scaffold.assignment import refuse_what_is_there
from harness.host.submission import load_submission

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.assignment import Assignment

STARTER = "starter"


def new_submission(assignment: Assignment, out: Path) -> None:
    """Copy an assignment's starter into a new folder.

    Raises:
        UsageError: the folder is there already, or the assignment has no starter that can be graded.
    """
    refuse_what_is_there(out)
    folder = assignment.folder / STARTER
    try:
        starter = load_submission(folder, max_bytes=assignment.limits.submission_kb << 10)
    except (InvalidSubmissionError, UsageError) as error:
        raise UsageError(
            f"{assignment.id} has nothing to begin with: {error.message}",
            f"put a model.py and a config.toml into {folder}",
        ) from error
    try:
        for path, content in starter.files.items():
            file = out / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name another folder") from error
