"""Faults that are not a verdict on a submission.

    HarnessError
    ├── UsageError            the command or the assignment is wrong; exit status 2
    └── MachineError          this machine could not grade; exit status 3, no grade is stored
        ├── InterruptedGradingError    somebody ended it
        ├── RepositoryError   a student's repository could not be read; it is that student's affair alone
        ├── SandboxError      a sandbox did not start, broke, or could not be ended
        ├── StoreError        results could not be kept or read
        └── WallError         a wall could not be raised, so nothing was run

`InvalidSubmissionError` stands apart: it is the student's, and becomes the outcome ``invalid_submission``.
"""

from __future__ import annotations


class HarnessError(Exception):
    """The root of all faults that the harness reports without a traceback.

    Args:
        message: what happened and where.
        fix: what to do about it; shown on a line of its own.
    """

    exit_status = 3

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class UsageError(HarnessError):
    """The command, the assignment or the reference is wrong."""

    exit_status = 2


class MachineError(HarnessError):
    """This machine could not grade; the submission is not judged."""


class InterruptedGradingError(MachineError):
    """Somebody ended the grading before there was a result."""


class RepositoryError(MachineError):
    """A repository could not be read as it is now; there is no grade, and it may be tried again."""


class SandboxError(MachineError):
    """A sandbox did not start, broke, or could not be ended."""


class StoreError(MachineError):
    """Results could not be kept or read: what was kept before is whole."""


class WallError(MachineError):
    """A wall of the sandbox could not be raised, so nothing was run."""


class InvalidSubmissionError(Exception):
    """The submission cannot be run as it is; `hint` says what the student can do."""

    def __init__(
        self, message: str, hint: str = "", file: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.file = file
        self.line = line
