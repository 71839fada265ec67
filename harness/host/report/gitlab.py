"""Speaks to GitLab CI: sections of the log that fold, and the report of its code quality widget.

https://docs.gitlab.com/ci/jobs/job_logs and https://docs.gitlab.com/ci/testing/code_quality.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.host.report.annotations import MODEL
from harness.host.report.files import write_atomically
from harness.host.report.text import printable, printable_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.host.report.annotations import Annotation, Sources

SERIOUS, LESS_SERIOUS = "critical", "minor"
_ERASE = "\x1b[0K"


class GitLab:
    """The log of a job.

    Args:
        write: takes a line of the log.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    @contextmanager
    def section(self, name: str, title: str) -> Iterator[None]:
        """What is written meanwhile can be folded.

        Args:
            name: of letters and underscores.
            title: what stands there when it is folded.
        """
        self._write(f"{_ERASE}section_start:{int(time.time())}:{name}\r{_ERASE}{title}")
        try:
            yield
        finally:
            self._write(f"{_ERASE}section_end:{int(time.time())}:{name}\r{_ERASE}")

    def conclude(self, summary: str, annotations: Sequence[Annotation]) -> None:
        """Nothing more: GitLab takes files, which options name."""

    def fault(self, message: str) -> None:
        """Nothing more: the message is in the log."""


def write_code_quality(annotations: Sequence[Annotation], sources: Sources, path: Path) -> None:
    """Write ``gl-code-quality-report.json``: what is of no line is put on the first one of the model.

    A fingerprint is of what is remarked where, so that the same remark on a later commit is known again.

    Raises:
        UsageError: it cannot be written.
    """
    entries = []
    for each in annotations:
        file, line = (each.file, each.line) if each.file and each.line else (sources.path(MODEL), 1)
        same = hashlib.sha256(f"{each.rule}\0{file}".encode("utf-8", "backslashreplace"))
        entries.append(
            {
                "description": printable_block(each.text),
                "check_name": printable(each.rule),
                "fingerprint": same.hexdigest(),
                "severity": SERIOUS if each.serious else LESS_SERIOUS,
                "location": {"path": printable(file), "lines": {"begin": line}},
            }
        )
    write_atomically(json.dumps(entries, indent=2) + "\n", path)
