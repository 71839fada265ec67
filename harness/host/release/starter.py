"""What an assignment hands out to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.submission import load_submission

if TYPE_CHECKING:
    from harness.host.assignment import Assignment
    from harness.host.records import Submission

STARTER = "starter"


def load_starter(assignment: Assignment) -> Submission:
    """Read an assignment's starter, as a submission is read.

    Raises:
        UsageError: there is none that could be handed in.
    """
    folder = assignment.folder / STARTER
    try:
        return load_submission(folder, max_bytes=assignment.limits.submission_kb << 10)
    except (InvalidSubmissionError, UsageError) as error:
        raise UsageError(
            f"{assignment.id} has nothing to begin with: {error.message}",
            f"put a model.py and a config.toml that can be graded into {folder}",
        ) from error
