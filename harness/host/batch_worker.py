"""A process that grades one submission after another for a batch, with sandboxes that stay warm.

It reads jobs as lines of JSON from standard input, keeps each result in the store, and answers with a line on
what was standard output; before an answer it may send notes. It leaves when there are no more jobs; if the
batch is gone in the middle of one, it ends that one too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console

from harness.host.assignment import find_assignment, load_assignment
from harness.host.errors import HarnessError, InterruptedGradingError, StoreError
from harness.host.keeping import Basis, basis_of, keep
from harness.host.machine import Machine
from harness.host.session import Means, grade_submission
from harness.host.store.place import Place
from harness.host.store.store import Store

if TYPE_CHECKING:
    from types import FrameType

ANSWER, NOTE = "answer", "note"


@dataclass(frozen=True, slots=True)
class Job:
    """One submission to grade.

    Attributes:
        submission: a folder or archive.
        student: whose it is.
        submitted: when it was handed in, with a time zone.
        means: what to grade with; the assignment and the reference are named.
        place: the store.
        again: grade it although it has a result, without counting an attempt.
    """

    submission: Path
    student: str
    submitted: datetime
    means: Means
    place: Place
    again: bool = False

    def line(self) -> str:
        """The job as a line."""
        return json.dumps(asdict(self), default=str) + "\n"

    @classmethod
    def read(cls, line: str) -> Job:
        """What `line` made a line of."""
        fields = json.loads(line)
        means, place = fields["means"], fields["place"]
        return cls(
            submission=Path(fields["submission"]),
            student=fields["student"],
            submitted=datetime.fromisoformat(fields["submitted"]),
            means=Means(**means | {"reference": Path(means["reference"])}),
            place=Place(place["url"], Path(place["artifacts"])),
            again=fields["again"],
        )


def main() -> None:
    """Work until the jobs end, or until a signal does."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the batch's to pass on
    jobs = Jobs(own_input())
    # Whatever prints here would stand between the answers.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace") as answers:
        os.dup2(2, 1)
        with Machine(lambda text: _say(answers, {"kind": NOTE, "text": text})) as machine:
            try:
                while (line := jobs.next()) is not None:
                    _say(answers, {"kind": ANSWER, **_graded(Job.read(line), machine)})
            except (KeyboardInterrupt, InterruptedGradingError, BrokenPipeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())  # nobody listens any more


def _leave(number: int, frame: FrameType | None) -> None:
    """End what runs; who asks a second time waits, since what is being ended would stay half there."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.default_int_handler(number, frame)


def own_input() -> IO[str]:
    """What was standard input, for one thread to read; that is empty from now on.

    Children that Python forks close standard input, and would wait for ever for a thread that reads it.
    """
    given = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return given


class Jobs:
    """The jobs as they come; a batch that is gone in the middle of one ends it, since nobody waits for it.

    Args:
        given: a job a line.
    """

    def __init__(self, given: IO[str]) -> None:
        self._given = given
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._working = self._ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> str | None:
        """Wait for the next job; None: there are no more."""
        with self._lock:
            self._working = False
        line = self._lines.get()
        with self._lock:
            self._working = line is not None and not self._ended
        return line if self._working else None

    def _listen(self) -> None:
        for line in self._given:
            self._lines.put(line)
        self._lines.put(None)
        with self._lock:
            self._ended = True
            if self._working:
                os.kill(os.getpid(), signal.SIGTERM)


def _say(answers: IO[str], message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _basis(means: Means) -> Basis:
    if means.assignment is None or means.reference is None:
        raise ValueError("a batch names its assignment and the reference")
    assignment = load_assignment(find_assignment(means.assignment, Path.cwd()))
    return basis_of(assignment, means.reference)


def _graded(job: Job, machine: Machine) -> dict[str, Any]:
    started = time.monotonic()
    try:
        basis = _basis(job.means)
        graded = grade_submission(
            job.submission,
            job.means,
            Console(quiet=True),
            machine,
            student=job.student,
            counted=not job.again,
        )
        run = keep(Store(job.place), graded, job.student, job.submitted, again=job.again, basis=basis)
    except InterruptedGradingError:
        raise
    except HarnessError as error:
        fault = {"fault": error.message, "fix": error.fix, "seconds": time.monotonic() - started}
        return {**fault, "stops_all": isinstance(error, StoreError)}
    report = graded.report
    return {
        "outcome": report.run.outcome,
        "points": report.points,
        "max_points": report.max_points,
        "run": run,
        "seconds": time.monotonic() - started,
    }


if __name__ == "__main__":
    main()
