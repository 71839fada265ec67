"""What is made of a report: files, the terminal, and what a CI system shows."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from harness.host.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rich.console import Console

    from harness.host.grading import Graded
    from harness.host.records import Report
    from harness.host.report.ci import Ci


@dataclass(frozen=True, slots=True)
class Files:
    """The files to write; None: not asked for."""

    json: Path | None = None
    junit: Path | None = None
    feedback: Path | None = None
    code_quality: Path | None = None


class Teller:
    """Tells of gradings.

    Args:
        files: to write.
        system: the CI system that reads along, as `harness.host.report.ci.ci_of` has it. Students may read
            the log and what comes of the JUnit file there, so it is told the public side of reports alone.
        submission: the folder or archive, as it was named.
    """

    def __init__(self, files: Files, system: str, submission: Path) -> None:
        from harness.host.report.ci import speak_to  # noqa: PLC0415  not for --help

        self._files, self._submission = files, submission
        self.in_ci = system != "none"
        self._ci: Ci = speak_to(system, os.environ, _line)

    @contextmanager
    def in_any_case(self) -> Iterator[None]:
        """Have the JUnit file and the CI system say so where nothing could be graded."""
        from harness.host.report.junit import junit_in_any_case  # noqa: PLC0415  not for --help

        with junit_in_any_case(self._files.junit, self._submission.absolute().name):
            try:
                yield
            except HarnessError as error:
                self._ci.fault(f"{error.message}\n{error.fix}")
                raise

    def grading(self) -> AbstractContextManager[None]:
        """What is written meanwhile is of the run, as it goes on."""
        return self._ci.section("grading", "Training and prediction")

    def show(self, graded: Graded, console: Console) -> None:
        """Write the files that were asked for, and the report to a console.

        Raises:
            UsageError: a file cannot be written.
        """
        from harness.host.report.ci import remarks_on  # noqa: PLC0415  not for --help
        from harness.host.report.document import student_markdown  # noqa: PLC0415  likewise
        from harness.host.report.gitlab import write_code_quality  # noqa: PLC0415  likewise
        from harness.host.report.public import public_side  # noqa: PLC0415  likewise

        files, public = self._files, public_side(graded.report)
        shown = public if self.in_ci else graded.report
        remarks, sources = remarks_on(public, graded.submission, self._submission, os.environ)
        try:  # first: whoever reads the terminal's output may stop before its end
            write_reports(graded.report, files.json, None, files.feedback)
            write_reports(shown, None, files.junit, None)
            if files.code_quality is not None:
                write_code_quality(remarks, sources, files.code_quality)
        finally:
            with self._ci.section("report", "Report"):
                render(shown, console)
        if self.in_ci:
            self._ci.conclude(student_markdown(graded.report), remarks)


def _line(text: str) -> None:
    typer.echo(text, color=True)  # or what folds the log would be left out


def render(report: Report, console: Console) -> None:
    """Show a report on the terminal."""
    from harness.host.report import terminal  # noqa: PLC0415  not for --help

    terminal.render(report, console)


def write_reports(report: Report, json: Path | None, junit: Path | None, feedback: Path | None) -> None:
    """Write the files that were asked for.

    Raises:
        UsageError: one cannot be written.
    """
    from harness.host.report import document  # noqa: PLC0415  not for --help
    from harness.host.report import junit as junit_xml  # noqa: PLC0415  likewise

    if json is not None:
        document.write_json(document.staff_document(report), json)
    if junit is not None:
        junit_xml.write_junit(report, junit)
    if feedback is not None:
        document.write_feedback(report, feedback)
