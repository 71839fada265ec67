"""A pytest session whose own output is set aside, so that only the report is shown."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import HarnessError, InterruptedGradingError, MachineError, UsageError
from harness.host.pytest_plugin import FAULT, GRADING
from harness.host.report.live import progress_for

if TYPE_CHECKING:
    from rich.console import Console

    from harness.host.machine import Machine
    from harness.host.records import Report

LAST_LINES = 30


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
