"""Which submissions are out on a cluster, what is done about those that do not come back, and the scoring."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Protocol

from harness.host.config import parse_config
from harness.host.errors import HarnessError, InvalidSubmissionError, MachineError
from harness.host.grade import read, refused, scored
from harness.host.parcel import Answer, Fault, Parcel, pack_rows, pack_work, unpack_answer
from harness.host.phases import prepare
from harness.host.records import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.host.data import Data
    from harness.host.grade import Order
    from harness.host.phases import Material
    from harness.host.records import Run, Submission

FEW, FIRST = 3, 8  # submissions that are out for each one that runs, and before any worker is there
DEATHS = 2  # of workers, while they work on one submission
FAULTS = 3  # of workers' machines
LOSSES = 8  # of its work, without anybody's fault
SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_COUNTS = 0.2, 2.0
SECONDS_ALONE, SECONDS_BETWEEN_COMPLAINTS = 15.0, 600.0
ALONE = "grade it alone to see why: harness grade SUBMISSION"


@dataclass(frozen=True, slots=True)
class Task:
    """One submission to grade.

    Attributes:
        name: the caller's, for the answer.
        order: what to grade; its reason and cores are the worker's to say.
        sandbox: ``auto``, ``docker``, ``bubblewrap`` or ``none``, on the worker.
        runtime: of the worker's Docker engine; None for its own.
    """

    name: str
    order: Order
    sandbox: str = "auto"
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one: a run that is scored, or a fault.

    Attributes:
        graded: the submission, if it could be read, and its run; None where there is a fault.
        fault: why it could not be graded.
        set_aside: whether the fault is that it took its worker with it, again and again.
        worker: the address of the worker that answered, for staff.
    """

    task: Task
    graded: tuple[Submission | None, Run] | None = None
    fault: HarnessError | None = None
    set_aside: bool = False
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of a parcel.

    Attributes:
        name: it was sent under.
        answer: packed; None where it was lost.
        died: whether the worker that worked on it died meanwhile.
        worker: its address; empty where no worker began.
        problem: why it was lost.
    """

    name: str
    answer: bytes | None
    died: bool = False
    worker: str = ""
    problem: str = ""


class Link(Protocol):
    """What a dispatch needs of a cluster; see `harness.host.cluster.session.Session`."""

    def slots(self) -> int:
        """How many parcels can be worked on at a time."""

    def deliver(self, rows: bytes) -> str:
        """Bring an assignment's rows to all workers."""

    def send(self, name: str, parcel: bytes, *, gpu: bool, avoid: frozenset[str]) -> None:
        """Send a parcel."""

    def next(self, seconds: float) -> Returned | None:
        """Wait for a parcel that was answered or lost."""


@dataclass(slots=True)
class _Out:
    """A submission that is out."""

    task: Task
    submission: Submission
    material: Material
    run_id: str
    parcel: bytes
    deaths: int = 0
    losses: int = 0
    faults: list[Fault] = field(default_factory=list)
    avoid: frozenset[str] = frozenset()


