"""Grades many submissions side by side: each core has a process that takes one after the other.

A submission that cannot be graded, or that takes its process with it, does not stop the others.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.host import batch_worker
from harness.host.cores import usable_cores
from harness.host.errors import InterruptedGradingError, UsageError
from harness.host.intake import IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.session import Means

ARCHIVES = (".zip", ".tar.gz")
TRIES = 2  # of a submission whose worker is lost
SECONDS_TO_LEAVE = 30.0  # for a worker that has sandboxes to end


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one submission.

    Attributes:
        name: of the submission, and of its report.
        outcome: empty where it could not be graded, for which `fault` gives the reason and `fix` the remedy.
    """

    name: str
    seconds: float
    outcome: str = ""
    points: float = 0.0
    max_points: float = 0.0
    fault: str = ""
    fix: str = ""


def find_submissions(folder: Path) -> dict[str, Path]:
    """The submissions in a folder by name, in the names' order: its folders, and its archives.

    Raises:
        UsageError: there is no such folder or nothing in it, or two of them would have one report.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "name the folder that holds the submissions")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            continue
        suffix = next((suffix for suffix in ARCHIVES if path.name.endswith(suffix)), None)
        if suffix is None and not path.is_dir():
            continue
        name = path.name.removesuffix(suffix or "")
        if name in found:
            raise UsageError(
                f"{path} and {found[name]} would have one report, {name}.json", "rename or move one of them"
            )
        found[name] = path
    if not found:
        raise UsageError(
            f"there is no submission in {folder}", "each is a folder, a .zip or a .tar.gz in that folder"
        )
    return found


def workers_for(submissions: int, jobs: int | None, device: str) -> int:
    """How many processes grade: as asked for, else one a core, and one alone for a GPU; never idle ones."""
    wanted = jobs or (1 if device == "cuda" else len(usable_cores()))
    return max(1, min(wanted, submissions))


class Batch:
    """One batch.

    Args:
        submissions: by name; the report of each is ``NAME.json``.
        means: what to grade with.
        reports: an existing folder.
        on_result: called with each result as it comes, by one thread at a time.
        note: is told once of what workers note.
    """

    def __init__(
        self,
        submissions: dict[str, Path],
        means: Means,
        reports: Path,
        on_result: Callable[[Result], None],
        note: Callable[[str], None],
    ) -> None:
        self._means, self._reports = means, reports
        self._on_result, self._note = on_result, note
        self._waiting: queue.SimpleQueue[tuple[str, Path]] = queue.SimpleQueue()
        for each in submissions.items():
            self._waiting.put(each)
        self._lock = threading.Lock()
        self._noted: set[str] = set()
        self._workers: set[_Worker] = set()
        self._stopped = False

    def run(self, workers: int) -> None:
        """Grade all.

        Raises:
            InterruptedGradingError: Ctrl-C; reports that were written stay.
        """
        threads = [threading.Thread(target=self._work, name="batch", daemon=True) for _ in range(workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            raise InterruptedGradingError("interrupted; the reports that were written stay") from None
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            workers = list(self._workers)
        for worker in workers:
            worker.terminate()

    def _work(self) -> None:
        worker: _Worker | None = None
        try:
            while (job := self._next()) is not None:
                name, submission = job
                for _ in range(TRIES):
                    worker = worker or self._started()
                    answer = worker.grade(submission, self._reports / f"{name}.json", self._means, self._tell)
                    if answer is not None or self._stopped:
                        break
                    self._close(worker)
                    worker = None
                if self._stopped:
                    return
                with self._lock:
                    self._on_result(Result(name, **(answer or _LOST)))
        finally:
            if worker is not None:
                self._close(worker)

    def _next(self) -> tuple[str, Path] | None:
        with suppress(queue.Empty):
            return None if self._stopped else self._waiting.get_nowait()
        return None

    def _started(self) -> _Worker:
        worker = _Worker()
        with self._lock:
            self._workers.add(worker)
            if self._stopped:
                worker.terminate()
        return worker

    def _close(self, worker: _Worker) -> None:
        worker.close()
        with self._lock:
            self._workers.discard(worker)

    def _tell(self, text: str) -> None:
        with self._lock:
            if text not in self._noted:
                self._noted.add(text)
                self._note(text)


_LOST = {
    "seconds": 0.0,
    "fault": f"the process that graded it died, {TRIES} times",
    "fix": "grade it alone to see why: harness grade SUBMISSION",
}


class _Worker:
    """One process of `batch_worker`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", batch_worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is this process's to pass on
        )

    def grade(
        self, submission: Path, report: Path, means: Means, tell: Callable[[str], None]
    ) -> dict[str, Any] | None:
        """Have a submission graded; None if the worker is gone."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018  narrows the types: both are pipes
        try:
            stdin.write(batch_worker.job_line(submission, report, means))
            stdin.flush()
        except OSError:
            return None
        for line in stdout:
            message: dict[str, Any] = json.loads(line)
            kind = message.pop("kind")
            if kind == batch_worker.ANSWER:
                return message
            tell(message["text"])
        return None

    def terminate(self) -> None:
        """Have it end its sandboxes and leave, whatever it does."""
        self._process.terminate()

    def close(self) -> None:
        """Let it leave, and wait until it has."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(SECONDS_TO_LEAVE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
