"""The pytest plugin that has an assignment's checks judge one run after another.

It collects the checks that every assignment has (`checks`) beside the assignment's own, gives them the run to
look at, and turns their results into the report's checks.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import InterruptedGradingError, UsageError
from harness.host.records import Check
from harness.host.report.text import printable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from harness.host.assignment import Assignment, Tier
    from harness.host.records import Run, Score, Submission

CHECKS = Path(__file__).with_name("checks.py")
CHECK_SECONDS = 30.0
JUDGE: pytest.StashKey[Judge] = pytest.StashKey()


def judge_of(config: pytest.Config) -> Judge:
    """The session's judge; a session that grades nothing has none."""
    return config.stash[JUDGE]


class Judge:
    """The judge of one pytest session: `see` a run, let the session's items pass, and take the `verdict`.

    Args:
        assignment: whose checks these are.
        has_reference: whether scores are of the hidden answers; else they are of the validation rows.

    Raises:
        UsageError: this Python leaves out assertions, so that every check would pass.
    """

    def __init__(self, assignment: Assignment, *, has_reference: bool) -> None:
        if sys.flags.optimize:
            raise UsageError(
                "this Python is told to leave out assertions, and checks are made of them",
                "unset PYTHONOPTIMIZE, and start Python without -O",
            )
        self._assignment = assignment
        self._submission: Submission | None = None
        self._run: Run | None = None
        self._checks: list[Check] = []
        self._items = self._judged = 0
        self._ended_by: BaseException | None = None
        self.splits = ("public", "private") if has_reference else ("validation",)

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """What the score is compared with."""
        return self._assignment.tiers

    def see(self, submission: Submission | None, run: Run) -> None:
        """Have the checks look at this run from now on.

        Args:
            submission: what was handed in; None where it could not be read.
            run: what became of it.
        """
        self._submission, self._run = submission, run
        self._checks, self._judged = [], 0

    def plain_call(self, item: pytest.Item) -> Callable[[], None] | None:
        """A way to do a check without pytest's protocol, which takes ten times as long as all else.

        Returns:
            None where it is not one of those that every assignment has, or takes more than what is seen here.
        """
        if not isinstance(item, pytest.Function) or item.path != CHECKS:
            return None
        callspec = getattr(item, "callspec", None)
        parameters = {} if callspec is None else callspec.params
        if not set(item.fixturenames) <= {"assignment", "run", "score", *parameters}:
            return None

        def do() -> None:
            run = self._seen()
            given = {"assignment": self._assignment, "run": run, "score": run.score, **parameters}
            check = partial(item.obj, **{name: given[name] for name in item.fixturenames})
            call = pytest.CallInfo.from_call(check, "call", reraise=(KeyboardInterrupt,))
            self._checks.append(_check(item, call))
            self._judged += 1

        return do

    def verdict(self) -> tuple[Check, ...]:
        """What the checks said of the run that was seen last.

        Raises:
            UsageError: a check broke, or ended the session.
            InterruptedGradingError: somebody ended the session before all checks were done.
        """
        assignment = self._assignment
        broken = next((check for check in self._checks if check.outcome == "error"), None)
        if broken is not None:
            raise UsageError(
                f"the check {broken.name} of {assignment.id} is broken: {broken.message}",
                f"mend it, then try `pytest {assignment.folder} --submission DIR`",
            )
        if self._judged < self._items:
            if type(self._ended_by) is KeyboardInterrupt:  # pytest has subclasses for ends of its own
                raise InterruptedGradingError("interrupted; nothing was graded")
            raise UsageError(
                f"the session ended after {self._judged} of the {self._items} checks of {assignment.id}",
                "a grade needs all of them: no check may end the session, and no option of pytest",
            )
        return tuple(self._checks)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Be found by the common checks."""
        config.stash[JUDGE] = self

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
        """Collect the common checks for the ``assignment.toml``."""
        if (
            file_path.name != "assignment.toml"
            or file_path.parent.resolve() != self._assignment.folder.resolve()
        ):
            return None
        return pytest.Module.from_parent(parent, path=CHECKS)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give the common checks their points, and bound each check; the run has the host's own deadlines."""
        worth = self._assignment.points.model_dump()
        for item in items:
            if item.path == CHECKS and _name(item) in worth:
                item.add_marker(pytest.mark.points(worth[_name(item)]))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(CHECK_SECONDS))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know how many checks make a verdict."""
        self._items = len(session.items)

    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        """Have pytest show a check's message alone: its own text quotes values, and takes long to make."""
        if call.when == "collect":
            return None
        text = None
        if call.excinfo is not None:
            outcome, message = _result(call)
            if outcome == "skipped":
                return None  # as pytest has it
            text = printable_text(message if outcome == "failed" else str(item.repr_failure(call.excinfo)))
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="passed" if call.excinfo is None else "failed",
            longrepr=text,
            when=call.when,
            duration=call.duration,
            start=call.start,
            stop=call.stop,
        )

    @pytest.hookimpl(wrapper=True, specname="pytest_runtest_makereport")
    def pytest_keep_check(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep each check's result."""
        report = yield
        if call.when == "call" or call.excinfo is not None:
            self._checks.append(_check(item, call))
        self._judged += call.when == "teardown"
        return report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember who ended the session: Ctrl-C, or a check that called `pytest.exit`."""
        self._ended_by = excinfo.value

    @pytest.fixture(scope="session")
    def assignment(self) -> Assignment:
        """The assignment that is graded by."""
        return self._assignment

    @pytest.fixture(scope="session")
    def submission(self) -> Submission | None:
        """What the student handed in; None where it could not be read."""
        return self._submission

    @pytest.fixture(scope="session")
    def run(self) -> Run:
        """The submission's run: outcome, predictions, losses, runtime."""
        return self._seen()

    @pytest.fixture(scope="session")
    def score(self) -> Score:
        """The metric on each split."""
        return self._seen().score

    def _seen(self) -> Run:
        if self._run is None:
            raise RuntimeError("there is no run to look at yet")
        return self._run


def _check(item: pytest.Item, call: pytest.CallInfo[None]) -> Check:
    marker = item.get_closest_marker("points")
    worth = float(marker.args[0]) if marker is not None and marker.args else 0.0
    private = bool(marker is not None and marker.kwargs.get("private"))
    outcome, message = _result(call)
    return Check(_name(item), outcome, worth if outcome == "passed" else 0.0, worth, message, private)


def _name(item: pytest.Item) -> str:
    """``beats_simple[public]`` for a tier's check, else the test's name without ``test_``."""
    callspec = getattr(item, "callspec", None)
    if item.path == CHECKS and callspec is not None and "bar" in callspec.params:
        bar = callspec.params["bar"]
        return f"beats_{bar.tier.name}[{bar.split}]"
    return item.name.removeprefix("test_")


def _result(call: pytest.CallInfo[None]) -> tuple[str, str]:
    """A check's outcome and message, without the values that pytest quotes: they may be labels."""
    if call.excinfo is None:
        return "passed", ""
    error = call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        return "skipped", str(error.msg)
    if isinstance(error, pytest.fail.Exception) and call.when == "call":
        return "failed", str(error.msg).splitlines()[0] if error.msg else ""
    if isinstance(error, AssertionError) and call.when == "call":
        stated = str(error).partition("\nassert ")[0].strip()
        return "failed", "" if stated.startswith("assert ") else stated
    file = os.path.basename(call.excinfo.traceback[-1].path)  # noqa: PTH119  the path may be text alone
    return "error", f"{type(error).__name__} in {file}"
