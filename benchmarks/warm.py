"""A ``harness grade --watch`` that stays, timed from an edit of the submission to the report.

It looks at the submission ten times a second, and once more before it believes a change. Its user waits for
that too, so it counts.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import processes
from contestants import Sample, grade_command, read_report, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from workloads import Workload

SECONDS_BETWEEN_LOOKS = 0.001
LOOKS_BETWEEN_CHECKS = 200  # at the process and what it wrote, which takes longer than a look at a file
SECONDS_AT_MOST = 600.0
SECONDS_TO_END = 30.0
IS_IDLE = b"\nwatching "  # what the command says after each grading


class Watcher:
    """A watching harness; the context starts it, waits for its first report and ends it.

    Args:
        workload: its submission is copied, and the copy edited.
        sandbox: where the submission runs.
        folder: for the copy, the report and the log.
        harness: the command.
    """

    def __init__(
        self, workload: Workload, sandbox: str, folder: Path, harness: str = processes.HARNESS
    ) -> None:
        self._sandbox = sandbox
        self._workload = workload.copied_to(folder / "submission")
        self._report = folder / "report.json"
        self._log = folder / "log.txt"
        self._command = [*grade_command(self._workload, sandbox, self._report, harness), "--watch"]
        self._model = (self._workload.submission / "model.py").read_text()
        self._edits = 0
        self._process: subprocess.Popen[bytes] | None = None

    def sample(self) -> Sample:
        """Edit the model's source and wait for the report on it.

        Raises:
            RuntimeError: the watcher ended, wrote no report, or took too long.
        """
        self._edits += 1
        before, gradings = self._state(), self._gradings()
        started = time.perf_counter()
        (self._workload.submission / "model.py").write_text(f"{self._model}\n# edit {self._edits}\n")
        self._wait(lambda: self._state() != before, unless_graded=gradings + 1)
        seconds = time.perf_counter() - started
        self._wait(lambda: self._gradings() > gradings)
        return sample_of(seconds, read_report(self._report, self._sandbox))

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._workload.course,
                env=processes.clean(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        with ExitStack() as on_failure:
            on_failure.callback(self._end)
            self._wait(lambda: self._gradings() > 0)
            if not self._report.is_file():
                raise self._failure("wrote no report")
            on_failure.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """Ask the process to end, and wait until it has."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _state(self) -> tuple[int, int]:
        """What changes with each report, which is written anew and renamed."""
        status = self._report.stat()
        return status.st_mtime_ns, status.st_ino

    def _gradings(self) -> int:
        return self._log.read_bytes().count(IS_IDLE)

    def _wait(self, is_there: Callable[[], bool], unless_graded: int | None = None) -> None:
        """Wait for something that the process does.

        Args:
            is_there: whether it has.
            unless_graded: after so many gradings, it should have.
        """
        deadline = time.monotonic() + SECONDS_AT_MOST
        looks = 0
        while not is_there():
            looks += 1
            if looks % LOOKS_BETWEEN_CHECKS == 0:
                self._check(deadline)
                if unless_graded is not None and self._gradings() >= unless_graded and not is_there():
                    raise self._failure("wrote no report")
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _check(self, deadline: float) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise self._failure(f"ended with status {self._process.returncode}")
        if time.monotonic() > deadline:
            raise self._failure(f"took more than {SECONDS_AT_MOST:.0f} s")

    def _failure(self, what: str) -> RuntimeError:
        log = self._log.read_text(errors="replace")
        return RuntimeError(f"{' '.join(self._command)} {what}:\n{processes.last(log)}")
