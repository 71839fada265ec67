"""Grades one submission in a pytest session whose own output is set aside: what is shown is the report."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
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
from harness.host.pytest_plugin import FAULT, GRADING, graded_by
from harness.host.report.live import progress_for
from harness.host.submission import load_submission

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rich.console import Console

    from harness.host.grading import Graded
    from harness.host.machine import Machine

LAST_LINES = 30
UNNEEDED = (  # each would cost time at every check
    "assertion",  # its text quotes values, and is not shown
    "cacheprovider",
    "faulthandler",
    "setuponly",
    "setupplan",
    "threadexception",
    "unraisableexception",  # it collects garbage twice
)
OF_EACH_CHECK = ("pytest_runtest_logstart", "pytest_runtest_logreport")  # what a reporter would say, and keep
PLUGINS = (
    *(argument for name in UNNEEDED for argument in ("-p", f"no:{name}")),
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
    submission: Path,
    means: Means,
    console: Console,
    machine: Machine,
    student: str | None = None,
    *,
    counted: bool = True,
) -> Graded:
    """Run pytest over the assignment's checks, with its own output set aside.

    Args:
        submission: a folder or archive.
        means: what to grade with.
        console: where live progress goes.
        machine: what is kept from one session to the next.
        student: whose attempt it is, where the assignment caps them; None: the submission's name.
        counted: whether it is an attempt.

    Raises:
        HarnessError: what stopped the session.
    """
    folder = assignment_folder(submission, means.assignment)
    machine.cores.reserve(1)  # who has to wait does it now, and costs the others nothing meanwhile
    session = GradingSession(console, machine, counted=counted)
    asked = ["--submission", str(submission.absolute()), *means.arguments()]
    if student is not None:
        asked.append(f"--student={student}")
    return session.graded(run_quietly(folder, session, *asked))


def run_quietly(folder: Path, plugin: QuietSession, *arguments: str) -> int:
    """Run pytest over an assignment's checks, the same way whatever the machine and the user are set to.

    Args:
        folder: of the assignment.
        plugin: takes pytest's output.
        arguments: further ones of pytest.

    Returns:
        Pytest's exit status.
    """
    os.environ.pop("PYTEST_ADDOPTS", None)  # what is meant for the user's own tests would change the grading
    os.environ.pop("PYTEST_PLUGINS", None)
    where = [str(folder), f"--rootdir={folder}", f"--confcutdir={folder}", "--config-file", os.devnull]
    fixed = ["--import-mode=importlib", "--disable-plugin-autoload", "--capture=no", "--no-summary", *PLUGINS]
    with _imports_forgotten(folder):
        return int(pytest.main([*where, *fixed, *arguments], plugins=[plugin]))


@contextmanager
def _imports_forgotten(folder: Path) -> Iterator[None]:
    """Forget the modules of a folder that are imported meanwhile.

    Pytest names them by their place in it, and would take the next assignment's of the same name for these.
    """
    before, inside = set(sys.modules), f"{folder}{os.sep}"
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            known = getattr(sys.modules[name], "__dict__", {})  # to ask a lazy module may import more
            if any(
                str(place).startswith(inside) for place in (known.get("__file__"), *known.get("__path__", ()))
            ):
                del sys.modules[name]


def assignment_folder(submission: Path, named: str | None) -> Path:
    """Find the assignment by the option, by the config, or because there is only one.

    Raises:
        UsageError: there is no such assignment, or none was named.
    """
    here = Path.cwd()
    if named is not None:
        return find_assignment(named, here)
    config, why = {}, "the submission's config.toml names no assignment"
    try:
        config = load_submission(submission, max_bytes=1 << 26).config
    except InvalidSubmissionError as error:  # which is for the grading to say, once it is known by what
        where = f"{error.file}, line {error.line}: " if error.file and error.line else ""
        why = f"which assignment this is for cannot be read: {where}{error.message}"
    wanted = config.get("assignment")
    if isinstance(wanted, str):
        return find_assignment(wanted, here)
    known = known_assignments(here)
    if len(known) == 1:
        return find_assignment(known[0], here)
    raise UsageError(
        why,
        f"name it: --assignment {'|'.join(known) or 'ID'} (looked for in {here}/assignments and above)",
    )


class _Nowhere(io.TextIOBase):
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        """Take it as written."""
        return len(text)


class QuietSession:
    """A plugin that keeps pytest's output to itself."""

    def __init__(self) -> None:
        self._output, self._nowhere = io.StringIO(), _Nowhere()
        self._uncollected: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Put a reporter that writes into memory in the place of pytest's."""
        standard = config.pluginmanager.get_plugin("terminalreporter")
        config.pluginmanager.unregister(standard)
        reporter = pytest.TerminalReporter(config, self._output)
        for hook in OF_EACH_CHECK:
            setattr(reporter, hook, None)
        config.pluginmanager.register(reporter, "terminalreporter")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why an assignment's checks could not be collected."""
        if report.failed:
            self._uncollected = str(report.longrepr)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Do without the plugin that keeps what is logged, unless a check asks for it."""
        if not any("caplog" in getattr(item, "fixturenames", ()) for item in session.items):
            plugin = session.config.pluginmanager.unregister(name="logging-plugin")
            if plugin is not None:
                plugin.pytest_unconfigure()  # closes its file

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Let nothing through that the assignment's own files print."""
        with redirect_stdout(self._nowhere), redirect_stderr(self._nowhere):
            return (yield)

    pytest_load_initial_conftests = pytest_collection = pytest_runtest_protocol

    def raise_for_collection(self) -> None:
        """Raise what kept pytest from collecting the checks, if anything did.

        Raises:
            UsageError: a file of the assignment cannot be imported.
        """
        if self._uncollected is not None:
            raise UsageError(
                f"the assignment's checks cannot be collected:\n{self._uncollected}", "mend the test file"
            )

    def breakdown(self, status: int) -> HarnessError:
        """What to raise of a session that came to nothing.

        Args:
            status: pytest's exit status.
        """
        if status == pytest.ExitCode.USAGE_ERROR:
            return UsageError("pytest refused the command; its message is above")
        return broken_session(self._output.getvalue())


