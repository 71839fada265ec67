"""Speaks to GitHub Actions: what must not be taken for commands, annotations, and the summary of a step.

The commands and their escapes are those of "Workflow commands for GitHub Actions" and of the runner's own
``ActionCommand``; https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.report.text import printable, printable_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.host.report.annotations import Annotation

SUMMARY_FILE = "GITHUB_STEP_SUMMARY"
MOST_ANNOTATIONS = 10  # of one kind that GitHub shows of a step
MOST_SUMMARY_BYTES = 1_000_000  # of the 1 MiB that it takes of a step
LONGEST_TEXT = 4_000  # characters of one annotation
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})


class GitHub:
    """The log of a job.

    Args:
        write: takes a line of the log.
        summary: the file of the step's summary; None: there is none.
    """

    def __init__(self, write: Callable[[str], None], summary: Path | None) -> None:
        self._write, self._summary = write, summary

    @contextmanager
    def section(self, name: str, title: str) -> Iterator[None]:  # noqa: ARG002  a group would be a command
        """What is written meanwhile is shown, and no line of it is taken for a command.

        Args:
            name: of the section.
            title: likewise, for people.
        """
        token = secrets.token_hex(16)
        self._write(f"::stop-commands::{token}")
        try:
            yield
        finally:
            self._write(f"::{token}::")

    def conclude(self, summary: str, annotations: Sequence[Annotation]) -> None:
        """Put a summary on the page of the job, and annotations on the student's files.

        Args:
            summary: in Markdown; it may be read by the student.
            annotations: likewise.

        Raises:
            UsageError: the summary cannot be written.
        """
        for serious in (True, False):
            kind = "error" if serious else "warning"
            told = [each for each in annotations if each.serious is serious]
            for each in told[:MOST_ANNOTATIONS]:
                self._write(command(kind, each.text, title=each.rule, file=each.file, line=each.line))
        if self._summary is None:
            return
        text = summary if len(summary.encode()) <= MOST_SUMMARY_BYTES else "The feedback is in the log.\n"
        try:
            with self._summary.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(
                f"the summary {self._summary} cannot be written: {error.strerror}",
                f"{SUMMARY_FILE} names a file that may be written; or take --ci none",
            ) from error

    def fault(self, message: str) -> None:
        """Say why nothing could be graded."""
        self._write(command("error", message, title="not graded"))


def command(kind: str, text: str, *, title: str, file: str = "", line: int | None = None) -> str:
    """A workflow command that makes an annotation.

    Args:
        kind: ``error`` or ``warning``.
        text: of several lines, if need be; cut off where it is too long.
        title: a line.
        file: relative to the repository's root; empty: of no file.
        line: of the file; None: of none.
    """
    properties = {"file": file, "line": "" if line is None else str(line), "title": title}
    written = [
        f"{name}={printable(value).translate(_PROPERTY)}" for name, value in properties.items() if value
    ]
    return f"::{kind} {','.join(written)}::{printable_block(text)[:LONGEST_TEXT].translate(_DATA)}"


def github_of(environment: dict[str, str], write: Callable[[str], None]) -> GitHub:
    """The job that this process is a part of.

    Args:
        environment: its variables.
        write: takes a line of the log.
    """
    named = environment.get(SUMMARY_FILE)
    return GitHub(write, Path(named) if named else None)
