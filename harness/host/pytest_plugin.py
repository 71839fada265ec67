"""The pytest plugin: ``pytest assignments/ID --submission DIR`` grades one submission.

It collects the checks that every assignment has (`checks`) beside the assignment's own, runs the submission
once before the first of them, and turns their results into the report's checks. Without ``--submission``
it does nothing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.host.assignment import Assignment
    from harness.host.grading import Grading
    from harness.host.records import Check, Run, Score, Submission

CHECKS = Path(__file__).with_name("checks.py")
CHECK_SECONDS = 30.0
NO_SUBMISSION = "this check grades a submission: pytest assignments/ID --submission DIR"


GRADING: pytest.StashKey[Grading] = pytest.StashKey()
FAULT: pytest.StashKey[HarnessError] = pytest.StashKey()


def grading_of(config: pytest.Config) -> Grading:
    """The session's grading; a session without ``--submission`` has none."""
    return config.stash[GRADING]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a grading session."""
    group = parser.getgroup("harness", "grading PyTorch homework")
    group.addoption(
        "--submission", metavar="DIR", help="a folder or archive to grade by the assignment's checks"
    )
    group.addoption(
        "--sandbox",
        choices=["auto", "docker", "bubblewrap", "none"],
        default="auto",
        help="where student code runs",
    )
    group.addoption("--device", choices=["auto", "cpu", "cuda"], default="auto", help="what it runs on")
    group.addoption(
        "--reference", metavar="DIR", help="the hidden answers (default: reference/ID beside assignments/)"
    )
    group.addoption("--runtime", metavar="NAME", help="a runtime of the Docker engine, such as runsc")
    group.addoption(
        "--student",
        metavar="NAME",
        default="",
        help="whose attempt it is, where the assignment caps them (default: the submission's name)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the assignment and register the marker."""
    config.addinivalue_line(
        "markers",
        "points(value, private=False): what passing the check is worth; private ones are for staff only",
    )
    if config.getoption("--submission") is None:
        return
    try:
        config.stash[GRADING] = _grading(config)
    except UsageError as error:
        config.stash[FAULT] = error
        raise pytest.UsageError(_told(error)) from error


def _told(error: HarnessError) -> str:
    """A fault's message and what to do, with nothing in it that a terminal would act on."""
    from harness.host.report.text import printable_text  # noqa: PLC0415  not for `pytest --help`

    return printable_text("\n".join(filter(None, (error.message, error.fix))))


def _grading(config: pytest.Config) -> Grading:
    from harness.host.assignment import load_assignment, reference_folder  # noqa: PLC0415  not for `pytest --help`
    from harness.host.grading import Grading  # noqa: PLC0415  likewise
    from harness.host.report.live import SilentProgress  # noqa: PLC0415  likewise

    submission = Path(config.invocation_params.dir, config.getoption("--submission"))
    assignment = load_assignment(_assignment_folder(config))
    _refuse_inside(submission, config)
    reference = config.getoption("--reference")
    folder = Path(config.invocation_params.dir, reference) if reference else reference_folder(assignment)
    if reference and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "name the folder that holds reference.toml")
    return Grading(
        assignment,
        submission,
        folder,
        config.getoption("--sandbox"),
        config.getoption("--device"),
        SilentProgress(),
        student=config.getoption("--student"),
        runtime=config.getoption("--runtime"),
    )


def _assignment_folder(config: pytest.Config) -> Path:
    folders = set()
    for argument in config.args:
        path = Path(config.invocation_params.dir, argument.partition("::")[0]).resolve()
        folders |= {folder for folder in (path, *path.parents) if (folder / "assignment.toml").is_file()}
    if len(folders) != 1:
        raise UsageError(
            f"--submission needs one assignment to grade by, and {len(folders)} were named",
            "pytest assignments/ID --submission DIR",
        )
    return folders.pop()


