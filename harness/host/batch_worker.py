"""A process that grades one submission after another for a batch, with sandboxes that stay warm.

It reads jobs as lines of JSON from standard input, answers each with a line on what was standard output, and
leaves when there are no more. Before an answer it may send notes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from harness.host.errors import HarnessError, InterruptedGradingError
from harness.host.machine import Machine
from harness.host.report.document import staff_document, write_json
from harness.host.session import Means, grade_submission

ANSWER, NOTE = "answer", "note"


def job_line(submission: Path, report: Path, means: Means) -> str:
    """A job as a line.

    Args:
        submission: a folder or archive.
        report: the file to write.
        means: what to grade with.
    """
    reference = str(means.reference.absolute()) if means.reference is not None else None
    fields = asdict(means) | {"reference": reference}
    paths = {"submission": str(submission.absolute()), "report": str(report.absolute())}
    return json.dumps({**paths, "means": fields}) + "\n"


def main() -> None:
    """Work until the jobs end, or until a signal does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Whatever prints here would stand between the answers.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace") as answers:
        os.dup2(2, 1)
        with Machine(lambda text: _say(answers, {"kind": NOTE, "text": text})) as machine:
            try:
                for line in sys.stdin:
                    _say(answers, {"kind": ANSWER, **_graded(json.loads(line), machine)})
            except (KeyboardInterrupt, InterruptedGradingError, BrokenPipeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())  # nobody listens any more


def _say(answers: IO[str], message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _graded(job: dict[str, Any], machine: Machine) -> dict[str, Any]:
    started = time.monotonic()
    reference = job["means"].pop("reference")
    means = Means(**job["means"], reference=Path(reference) if reference is not None else None)
    try:
        report = grade_submission(Path(job["submission"]), means, Console(quiet=True), machine)
        write_json(staff_document(report), Path(job["report"]))
    except InterruptedGradingError:
        raise
    except HarnessError as error:
        return {"fault": error.message, "fix": error.fix, "seconds": time.monotonic() - started}
    return {
        "outcome": report.run.outcome,
        "points": report.points,
        "max_points": report.max_points,
        "seconds": time.monotonic() - started,
    }


if __name__ == "__main__":
    main()
