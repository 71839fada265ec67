"""Grades one submission in a pytest session whose own output is set aside: what is shown is the report."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.assignment import find_assignment, known_assignments
from harness.host.errors import (
    HarnessError,
    InterruptedGradingError,
    InvalidSubmissionError,
    MachineError,
    UsageError,
)
from harness.host.pytest_plugin import FAULT, GRADING
from harness.host.report.live import progress_for
from harness.host.submission import load_submission

if TYPE_CHECKING:
    from rich.console import Console

    from harness.host.machine import Machine
    from harness.host.records import Report

LAST_LINES = 30
PLUGINS = (
    *("-p", "no:cacheprovider"),
    *("-p", "no:unraisableexception"),  # it collects garbage twice
    *("-p", "pytest_timeout"),
    *("-p", "harness.host.pytest_plugin"),
)


@dataclass(frozen=True, slots=True)
class Means:
    """What a command grades with, the same for all that it grades.

    Attributes:
        sandbox: ``auto``, ``docker``, ``bubblewrap`` or ``none``.
        device: ``auto``, ``cpu`` or ``cuda``.
        runtime: of the Docker engine; None: the assignment's, or the engine's own.
        assignment: its id; None: the one that the submission's config names.
        reference: the folder of the hidden answers; None: ``reference/ID``.
    """

    sandbox: str
    device: str
    runtime: str | None = None
    assignment: str | None = None
    reference: Path | None = None

    def arguments(self) -> list[str]:
        """The options of a pytest session."""
        arguments = ["--sandbox", self.sandbox, "--device", self.device]
        if self.reference is not None:
            arguments += ["--reference", str(self.reference.absolute())]
        if self.runtime is not None:
            arguments += ["--runtime", self.runtime]
        return arguments


def grade_submission(
    submission: Path, means: Means, console: Console, machine: Machine, student: str | None = None
) -> Report:
    """Run pytest over the assignment's checks, with its own output set aside.

    Args:
        submission: a folder or archive.
        means: what to grade with.
        console: where live progress goes.
        machine: what is kept from one session to the next.
        student: whose attempt it is, where the assignment caps them; None: the submission's name.

    Raises:
        HarnessError: what stopped the session.
    """
    folder = assignment_folder(submission, means.assignment)
    machine.cores.reserve(1)  # who has to wait does it now, and costs the others nothing meanwhile
    os.environ.pop("PYTEST_ADDOPTS", None)  # what is meant for the user's own tests would change the grading
    os.environ.pop("PYTEST_PLUGINS", None)
    session = QuietSession(console, machine)
    where = [str(folder), f"--rootdir={folder}", f"--confcutdir={folder}", "--config-file", os.devnull]
    fixed = [*where, "--import-mode=importlib", "--disable-plugin-autoload", *PLUGINS]
    asked = ["--submission", str(submission.absolute()), *means.arguments()]
    if student is not None:
        asked.append(f"--student={student}")
    status = pytest.main([*fixed, *asked], plugins=[session])
    return session.report(int(status))


def assignment_folder(submission: Path, named: str | None) -> Path:
    """Find the assignment by the option, by the config, or because there is only one.

    Raises:
        UsageError: there is no such assignment, or none was named.
    """
    here = Path.cwd()
    if named is not None:
        return find_assignment(named, here)
    try:
        config = load_submission(submission, max_bytes=1 << 26).config
    except InvalidSubmissionError:
        config = {}  # what is wrong with it is for the grading to say
    wanted = config.get("assignment")
    if isinstance(wanted, str):
        return find_assignment(wanted, here)
    known = known_assignments(here)
    if len(known) == 1:
        return find_assignment(known[0], here)
    raise UsageError(
        "the submission's config.toml names no assignment",
        f"name it: --assignment {'|'.join(known) or 'ID'} (looked for in {here}/assignments and above)",
    )


class QuietSession:
    """A plugin that keeps pytest quiet and hands over the report.

    Args:
        console: where live progress goes.
        machine: what is kept from one session to the next.
    """

    def __init__(self, console: Console, machine: Machine) -> None:
        self._console, self._machine = console, machine
        self._output = io.StringIO()
        self._config: pytest.Config | None = None
        self._broken: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Put a reporter that writes into memory in the place of pytest's, and show progress instead."""
        self._config = config
        standard = config.pluginmanager.get_plugin("terminalreporter")
        config.pluginmanager.unregister(standard)
        config.pluginmanager.register(pytest.TerminalReporter(config, self._output), "terminalreporter")
        if GRADING in config.stash:
            config.stash[GRADING].progress = progress_for(self._console)
            config.stash[GRADING].machine = self._machine

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why an assignment's checks could not be collected."""
        if report.failed:
            self._broken = str(report.longrepr)

    def report(self, status: int) -> Report:
        """The session's report.

        Args:
            status: pytest's exit status.

        Raises:
            HarnessError: the session stopped before there was one.
        """
        config = self._config
        if config is not None and FAULT in config.stash:
            raise config.stash[FAULT]
        if self._broken is not None:
            raise UsageError(
                f"the assignment's checks cannot be collected:\n{self._broken}", "mend the test file"
            )
        if config is None or GRADING not in config.stash or config.stash[GRADING].run is None:
            raise self._stopped(status)
        return config.stash[GRADING].report()

    def _stopped(self, status: int) -> HarnessError:
        if status == pytest.ExitCode.INTERRUPTED:
            return InterruptedGradingError("interrupted; nothing was graded")
        if status == pytest.ExitCode.USAGE_ERROR:
            return UsageError("pytest refused the command; its message is above")
        lines = self._output.getvalue().splitlines()[-LAST_LINES:]
        return MachineError(
            "the grading session broke:\n" + "\n".join(lines), "this is a fault of the harness"
        )
