"""A batch whose sandboxes are elsewhere: a cluster runs submissions, this machine judges and keeps them.

The checks are pytest's, which wants the main thread; so the cluster is driven by a thread of its own, and
what comes back waits in a line for the checks.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from harness.host.attempts import FILE, Attempts, AttemptsUsedError, zone_of_days
from harness.host.batch import Result, before
from harness.host.checking import Checkable, check_runs
from harness.host.cluster.cluster import Cluster
from harness.host.cluster.dispatch import Task
from harness.host.errors import InterruptedGradingError, UsageError
from harness.host.grade import Order
from harness.host.grading import Graded, report_of
from harness.host.keeping import basis_of, keep
from harness.host.store.store import Store
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.host.batch import Plan, Watcher
    from harness.host.cluster.dispatch import Done
    from harness.host.handed_in import HandedIn
    from harness.host.records import Check

SECONDS_TO_END = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived(Checkable):
    """A run that came back."""

    handed_in: HandedIn


class ClusterBatch:
    """One batch on a cluster.

    Args:
        plan: what it works with; the means' reference stays here.
        handed_in: what to grade.
        watcher: is told how it goes on.
    """

    def __init__(self, plan: Plan, handed_in: Iterable[HandedIn], watcher: Watcher) -> None:
        self._plan, self._watcher = plan, watcher
        self._waiting = {each.name: each for each in handed_in}
        self._store = Store(plan.place)
        self._arrived: queue.SimpleQueue[Done | Result | BaseException | None] = queue.SimpleQueue()
        self._basis = basis_of(plan.assignment, self._reference)
        self._stop = threading.Event()
        self._ledger: Attempts | None = None
        self._attempts: dict[str, int] = {}

    def run(self, address: str) -> None:
        """Grade all.

        Args:
            address: of the cluster; see `Cluster`.

        Raises:
            InterruptedGradingError: Ctrl-C; what has its result keeps it.
            HarnessError: the cluster is gone, or results cannot be kept; those that were, are.
        """
        assignment = self._plan.assignment
        self._store.artifacts.sweep()
        driver = threading.Thread(target=self._drive, args=(address,), daemon=True)
        driver.start()
        try:
            check_runs(assignment, self._runs(), self._checked, has_reference=self._reference.is_dir())
        except KeyboardInterrupt:
            raise InterruptedGradingError(
                "interrupted; what was graded is kept", "start the same command again to go on"
            ) from None
        finally:
            self._stop.set()
            driver.join(SECONDS_TO_END)

    @property
    def _reference(self) -> Path:
        reference = self._plan.means.reference
        if reference is None:
            raise ValueError("a batch names its reference")
        return reference

    def _drive(self, address: str) -> None:
        """Hand out what has no result, and put what comes back in line; its end is a None, or what broke."""
        try:
            with Cluster(address, self._watcher.note) as cluster:
                device = self._device(cluster)
                cluster.run(self._tasks(device), self._arrived.put, self._stop.is_set)
        except BaseException as error:  # noqa: BLE001  raised again where the line is read
            self._arrived.put(error)
        else:
            self._arrived.put(None)

    def _tasks(self, device: str) -> Iterator[Task]:
        plan = self._plan
        means, assignment = plan.means, plan.assignment
        runtime = means.runtime
        if means.sandbox in {"auto", "docker"}:
            runtime = runtime or assignment.docker_runtime
        graded = self._store.graded(assignment.id)
        for handed_in in self._waiting.values():
            result = before(plan, graded, handed_in) or self._counted(handed_in)
            if result is not None:
                self._arrived.put(result)
                continue
            self._watcher.begins(handed_in)
            order = Order(assignment, handed_in.path, self._reference, device, "")
            yield Task(handed_in.name, order, means.sandbox, runtime)

    def _device(self, cluster: Cluster) -> str:
        """What runs take place on; a GPU where the assignment allows one and the cluster has any.

        Raises:
            UsageError: a GPU is asked for, and the assignment allows none.
        """
        asked, assignment = self._plan.means.device, self._plan.assignment
        if asked == "cuda" and not assignment.limits.gpu:
            raise UsageError(
                f"--device cuda was asked for, and {assignment.id} allows no GPU",
                "use --device cpu, or set gpu = true under [limits] of assignment.toml",
            )
        by_itself = asked == "auto" and assignment.limits.gpu and cluster.gpus() > 0
        return "cuda" if asked == "cuda" or by_itself else "cpu"

    def _counted(self, handed_in: HandedIn) -> Result | None:
        """Count the attempt, where the assignment caps them; a result if the student has none left."""
        assignment = self._plan.assignment
        per_day = assignment.attempts_per_day
        if per_day is None or self._plan.again or not self._reference.is_dir():
            return None
        self._ledger = self._ledger or Attempts(assignment.folder.parent.parent / FILE)
        now = datetime.now(zone_of_days(assignment.deadline))
        try:
            attempt = self._ledger.begin(assignment.id, handed_in.student, now, per_day)
        except AttemptsUsedError as error:
            return Result(handed_in, fault=error.message, fix=error.fix)
        self._attempts[handed_in.name] = attempt
        return None

    def _runs(self) -> Iterator[_Arrived]:
        """The runs to check, as they come; what has nothing to check is dealt with here."""
        while (arrived := self._arrived.get()) is not None:
            if isinstance(arrived, BaseException):
                raise arrived
            if isinstance(arrived, Result):
                self._end(arrived)
                continue
            handed_in = self._waiting[arrived.task.name]
            if arrived.graded is not None:
                submission, run = arrived.graded
                yield _Arrived(submission, run, handed_in)
            else:
                fault = arrived.fault
                message, fix = (
                    (fault.message, fault.fix) if fault is not None else ("it did not come back", "")
                )
                self._end(Result(handed_in, fault=message, fix=fix, set_aside=arrived.set_aside))

    def _checked(self, arrived: Checkable, checks: tuple[Check, ...]) -> None:
        if not isinstance(arrived, _Arrived):
            raise TypeError(type(arrived))
        plan, run, handed_in = self._plan, arrived.run, arrived.handed_in
        report = report_of(plan.assignment, handed_in.path, arrived.submission, run, checks)
        graded = Graded(report, arrived.submission, plan.assignment, self._reference)
        student, submitted = handed_in.student, handed_in.submitted
        kept = keep(self._store, graded, student, submitted, again=plan.again, basis=self._basis)
        self._end(
            Result(
                handed_in,
                seconds=run.runtime.total_seconds,
                run=kept,
                outcome=run.outcome.value,
                points=report.points,
                max_points=report.max_points,
            )
        )

    def _end(self, result: Result) -> None:
        whose = result.handed_in
        attempt = self._attempts.pop(whose.name, None)
        if attempt is not None and self._ledger is not None:
            self._ledger.finish(attempt, Outcome(result.outcome) if result.run else None)
        if result.fault:
            self._store.record_fault(
                self._plan.assignment.id, whose.student, whose.name, result.fault, result.fix
            )
        self._watcher.ends(result)
