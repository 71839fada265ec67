"""One grading session: what is graded by what, its run, and the checks' results as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.host.backends import choose
from harness.host.errors import UsageError
from harness.host.grade import Order, grade
from harness.host.records import Report

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.records import Check, Run, Submission
    from harness.host.report.live import Progress


@dataclass(slots=True)
class Grading:
    """One grading session.

    Attributes:
        submission: the folder or archive, as it was named.
        submitted: what was read of it, once it ran; None if it could not be read.
    """

    assignment: Assignment
    submission: Path
    reference: Path
    sandbox: str
    device: str
    progress: Progress
    submitted: Submission | None = None
    run: Run | None = None
    checks: list[Check] = field(default_factory=list)

    @property
    def has_reference(self) -> bool:
        """Whether the hidden answers are on this machine."""
        return self.reference.is_dir()

    def finished_run(self) -> Run:
        """The run, which the session did before its first check."""
        if self.run is None:
            raise RuntimeError("the submission has not been run")
        return self.run

    def execute(self) -> None:
        """Sweep what a killed harness left, and run the submission through the sandboxes.

        Raises:
            HarnessError: see `grade`.
        """
        choice = choose(self.sandbox, self._allowed_device(), self.progress.note)
        choice.backend.sweep()
        self.progress.note(f"sandbox: {choice.backend.name} ({choice.reason})")
        order = Order(self.assignment, self.submission, self.reference, choice.device, choice.reason)
        self.submitted, self.run = grade(order, choice.backend, self.progress)

    def _allowed_device(self) -> str:
        if self.assignment.limits.gpu:
            return self.device
        if self.device == "cuda":
            raise UsageError(
                f"--device cuda was asked for, and {self.assignment.id} allows no GPU",
                "use --device cpu, or set gpu = true under [limits] of assignment.toml",
            )
        return "cpu"

    def report(self) -> Report:
        """Everything that is shown of the run.

        Raises:
            UsageError: a check of the assignment broke.
        """
        broken = [check for check in self.checks if check.outcome == "error"]
        if broken:
            raise UsageError(
                f"the check {broken[0].name} of {self.assignment.id} is broken: {broken[0].message}",
                f"mend it, then try `pytest {self.assignment.folder} --submission {self.submission}`",
            )
        return Report(
            assignment=self.assignment.id,
            title=self.assignment.title,
            submission_name=self.submitted.name if self.submitted else self.submission.name,
            submission_sha256=self.submitted.sha256 if self.submitted else "",
            run=self.finished_run(),
            checks=tuple(self.checks),
            seconds_limit=self.assignment.limits.train_seconds,
        )
