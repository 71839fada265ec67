"""The command line: ``harness grade``, ``batch``, ``leaderboard``, ``doctor``, ``image`` and ``runtime``."""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.host.errors import (
    HarnessError,
    InterruptedGradingError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from harness.host.batch import Result
    from harness.host.records import Report

GRADED, NOT_OK, WRONG_USE, MACHINE_FAULT = 0, 1, 2, 3

app = typer.Typer(
    help="Grades PyTorch homework: the course's loops in a sandbox, the score against a hidden reference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class SandboxChoice(StrEnum):
    """What ``--sandbox`` takes."""

    AUTO = "auto"
    DOCKER = "docker"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


class DeviceChoice(StrEnum):
    """What ``--device`` takes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class SplitChoice(StrEnum):
    """What ``--split`` takes."""

    PUBLIC = "public"
    PRIVATE = "private"


class FormatChoice(StrEnum):
    """What ``--format`` takes."""

    TABLE = "table"
    CSV = "csv"
    MD = "md"
    JSON = "json"


# What the commands that grade have in common.
SandboxOption = Annotated[SandboxChoice, typer.Option(help="Where student code runs.")]
RuntimeOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A runtime of the Docker engine, such as runsc.")
]
DeviceOption = Annotated[DeviceChoice, typer.Option(help="What it runs on.")]
ReferenceOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The hidden answers (default: reference/ID).")
]


def main() -> NoReturn:
    """Run the command line and leave; a fault that has a message is shown without a traceback."""
    try:
        app(standalone_mode=True)
        status = GRADED
    except HarnessError as error:
        _show_fault(error)
        status = error.exit_status
    except SystemExit as leaving:  # the command's own word
        if not isinstance(leaving.code, int):
            raise
        status = leaving.code
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)  # which says so
    os._exit(status)  # all that was started has ended; the rest is the taking apart of modules


def _show_fault(error: HarnessError) -> None:
    from harness.host.report.text import printable_text  # noqa: PLC0415  only on the way out

    typer.echo(f"error: {printable_text(error.message)}", err=True)
    if error.fix:
        typer.echo(f"  fix: {printable_text(error.fix)}", err=True)


@app.command()
def grade(  # noqa: PLR0913  the options of the contract
    submission: Annotated[
        Path, typer.Argument(help="A folder, .zip or .tar.gz with model.py and config.toml.")
    ],
    *,
    assignment: Annotated[
        str | None, typer.Option(metavar="ID", help="The assignment, if the config does not name it.")
    ] = None,
    sandbox: SandboxOption = SandboxChoice.AUTO,
    runtime: RuntimeOption = None,
    device: DeviceOption = DeviceChoice.AUTO,
    reference: ReferenceOption = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report for staff as JSON.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the checks as JUnit XML.")] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what the student may see, as .json or .md."),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Whose attempt it is, where attempts are capped (default: its name)."
        ),
    ] = None,
    fail_under: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Exit with status 1 below these points.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Grade again whenever the submission changes; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Grade a submission by its assignment's checks.

    Exit status: 0 graded; 1 graded, but the outcome is not ok or the points are under --fail-under;
    2 wrong use or a broken assignment; 3 this machine could not grade.
    """
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.machine import Machine  # noqa: PLC0415  likewise
    from harness.host.session import Means, grade_submission  # noqa: PLC0415  likewise

    console = Console()
    _check_targets(json, junit, feedback)
    means = Means(sandbox, device, runtime, assignment, reference)

    def grade_it() -> Report:
        return grade_submission(submission, means, console, machine, student)

    def show(report: Report) -> None:
        _render(report, console)
        _write(report, json, junit, feedback)

    # Whoever ends the command politely, such as CI that cancels a job, finds nothing left of it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Machine(lambda text: typer.echo(text, err=True)) as machine:
        if watch:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a script started it with &
            _grade_on_change(submission, lambda: show(grade_it()))
            raise typer.Exit(GRADED)
        report = grade_it()
    show(report)
    low = fail_under is not None and report.points < fail_under
    if low:
        typer.echo(f"{report.points:g} points are under the {fail_under:g} of --fail-under", err=True)
    raise typer.Exit(NOT_OK if low or report.run.outcome != "ok" else GRADED)


def _grade_on_change(submission: Path, grade_and_show: Callable[[], None]) -> None:
    """Grade now and whenever the submission is another one, until Ctrl-C; a fault is shown and no end."""
    from harness.host.watching import state_of, wait_for_change  # noqa: PLC0415  not for --help

    while True:
        state = state_of(submission)
        try:
            grade_and_show()
        except InterruptedGradingError:
            return
        except HarnessError as error:
            _show_fault(error)
        typer.echo(f"\nwatching {submission}: it is graded again when it changes; Ctrl-C ends this", err=True)
        try:
            wait_for_change(submission, state)
        except KeyboardInterrupt:
            return


def _check_targets(*paths: Path | None) -> None:
    """Refuse before the work what could not be written after it."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(
                f"there is no folder {path.absolute().parent} to write {path.name} into", "make it first"
            )


def _render(report: Report, console: Console) -> None:
    from harness.host.report.terminal import render  # noqa: PLC0415  not for --help

    render(report, console)


def _write(report: Report, json: Path | None, junit: Path | None, feedback: Path | None) -> None:
    from harness.host.report import document  # noqa: PLC0415  not for --help
    from harness.host.report import junit as junit_xml  # noqa: PLC0415  likewise

    if json is not None:
        document.write_json(document.staff_document(report), json)
    if junit is not None:
        junit_xml.write_junit(report, junit)
    if feedback is not None:
        document.write_feedback(report, feedback)


@app.command()
def batch(  # noqa: PLR0913  likewise
    folder: Annotated[Path, typer.Argument(help="Holds the submissions: folders, .zip and .tar.gz.")],
    *,
    assignment: Annotated[
        str | None, typer.Option(metavar="ID", help="The assignment, if the configs do not name it.")
    ] = None,
    sandbox: SandboxOption = SandboxChoice.AUTO,
    runtime: RuntimeOption = None,
    device: DeviceOption = DeviceChoice.AUTO,
    reference: ReferenceOption = None,
    reports: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the reports for staff go, NAME.json each.")
    ] = Path("build/reports"),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Submissions side by side (default: one a core).")
    ] = None,
) -> None:
    """Grade all submissions in a folder side by side.

    Exit status: 0 all were graded, whatever their outcome; 2 wrong use; 3 some could not be graded.
    """
    from harness.host.batch import Batch, find_submissions, workers_for  # noqa: PLC0415  not for --help
    from harness.host.report.batch import Lines  # noqa: PLC0415  likewise
    from harness.host.session import Means  # noqa: PLC0415  likewise

    submissions = find_submissions(folder)
    _make_folder(reports)
    lines = Lines(len(submissions))
    means = Means(sandbox, device, runtime, assignment, reference)

    def on_result(result: Result) -> None:
        typer.echo(lines.of(result))

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work = Batch(submissions, means, reports, on_result, lambda text: typer.echo(text, err=True))
    try:
        work.run(workers_for(len(submissions), jobs, device))
    finally:
        typer.echo(lines.summary(reports))
    raise typer.Exit(MACHINE_FAULT if lines.not_graded else GRADED)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {path} cannot be made: {error.strerror}", "name another one") from error


@app.command()
def leaderboard(
    assignment: Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="The assignment's id.")],
    *,
    reports: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the reports for staff.")] = Path(
        "build/reports"
    ),
    split: Annotated[
        SplitChoice, typer.Option(help="Which test rows count; nothing of the others is shown.")
    ] = SplitChoice.PUBLIC,
    form: Annotated[FormatChoice, typer.Option("--format", help="How it is written.")] = FormatChoice.TABLE,
) -> None:
    """Rank the submissions that have a report in a folder, with the tiers among them."""
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.assignment import find_assignment, load_assignment  # noqa: PLC0415  likewise
    from harness.host.leaderboard import leaderboard as ranked  # noqa: PLC0415  pandas

    text = ranked(load_assignment(find_assignment(assignment, Path.cwd())), reports, split, form, Console())
    if text is not None:
        typer.echo(text.encode(), nl=False)  # as bytes: a terminal without UTF-8 gets the file as it is


@app.command()
def doctor() -> None:
    """Show what this machine can do, what is missing, and the command that mends it."""
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host import doctor as examination  # noqa: PLC0415  likewise

    findings = examination.examine()
    examination.render(findings, Console())
    raise typer.Exit(GRADED if examination.can_grade(findings) else MACHINE_FAULT)


@app.command()
def image() -> None:
    """Build the Docker image that submissions run in; nothing happens where it is up to date."""
    from harness.host.image import make_image  # noqa: PLC0415  not for --help

    typer.echo(make_image(lambda text: typer.echo(text, err=True)))


@app.command()
def runtime() -> None:
    """Lay out the packages that submissions run with in bubblewrap; nothing happens where that is done."""
    from harness.host.runtime import ensure_guest_runtime  # noqa: PLC0415  not for --help

    typer.echo(ensure_guest_runtime(lambda text: typer.echo(text, err=True)).digest)
