"""One process of a batch, as the batch sees it: jobs go in as lines, answers come out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.host import batch_worker
from harness.host.sandbox import gpu

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS_TO_LEAVE = 30.0  # for a process that has sandboxes to end


class BatchProcess:
    """A process that runs `batch_worker`.

    Args:
        gpu_name: the GPU that its runs get; None: they get none, or the first.
    """

    def __init__(self, gpu_name: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", batch_worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, gpu.VISIBLE: gpu_name} if gpu_name is not None else None,
            start_new_session=True,  # Ctrl-C is the batch's to pass on
        )

    def grade(self, job: batch_worker.Job, tell: Callable[[str], None]) -> dict[str, Any] | None:
        """Have a submission graded.

        Args:
            job: which one, and how.
            tell: is given the notes that come before the answer.

        Returns:
            The answer's fields; None if the process is gone.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018  narrows the types: both are pipes
        try:
            stdin.write(job.line())
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