class Dispatch:
    """Grades submissions through a link, a few at a time.

    Args:
        link: to the workers.
        on_done: called with each result as it comes, in the thread that calls `run`.
        note: is told where nothing goes on.
    """

    def __init__(self, link: Link, on_done: Callable[[Done], None], note: Callable[[str], None]) -> None:
        self._link, self._on_done, self._note = link, on_done, note
        self._out: dict[str, _Out] = {}
        self._sent = 0
        self._slots, self._counted_at = 0, -inf
        self._delivered: dict[int, tuple[Data, str]] = {}
        self._alone_since = inf

    def run(self, tasks: Iterable[Task], should_stop: Callable[[], bool]) -> bool:
        """Grade all; return whether that came to its end, and not `should_stop` before it.

        Raises:
            MachineError: the cluster is gone.
        """
        waiting = iter(tasks)
        more = True
        while more or self._out:
            if should_stop():
                return False
            room = self._room()
            if more and len(self._out) < room:
                task = next(waiting, None)
                more = task is not None
                if task is not None:
                    self._begin(task)
                returned = self._link.next(0)
            else:
                returned = self._link.next(SECONDS_BETWEEN_LOOKS)
            if returned is not None:
                self._take(returned)
        return True

    def _room(self) -> int:
        """How many submissions may be out: enough that no worker waits for this host, and no more."""
        now = time.monotonic()
        if now - self._counted_at > SECONDS_BETWEEN_COUNTS:
            self._slots, self._counted_at = self._link.slots(), now
            if self._slots:
                self._alone_since = inf
            elif self._alone_since == inf:
                self._alone_since = now
            elif now - self._alone_since > SECONDS_ALONE:
                self._alone_since = now + SECONDS_BETWEEN_COMPLAINTS
                self._note("no worker is there; waiting for one")
        return max(FIRST, FEW * self._slots)

    def _begin(self, task: Task) -> None:
        order, submission = task.order, None
        run_id = secrets.token_hex(8)
        try:
            submission = read(order)
            config = parse_config(submission.config, order.assignment)
            material = prepare(order.assignment, submission, config, order.reference, order.device)
        except InvalidSubmissionError as error:
            isolated = task.sandbox != "none"
            where = Environment(task.sandbox, isolated, order.device, "it was not sent to a worker")
            self._on_done(Done(task, graded=(submission, refused(order.assignment, where, run_id, error))))
            return
        except HarnessError as error:
            self._on_done(Done(task, fault=error))
            return
        rows = self._digest_of_rows(material)
        work = Parcel(run_id, task.sandbox, order.device, task.runtime, rows, material.plan)
        self._send(_Out(task, submission, material, run_id, pack_work(work)))

    def _digest_of_rows(self, material: Material) -> str:
        data = material.data  # the same object for all gradings of an assignment, as long as its files are
        if id(data) not in self._delivered:
            self._delivered[id(data)] = data, self._link.deliver(pack_rows(material.rows))
        return self._delivered[id(data)][1]

    def _send(self, out: _Out) -> None:
        self._sent += 1
        name = str(self._sent)
        self._out[name] = out
        gpu = out.task.order.device == "cuda"
        self._link.send(name, out.parcel, gpu=gpu, avoid=out.avoid)

    def _take(self, returned: Returned) -> None:
        out = self._out.pop(returned.name)
        if returned.answer is None:
            self._lost(out, returned)
            return
        try:
            answer = unpack_answer(returned.answer)
            if isinstance(answer, Answer):
                where, started = answer.where, time.monotonic() - answer.seconds
                run = scored(out.material, answer.execution, where, out.run_id, started)
                self._on_done(Done(out.task, graded=(out.submission, run), worker=returned.worker))
            elif isinstance(answer, Fault):
                self._faulty(out, answer, returned.worker)
            else:
                self._lost(out, returned)
        except HarnessError as error:
            self._on_done(Done(out.task, fault=error, worker=returned.worker))

    def _faulty(self, out: _Out, fault: Fault, worker: str) -> None:
        """A worker could not do it: others may, before it is a fault of all."""
        out.faults.append(fault)
        out.avoid |= {worker}
        if len(out.faults) < FAULTS:
            self._send(out)
            return
        error = MachineError(f"{fault.message} (on {worker})", fault.fix)
        self._on_done(Done(out.task, fault=error, worker=worker))

    def _lost(self, out: _Out, returned: Returned) -> None:
        out.deaths += returned.died
        out.losses += not returned.died
        if out.deaths >= DEATHS:
            error = MachineError(f"the worker that graded it died, {DEATHS} times", ALONE)
            self._on_done(Done(out.task, fault=error, set_aside=True, worker=returned.worker))
        elif out.losses >= LOSSES:
            why = returned.problem or "its worker was stopped"
            error = MachineError(f"its work was lost, {LOSSES} times: {why}", "look at the workers' logs")
            self._on_done(Done(out.task, fault=error, worker=returned.worker))
        else:
            self._send(out)