def broken_session(said: str) -> MachineError:
    """What to raise where neither a check nor the submission broke, but what is around them.

    Args:
        said: of which the last lines are shown.
    """
    lines = said.splitlines()[-LAST_LINES:]
    return MachineError(
        "the grading session broke:\n" + "\n".join(lines),
        "this is a fault of the harness, or of the assignment's conftest.py if it has one",
    )


class GradingSession(QuietSession):
    """The session that grades one submission.

    Args:
        console: where live progress goes.
        machine: what is kept from one session to the next.
        counted: whether it is one of the student's attempts.
    """

    def __init__(self, console: Console, machine: Machine, *, counted: bool) -> None:
        super().__init__()
        self._console, self._machine, self._counted = console, machine, counted
        self._config: pytest.Config | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Show progress instead of pytest's output."""
        super().pytest_configure(config)
        self._config = config
        if GRADING in config.stash:
            config.stash[GRADING].progress = progress_for(self._console)
            config.stash[GRADING].machine = self._machine
            config.stash[GRADING].counted = self._counted

    def graded(self, status: int) -> Graded:
        """What came of the session.

        Args:
            status: pytest's exit status.

        Raises:
            HarnessError: the session stopped before there was one.
        """
        config = self._config
        if config is not None and FAULT in config.stash:
            raise config.stash[FAULT]
        self.raise_for_collection()
        if config is not None and GRADING in config.stash and config.stash[GRADING].run is not None:
            try:
                return graded_by(config)
            except UsageError as error:
                if status == pytest.ExitCode.INTERNAL_ERROR:
                    raise self.breakdown(status) from error
                raise
        if status == pytest.ExitCode.INTERRUPTED:
            raise InterruptedGradingError("interrupted; nothing was graded")
        raise self.breakdown(status)
