"""One grading session: what is graded by what, and its run."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.grade import Order, grade
from harness.host.machine import Machine
from harness.host.records import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.records import Check, Run, Submission
    from harness.host.report.live import Progress


@dataclass(frozen=True, slots=True)
class Graded:
    """What came of a grading, and what it was made of.

    Attributes:
        submission: what was handed in; None where it could not be read.
        reference: the folder of the hidden answers; it need not exist.
    """

    report: Report
    submission: Submission | None
    assignment: Assignment
    reference: Path


@dataclass(slots=True)
class Grading:
    """One grading session.

    Attributes:
        submission: the folder or archive, as it was named.
        runtime: of the Docker engine; None: the assignment's, or the engine's own.
        student: whose attempt it is, where the assignment caps them; empty: the submission's name.
        counted: whether it is one of the student's attempts, where the assignment caps them.
        machine: what is kept from one session to the next; without it, the session has one of its own.
        submitted: what was read of it, once it ran; None if it could not be read.
        give_back: makes the counted attempt cost nothing, for what is no fault of the student's.
    """

    assignment: Assignment
    submission: Path
    reference: Path
    sandbox: str
    device: str
    progress: Progress
    student: str = ""
    counted: bool = True
    runtime: str | None = None
    machine: Machine | None = None
    submitted: Submission | None = None
    run: Run | None = None
    give_back: Callable[[], None] = field(default=lambda: None, repr=False)

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
        with nullcontext(self.machine) if self.machine else Machine(self.progress.note) as machine:
            device = allowed_device(self.assignment, self.device)
            choice = machine.choose(self.sandbox, device, self._runtime())
            choice.backend.sweep()
            self.progress.note(f"sandbox: {choice.backend.name} ({choice.reason})")
            cores = machine.cores.reserve(self.assignment.limits.cpus)
            order = Order(
                self.assignment, self.submission, self.reference, choice.device, choice.reason, cores
            )
            try:
                with self._counted():
                    self.submitted, self.run = grade(order, choice.backend, self.progress)
            finally:
                machine.cores.release()

    def _runtime(self) -> str | None:
        """What the command asks for; else what the assignment does, of those who have its reference.

        A student's own check needs no runtime that only the course's machines have.
        """
        if self.runtime is None and self.has_reference and self.sandbox in {"auto", "docker"}:
            return self.assignment.docker_runtime
        return self.runtime

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count the attempt where the assignment caps them and the reference is here."""
        per_day = self.assignment.attempts_per_day
        if per_day is None or not self.has_reference or not self.counted:
            yield
            return
        from harness.host.attempts import FILE, Attempts, zone_of_days  # noqa: PLC0415  only where there is a cap

        ledger = Attempts(self.assignment.folder.parent.parent / FILE)
        now = datetime.now(zone_of_days(self.assignment.deadline))
        attempt = ledger.begin(self.assignment.id, self.student or self.submission.name, now, per_day)
        self.give_back = lambda: ledger.finish(attempt, None)
        try:
            yield
        finally:
            ledger.finish(attempt, None if self.run is None else self.run.outcome)

    def graded(self, checks: tuple[Check, ...]) -> Graded:
        """What came of it, given what the checks said of the run."""
        report = report_of(self.assignment, self.submission, self.submitted, self.finished_run(), checks)
        return Graded(report, self.submitted, self.assignment, self.reference)


def allowed_device(assignment: Assignment, device: str) -> str:
    """The device that was asked for, as far as the assignment allows it.

    Raises:
        UsageError: a GPU was asked for by name, and it allows none.
    """
    if assignment.limits.gpu:
        return device
    if device == "cuda":
        raise UsageError(
            f"--device cuda was asked for, and {assignment.id} allows no GPU",
            "use --device cpu, or set gpu = true under [limits] of assignment.toml",
        )
    return "cpu"


def report_of(
    assignment: Assignment, path: Path, submission: Submission | None, run: Run, checks: tuple[Check, ...]
) -> Report:
    """Everything that is shown of a run.

    Args:
        assignment: what it was graded by.
        path: the folder, archive or notebook, as it was named.
        submission: what was read of it; None if it could not be.
        run: what became of it.
        checks: what they said of it.
    """
    if submission is not None and run.place is not None:
        run = replace(run, place=submission.origin_of(run.place))
    return Report(
        assignment=assignment.id,
        title=assignment.title,
        submission_name=submission.name if submission else path.name,
        submission_sha256=submission.sha256 if submission else "",
        run=run,
        checks=checks,
        seconds_limit=assignment.limits.train_seconds,
        notes=submission.notes if submission else (),
    )
