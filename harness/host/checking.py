"""Has an assignment's checks judge many runs that took place before, in one pytest session."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from harness.host.judge import Judge
from harness.host.session import QuietSession, broken_session, run_quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.host.assignment import Assignment
    from harness.host.records import Check, Run, Submission


KNOWN = {"_pytest", "harness", "pytest_timeout"}  # whose plugins leave the common checks as they are


@dataclass(frozen=True, slots=True, eq=False)
class Checkable:
    """A run that the checks can judge.

    Attributes:
        submission: what was handed in; None where it could not be read.
        run: with the score that the checks compare.
    """

    submission: Submission | None
    run: Run


def check_runs(
    assignment: Assignment,
    runs: Iterable[Checkable],
    on_checked: Callable[[Checkable, tuple[Check, ...]], None],
    *,
    has_reference: bool,
) -> None:
    """Judge runs as `harness grade` judges its one.

    The assignment's checks are imported and collected once; every fixture is made anew for each run. It takes
    the main thread, since pytest-timeout bounds each check by a signal.

    Args:
        assignment: whose checks these are.
        runs: may make its caller wait; the next one is asked for when the last one is done with.
        on_checked: is given each run with what its checks said, in turn.
        has_reference: whether the scores are of the hidden answers; else they are of the validation rows.

    Raises:
        UsageError: the checks cannot be collected, or one of them broke.
        MachineError: what is around the checks broke.
        Exception: whatever `runs` or `on_checked` raises, as it is; also KeyboardInterrupt.
    """
    session = _CheckingSession(Judge(assignment, has_reference=has_reference), runs, on_checked)
    session.conclude(run_quietly(assignment.folder, session))


class _CheckingSession(QuietSession):
    """The session that judges one run after another."""

    def __init__(
        self,
        judge: Judge,
        runs: Iterable[Checkable],
        on_checked: Callable[[Checkable, tuple[Check, ...]], None],
    ) -> None:
        super().__init__()
        self._judge, self._runs, self._on_checked = judge, runs, on_checked
        self._ended_by: BaseException | None = None
        self._looped = False

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Have the assignment's checks judge."""
        super().pytest_configure(config)
        config.pluginmanager.register(self._judge)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Do all checks for each run, and hold back what stops that: pytest would make it an exit status."""
        if session.testsfailed:
            return None  # pytest refuses to go on where something cannot be collected
        steps = self._steps(session)
        try:
            for each in self._runs:
                self._judge.see(each.submission, each.run)
                _do(steps, session)
                self._on_checked(each, self._judge.verdict())
        except BaseException as error:  # noqa: BLE001  `conclude` raises it
            self._ended_by = error
        self._looped = True
        return True

    def _steps(self, session: pytest.Session) -> list[Callable[[], object]]:
        """How each check is done: by pytest's protocol, after the last of which no fixture is left.

        The checks that every assignment has are called plainly instead, unless a file of the assignment, such
        as a conftest.py, could have a hook or a fixture in their way.
        """
        protocol, items = session.config.hook.pytest_runtest_protocol, session.items
        alone = all(_is_known(plugin) for plugin in session.config.pluginmanager.get_plugins())
        calls = {item: self._judge.plain_call(item) if alone else None for item in items}
        others = [item for item in items if calls[item] is None]
        following = dict(zip_longest(others, others[1:]))
        return [calls[item] or partial(protocol, item=item, nextitem=following[item]) for item in items]

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Hold back Ctrl-C outside the loop too."""
        self._ended_by = self._ended_by or excinfo.value

    def conclude(self, status: int) -> None:
        """Raise what ended the session early.

        Args:
            status: pytest's exit status.
        """
        self.raise_for_collection()
        if self._ended_by is not None:
            raise self._ended_by
        if not self._looped or status == pytest.ExitCode.INTERNAL_ERROR:
            raise self.breakdown(status)


def _is_known(plugin: object) -> bool:
    name = getattr(plugin, "__name__", None) or type(plugin).__module__  # a module's own, or its object's
    return str(name).partition(".")[0] in KNOWN


def _do(steps: list[Callable[[], object]], session: pytest.Session) -> None:
    for step in steps:
        try:
            step()
        except pytest.exit.Exception:  # called by a check: there is no verdict
            return
        except Exception as error:
            raise broken_session("".join(traceback.format_exception(error))) from error
        if session.shouldfail or session.shouldstop:
            return
