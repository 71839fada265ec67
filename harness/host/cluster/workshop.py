"""Where a worker does the sandboxes' part of gradings, one after another.

It keeps from one to the next what is slow to make: the backend with its warmed parent, and the rows.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from harness.host.errors import HarnessError, InterruptedGradingError
from harness.host.execution import Sandboxes, environment, sandbox_spec
from harness.host.parcel import Answer, Fault, ParcelError, Stopped, pack_answer, unpack_rows, unpack_work
from harness.host.report.live import SilentProgress
from harness.host.sandbox.revocable import RevocableBackend
from harness.host.work import Work
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.backends import Choice
    from harness.host.execution import Execution
    from harness.host.machine import Machine
    from harness.host.parcel import Parcel
    from harness.host.work import Rows

SECONDS_TO_HEAR_OF_THE_END = 1.0
SECONDS_TO_FINISH = 10.0
SECONDS_BETWEEN_LOOKS = 0.02

logger = logging.getLogger(__name__)


class Workshop:
    """Does one parcel at a time, until it is closed.

    Args:
        machine: the backends and cores of this process; closed with the workshop.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._busy = threading.Lock()
        self._leaving = threading.Event()
        self._in_line = False
        self._delivered: dict[str, bytes] = {}
        self._rows: dict[str, Rows] = {}
        self._revocable: dict[int, RevocableBackend] = {}

    def deliver(self, digest: str, rows: bytes) -> None:
        """Keep an assignment's rows, as they were packed."""
        self._delivered[digest] = rows

    def do(self, parcel: bytes, on_start: Callable[[], None]) -> bytes:
        """Do a submission's work.

        Args:
            parcel: the work, packed.
            on_start: called when its turn has come.

        Returns:
            The answer, packed; a fault of this machine is one too.
        """
        with self._busy:
            if self._leaving.is_set():
                return pack_answer(Stopped())
            on_start()
            answer = self._answer(parcel)
            # Whatever came out of sandboxes that were ended by us is no verdict.
            return pack_answer(Stopped() if self._leaving.is_set() else answer)

    def close(self) -> None:
        """End what runs, at once, and let go of everything; a second call does nothing."""
        self._leaving.set()
        for backend in list(self._revocable.values()):
            backend.revoke()
        idle = self._wait_until_idle()
        try:
            self._machine.close()
        finally:
            if idle:
                self._busy.release()

    def _wait_until_idle(self) -> bool:
        """Wait for what runs to end, but not for who stands in line for cores: that ends with its turn."""
        deadline = time.monotonic() + SECONDS_TO_FINISH
        while not self._busy.acquire(timeout=SECONDS_BETWEEN_LOOKS):
            if self._in_line or time.monotonic() > deadline:
                return False
        return True

    def _answer(self, parcel: bytes) -> Answer | Fault | Stopped:
        try:
            answer = self._graded(unpack_work(parcel))
        except InterruptedGradingError:
            return Stopped()
        except HarnessError as error:
            return Fault(error.message, error.fix)
        except Exception as error:
            logger.exception("a parcel could not be worked on")
            return Fault(
                f"the worker broke: {type(error).__name__}: {error}", "the worker's log has the traceback"
            )
        finally:
            self._machine.cores.release()
        if _ended_without_a_word(answer.execution):
            # A batch system that ends a job ends its processes in any order, a sandbox's before this one.
            self._leaving.wait(SECONDS_TO_HEAR_OF_THE_END)
        return answer

    def _graded(self, parcel: Parcel) -> Answer:
        started = time.monotonic()
        choice = self._machine.choose(parcel.sandbox, parcel.device, parcel.runtime)
        backend = self._revocable_of(choice)
        backend.sweep()
        limits = parcel.plan.limits
        self._in_line = True
        try:
            cores = self._machine.cores.reserve(limits.cpus)
        finally:
            self._in_line = False
        spec = sandbox_spec(limits, parcel.run_id, cores, gpu=choice.device == "cuda")
        with Sandboxes(backend, spec) as sandboxes:
            work = Work(parcel.plan, self._rows_of(parcel.rows))
            execution = sandboxes.run(work, SilentProgress())
        where = environment(backend, choice.device, choice.reason, execution.versions)
        return Answer(execution, where, time.monotonic() - started)

    def _revocable_of(self, choice: Choice) -> RevocableBackend:
        kept = self._revocable.setdefault(id(choice.backend), RevocableBackend(choice.backend))
        if self._leaving.is_set():  # whoever closed this may not have seen it
            kept.revoke()
        return kept

    def _rows_of(self, digest: str) -> Rows:
        if digest not in self._rows:
            if digest not in self._delivered:
                raise ParcelError("the assignment's rows have not come to this worker")
            self._rows[digest] = unpack_rows(self._delivered.pop(digest))
        return self._rows[digest]


def _ended_without_a_word(execution: Execution) -> bool:
    """Whether the student's code died without a traceback, which somebody outside may have done."""
    last = execution.results[-1]
    return last.outcome is Outcome.RUNTIME_ERROR and last.place is None
