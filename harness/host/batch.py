"""Grades many submissions side by side: each core has a process that takes one after the other.

A submission that cannot be graded, or that takes its process with it, does not stop the others. What has its
result already is not run again, so a batch that was ended goes on where it stood.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from harness.host.batch_process import BatchProcess
from harness.host.batch_worker import Job
from harness.host.cores import usable_cores
from harness.host.errors import HarnessError, InterruptedGradingError, StoreError
from harness.host.keeping import key_of_path
from harness.host.sandbox import gpu
from harness.host.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.host.assignment import Assignment
    from harness.host.handed_in import HandedIn
    from harness.host.session import Means
    from harness.host.store.hand_ins import Graded
    from harness.host.store.place import Place

TRIES = 2  # of a submission whose process is lost
SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one submission.

    Attributes:
        handed_in: which one.
        seconds: what it took.
        run: the id of its run; empty where it could not be graded, for which `fault` says why and `fix` what
            to do.
        before: whether it had its result before, and nothing was run.
        set_aside: whether it took its process with it, again and again.
    """

    handed_in: HandedIn
    seconds: float = 0.0
    run: str = ""
    outcome: str = ""
    points: float = 0.0
    max_points: float = 0.0
    fault: str = ""
    fix: str = ""
    before: bool = False
    set_aside: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch works with.

    Attributes:
        means: names the assignment and the reference.
        place: of the store.
        again: grade what has its result too, without counting attempts.
    """

    assignment: Assignment
    means: Means
    place: Place
    again: bool = False


class Watcher(Protocol):
    """Is told how a batch goes on, by one thread at a time."""

    def begins(self, handed_in: HandedIn) -> None:
        """A submission is run."""

    def ends(self, result: Result) -> None:
        """A submission has its result, or could not be graded."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


def workers_for(submissions: int, jobs: int | None, assignment: Assignment, device: str) -> int:
    """How many processes grade: as asked for, else as many runs as the cores can hold; never idle ones.

    Where GPUs are used, never more than there are, since each run has the whole of one.
    """
    gpus = gpus_for(assignment, device)
    side_by_side = len(gpus) or int(len(usable_cores()) // max(1.0, assignment.limits.cpus))
    wanted = min(jobs or side_by_side, len(gpus) or submissions)
    return max(1, min(wanted, submissions))


def gpus_for(assignment: Assignment, device: str) -> list[str]:
    """The GPUs of this machine that runs of an assignment get; none where they are to run on processors."""
    on_gpu = assignment.limits.gpu and device != "cpu" and gpu.available()
    return gpu.names() if on_gpu else []


class Batch:
    """One batch on this machine.

    Args:
        plan: what it works with.
        handed_in: what to grade.
        watcher: is told how it goes on.
    """

    def __init__(self, plan: Plan, handed_in: Iterable[HandedIn], watcher: Watcher) -> None:
        self._plan, self._watcher = plan, watcher
        self._waiting: queue.SimpleQueue[HandedIn] = queue.SimpleQueue()
        for each in handed_in:
            self._waiting.put(each)
        self._store = Store(plan.place)
        self._lock = threading.Lock()
        self._noted: set[str] = set()
        self._processes: set[BatchProcess] = set()
        self._stopped = False
        self._broken: BaseException | None = None

    def run(self, workers: int) -> None:
        """Grade all.

        Args:
            workers: processes.

        Raises:
            InterruptedGradingError: Ctrl-C; what has its result keeps it.
            StoreError: results cannot be kept any more; those that were, are.
        """
        self._store.artifacts.sweep()
        graded = self._store.graded(self._plan.assignment.id)
        gpus = gpus_for(self._plan.assignment, self._plan.means.device)
        each = [gpus[number] if number < len(gpus) else None for number in range(workers)]
        threads = [threading.Thread(target=self._work, args=[graded, one], daemon=True) for one in each]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            raise InterruptedGradingError(
                "interrupted; what was graded is kept", "start the same command again to go on"
            ) from None
        finally:
            self._stop()
            for thread in threads:
                thread.join()
        if self._broken is not None:
            raise self._broken

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            processes = list(self._processes)
        for process in processes:
            process.terminate()

    def _work(self, graded: Graded, gpu_name: str | None) -> None:
        process: BatchProcess | None = None
        try:
            while (handed_in := self._next()) is not None:
                result = before(self._plan, graded, handed_in)
                if result is None:
                    with self._lock:
                        self._watcher.begins(handed_in)
                    result, process = self._graded(handed_in, process, gpu_name)
                if self._stopped:
                    return
                self._end(result)
        except BaseException as error:  # noqa: BLE001  raised again where all threads have ended
            self._broken = self._broken or error
            self._stop()
        finally:
            if process is not None:
                self._close(process)

    def _graded(
        self, handed_in: HandedIn, process: BatchProcess | None, gpu_name: str | None
    ) -> tuple[Result, BatchProcess | None]:
        """Have a process grade, another one where it is lost; it stays for the next."""
        plan = self._plan
        job = Job(handed_in.path, handed_in.student, handed_in.submitted, plan.means, plan.place, plan.again)
        for _ in range(TRIES):
            process = process or self._started(gpu_name)
            answer = process.grade(job, self._tell)
            if answer is not None:
                if answer.pop("stops_all", False):
                    raise StoreError(answer["fault"], answer["fix"])
                return Result(handed_in, **answer), process
            self._close(process)
            process = None
            if self._stopped:
                break
        return Result(handed_in, fault=LOST, fix=ALONE, set_aside=True), None

    def _end(self, result: Result) -> None:
        with self._lock:
            if result.fault:
                whose = result.handed_in
                self._store.record_fault(
                    self._plan.assignment.id, whose.student, whose.name, result.fault, result.fix
                )
            self._watcher.ends(result)

    def _next(self) -> HandedIn | None:
        with suppress(queue.Empty):
            return None if self._stopped else self._waiting.get_nowait()
        return None

    def _started(self, gpu_name: str | None) -> BatchProcess:
        process = BatchProcess(gpu_name)
        with self._lock:
            self._processes.add(process)
            if self._stopped:
                process.terminate()
        return process

    def _close(self, process: BatchProcess) -> None:
        process.close()
        with self._lock:
            self._processes.discard(process)

    def _tell(self, text: str) -> None:
        with self._lock:
            if text not in self._noted:
                self._noted.add(text)
                self._watcher.note(text)


LOST = f"the process that graded it died, {TRIES} times: it is set aside"
ALONE = "grade it alone to see why: harness grade SUBMISSION"


def before(plan: Plan, graded: Graded, handed_in: HandedIn) -> Result | None:
    """The result that a submission has already, or that it can have none; None: it is to be graded."""
    if plan.again:
        return None
    try:
        key = key_of_path(plan.assignment, handed_in.path)
    except HarnessError as error:
        return Result(handed_in, fault=error.message, fix=error.fix)
    run = graded.run_of(handed_in.student, key, handed_in.submitted)
    return None if run is None else replace(Result(handed_in), run=run, before=True)
