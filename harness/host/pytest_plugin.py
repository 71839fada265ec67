"""The pytest plugin: ``pytest assignments/ID --submission DIR`` grades one submission.

It runs the submission once, before the first of the checks that `Judge` collects, and shows the report below
pytest's own lines. Without ``--submission`` it does nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from harness.host.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.grading import Graded, Grading

NO_SUBMISSION = "this check grades a submission: pytest assignments/ID --submission DIR"

GRADING: pytest.StashKey[Grading] = pytest.StashKey()
FAULT: pytest.StashKey[HarnessError] = pytest.StashKey()


def grading_of(config: pytest.Config) -> Grading:
    """The session's grading; a session without ``--submission`` has none."""
    return config.stash[GRADING]


def graded_by(config: pytest.Config) -> Graded:
    """What came of a session that ran its submission.

    Raises:
        HarnessError: the checks came to no verdict; the attempt costs nothing.
    """
    from harness.host.judge import judge_of  # noqa: PLC0415  not for `pytest --help`

    grading = grading_of(config)
    try:
        checks = judge_of(config).verdict()
    except HarnessError:
        grading.give_back()
        raise
    return grading.graded(checks)


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
    """Register the marker, find the assignment, and have its checks judge."""
    config.addinivalue_line(
        "markers",
        "points(value, private=False): what passing the check is worth; private ones are for staff only",
    )
    if config.getoption("--submission") is None:
        return
    from harness.host.judge import Judge  # noqa: PLC0415  not for `pytest --help`

    try:
        grading = _grading(config)
        judge = Judge(grading.assignment, has_reference=grading.has_reference)
    except UsageError as error:
        config.stash[FAULT] = error
        raise pytest.UsageError(_told(error)) from error
    config.stash[GRADING] = grading
    config.pluginmanager.register(judge)


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Run the submission once, before the first check."""
    from harness.host.judge import judge_of  # noqa: PLC0415  not for `pytest --help`

    config = session.config
    if GRADING not in config.stash or config.option.collectonly or session.testsfailed or not session.items:
        return
    grading = grading_of(config)
    try:
        with _uncaptured(config):
            grading.execute()
    except HarnessError as error:
        config.stash[FAULT] = error
        pytest.exit(_told(error), returncode=error.exit_status)
    judge_of(config).see(grading.submitted, grading.finished_run())


@contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Let the live progress reach the terminal."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        yield
    else:
        with capture.global_and_fixture_disabled():
            yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the report below pytest's own lines."""
    if GRADING not in config.stash or grading_of(config).run is None:
        return
    from rich.console import Console  # noqa: PLC0415  not for `pytest --help`

    from harness.host.report.terminal import render  # noqa: PLC0415  likewise

    try:
        report = graded_by(config).report
    except HarnessError as error:
        terminalreporter.write_line(_told(error), red=True)
        return
    terminalreporter.ensure_newline()
    render(report, Console(file=terminalreporter._tw._file))  # noqa: SLF001  where pytest itself writes


@pytest.fixture(scope="session")
def assignment() -> NoReturn:
    """The assignment that is graded by; a session that grades has it from its judge, as all of these."""
    pytest.skip(NO_SUBMISSION)


@pytest.fixture(scope="session")
def submission() -> NoReturn:
    """What the student handed in."""
    pytest.skip(NO_SUBMISSION)


@pytest.fixture(scope="session")
def run() -> NoReturn:
    """The submission's run."""
    pytest.skip(NO_SUBMISSION)


@pytest.fixture(scope="session")
def score() -> NoReturn:
    """The metric on each split."""
    pytest.skip(NO_SUBMISSION)