def _refuse_inside(submission: Path, config: pytest.Config) -> None:
    """Keep pytest's own reading of files (ini files, conftest.py, tests) out of what a student wrote."""
    student = submission.resolve()
    own = [
        config.rootpath,
        *(Path(config.invocation_params.dir, arg.partition("::")[0]) for arg in config.args),
    ]
    if config.inipath is not None:
        own.append(config.inipath)
    if any(path.resolve().is_relative_to(student) for path in own):
        raise UsageError(
            "pytest was started on the submission itself, and would read the student's own configuration",
            "start it on the assignment: pytest assignments/ID --submission DIR",
        )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Collect the common checks for an ``assignment.toml``."""
    if file_path.name != "assignment.toml" or GRADING not in parent.config.stash:
        return None
    if file_path.parent.resolve() != grading_of(parent.config).assignment.folder.resolve():
        return None
    return pytest.Module.from_parent(parent, path=CHECKS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the common checks their points, and bound each check; the run has the host's own deadlines."""
    if GRADING not in config.stash:
        return
    worth = grading_of(config).assignment.points.model_dump()
    for item in items:
        if item.path == CHECKS and _check_name(item) in worth:
            item.add_marker(pytest.mark.points(worth[_check_name(item)]))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(CHECK_SECONDS))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Run the submission once, before the first check."""
    config = session.config
    if GRADING not in config.stash or config.option.collectonly or not session.items:
        return
    try:
        with _uncaptured(config):
            grading_of(config).execute()
    except HarnessError as error:
        config.stash[FAULT] = error
        pytest.exit(_told(error), returncode=error.exit_status)


@contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Let the live progress reach the terminal."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        yield
    else:
        with capture.global_and_fixture_disabled():
            yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep each check's result, and have pytest show the message alone: its own text quotes values."""
    report = yield
    if GRADING in item.config.stash and (call.when == "call" or call.excinfo is not None):
        from harness.host.report.text import printable_text  # noqa: PLC0415  not for `pytest --help`

        check = _check(item, call)
        grading_of(item.config).checks.append(check)
        if report.failed:
            broken = check.outcome == "error"
            report.longrepr = printable_text(str(report.longrepr) if broken else check.message)
    return report


def _check(item: pytest.Item, call: pytest.CallInfo[None]) -> Check:
    from harness.host.records import Check  # noqa: PLC0415  not for `pytest --help`

    marker = item.get_closest_marker("points")
    worth = float(marker.args[0]) if marker is not None and marker.args else 0.0
    private = bool(marker is not None and marker.kwargs.get("private"))
    outcome, message = _result(call)
    return Check(_check_name(item), outcome, worth if outcome == "passed" else 0.0, worth, message, private)


def _check_name(item: pytest.Item) -> str:
    """``beats_simple[public]`` for a tier's check, else the test's name without ``test_``."""
    name = item.name.removeprefix("test_")
    callspec = getattr(item, "callspec", None)
    if item.path == CHECKS and callspec is not None and "tier" in callspec.params:
        return f"beats_{callspec.params['tier'].name}[{callspec.params['split']}]"
    return name


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
    return "error", f"{type(error).__name__} in {os.path.basename(item_file(call))}"  # noqa: PTH119


def item_file(call: pytest.CallInfo[None]) -> str:
    """The file in which a check broke."""
    return str(call.excinfo.traceback[-1].path) if call.excinfo is not None else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the report below pytest's own lines."""
    if GRADING not in config.stash or grading_of(config).run is None:
        return
    from rich.console import Console  # noqa: PLC0415  not for `pytest --help`

    from harness.host.report.terminal import render  # noqa: PLC0415  likewise

    try:
        report = grading_of(config).report()
    except UsageError as error:
        terminalreporter.write_line(_told(error), red=True)
        return
    terminalreporter.ensure_newline()
    render(report, Console(file=terminalreporter._tw._file))  # noqa: SLF001  where pytest itself writes


@pytest.fixture(scope="session")
def assignment(pytestconfig: pytest.Config) -> Assignment:
    """The assignment that is graded by."""
    return _needed(pytestconfig).assignment


@pytest.fixture(scope="session")
def submission(pytestconfig: pytest.Config) -> Submission | None:
    """What the student handed in; None where it could not be read."""
    return _needed(pytestconfig).submitted


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """The submission's run: outcome, predictions, losses, runtime."""
    return _needed(pytestconfig).finished_run()


@pytest.fixture(scope="session")
def score(pytestconfig: pytest.Config) -> Score:
    """The metric on each split."""
    return _needed(pytestconfig).finished_run().score


def _needed(config: pytest.Config) -> Grading:
    if GRADING not in config.stash:
        pytest.skip(NO_SUBMISSION)
    return grading_of(config)
