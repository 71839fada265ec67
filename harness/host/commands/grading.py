"""``harness grade`` and ``harness batch``."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.host.commands import GRADED, MACHINE_FAULT, NOT_OK
from harness.host.commands.options import (
    ArtifactsOption,
    ClusterOption,
    DeviceChoice,
    DeviceOption,
    JobsOption,
    ReferenceOption,
    RuntimeOption,
    SandboxChoice,
    SandboxOption,
    StoreOption,
    WallChoice,
    WallOption,
    check_targets,
    show_fault,
    the_assignment,
    the_place,
    the_reference,
    zone_of,
)
from harness.host.commands.telling import Files, Teller
from harness.host.errors import HarnessError, InterruptedGradingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.host.batch import Plan
    from harness.host.grading import Graded
    from harness.host.handed_in import HandedIn
    from harness.host.records import Report
    from harness.host.store.place import Place


class CiChoice(StrEnum):
    """What ``--ci`` takes."""

    AUTO = "auto"
    GITHUB = "github"
    GITLAB = "gitlab"
    NONE = "none"


def grade(  # noqa: PLR0913  the options of the contract
    submission: Annotated[
        Path, typer.Argument(help="A folder, .zip or .tar.gz with model.py and config.toml; or an .ipynb.")
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
        typer.Option(metavar="FILE", help="Write what the student may see, as .html, .json or .md."),
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
    ci: Annotated[
        CiChoice,
        typer.Option(help="The CI system that reads along (default: the one that says it is there)."),
    ] = CiChoice.AUTO,
    code_quality: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write remarks for GitLab's code quality widget.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the result in the store, as the student's newest run.")
    ] = False,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
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
    from harness.host.report.ci import ci_of  # noqa: PLC0415  likewise
    from harness.host.session import Means, grade_submission  # noqa: PLC0415  likewise

    check_targets(junit)
    teller, console = (
        Teller(Files(json, junit, feedback, code_quality), ci_of(ci, os.environ), submission),
        Console(),
    )
    means = Means(sandbox, device, runtime, assignment, reference)

    def grade_it() -> Graded:
        with teller.grading():
            return grade_submission(submission, means, console, machine, student)

    def show(graded: Graded) -> Report:
        if keep:
            keep_it(graded, the_place(store, artifacts, graded.assignment))
        teller.show(graded, console)
        return graded.report

    def keep_it(graded: Graded, place: Place) -> None:
        from harness.host import keeping  # noqa: PLC0415  a database, only where it is asked for
        from harness.host.store.store import Store  # noqa: PLC0415  likewise

        whose = student or graded.report.submission_name
        keeping.keep(Store(place), graded, whose, datetime.now(UTC), again=True)

    # Whoever ends the command politely, such as CI that cancels a job, finds nothing left of it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with teller.in_any_case():
        check_targets(json, feedback, code_quality)
        with Machine(lambda text: typer.echo(text, err=True)) as machine:
            if watch:
                signal.signal(
                    signal.SIGINT, signal.default_int_handler
                )  # also where a script started it with &
                _grade_on_change(submission, lambda: show(grade_it()), teller)
                raise typer.Exit(GRADED)
            graded = grade_it()
        report = show(graded)
    low = fail_under is not None and report.points < fail_under
    if low:  # in CI without the figure, which tells of the private checks
        had = "the" if teller.in_ci else f"{report.points:g}"
        typer.echo(f"{had} points are under the {fail_under:g} of --fail-under", err=True)
    raise typer.Exit(NOT_OK if low or report.run.outcome != "ok" else GRADED)


def _grade_on_change(submission: Path, grade_and_show: Callable[[], object], teller: Teller) -> None:
    """Grade now and whenever the submission is another one, until Ctrl-C; a fault is shown and no end."""
    from harness.host.watching import state_of, wait_for_change  # noqa: PLC0415  not for --help

    while True:
        state = state_of(submission)
        try:
            with teller.in_any_case():
                grade_and_show()
        except InterruptedGradingError:
            return
        except HarnessError as error:
            show_fault(error)
        typer.echo(f"\nwatching {submission}: it is graded again when it changes; Ctrl-C ends this", err=True)
        try:
            wait_for_change(submission, state)
        except KeyboardInterrupt:
            return


def batch(  # noqa: PLR0913  likewise
    where: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|ROSTER",
            help="Holds the submissions: folders, .zip, .tar.gz and .ipynb; or a CSV of them.",
        ),
    ],
    *,
    assignment: Annotated[
        str | None, typer.Option(metavar="ID", help="The assignment, if there are several.")
    ] = None,
    sandbox: WallOption = WallChoice.AUTO,
    runtime: RuntimeOption = None,
    device: DeviceOption = DeviceChoice.AUTO,
    reference: ReferenceOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Grade a class side by side, and keep the results; what was graded before is not run again.

    Exit status: 0 all were graded, whatever their outcome; 2 wrong use; 3 some could not be graded.
    """
    from harness.host.batch import Plan  # noqa: PLC0415  not for --help
    from harness.host.handed_in import find_handed_in  # noqa: PLC0415  likewise
    from harness.host.session import Means  # noqa: PLC0415  likewise

    found = the_assignment(assignment)
    handed_in = find_handed_in(where, zone_of(found))
    means = Means(sandbox, device, runtime, found.id, the_reference(found, reference))
    run_batch(Plan(found, means, the_place(store, artifacts, found)), handed_in, jobs, cluster)


def run_batch(plan: Plan, handed_in: Sequence[HandedIn], jobs: int | None, cluster: str | None) -> None:
    """Grade, show how it goes on, and say what came of it.

    Args:
        plan: what to work with.
        handed_in: what to grade.
        jobs: processes on this machine; None: as many as the cores can hold.
        cluster: the address of one that runs them; None: this machine does.

    Raises:
        typer.Exit: with the command's status.
        HarnessError: it was ended before its end.
    """
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.batch import Batch, workers_for  # noqa: PLC0415  likewise
    from harness.host.report.batch import say, watcher_for  # noqa: PLC0415  likewise
    from harness.host.report.tally import Tally  # noqa: PLC0415  likewise

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a script started it with &
    console, tally = Console(), Tally(plan.assignment.id, len(handed_in))
    try:
        with watcher_for(tally, console) as watcher:
            if cluster is not None:
                from harness.host.cluster_batch import ClusterBatch  # noqa: PLC0415  Dask is an extra

                ClusterBatch(plan, handed_in, watcher).run(cluster)
            else:
                workers = workers_for(len(handed_in), jobs, plan.assignment, plan.means.device)
                Batch(plan, handed_in, watcher).run(workers)
    finally:
        say(console, "\n".join(tally.summary()))
    raise typer.Exit(MACHINE_FAULT if tally.not_graded else GRADED)
