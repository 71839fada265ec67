"""``harness rescore`` and ``regrade``: new scores for stored runs, and new runs where it takes those."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from harness.host.commands import GRADED, MACHINE_FAULT
from harness.host.commands.grading import run_batch
from harness.host.commands.options import (
    ArtifactsOption,
    AssignmentArgument,
    ClusterOption,
    DeviceChoice,
    DeviceOption,
    JobsOption,
    ReferenceOption,
    RuntimeOption,
    StoreOption,
    WallChoice,
    WallOption,
    note,
    show_fault,
    the_assignment,
    the_place,
    the_reference,
    the_store,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.host.errors import StoreError
    from harness.host.rescoring import Rescoring


def rescore(
    assignment: AssignmentArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Write the new scores without asking.")] = False,
    reference: ReferenceOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Score stored runs again by the answers, tiers and checks as they are now; nothing is run.

    What changes for whom is shown before it is written. The scores that were before stay in the store.

    Exit status: 0 all runs have their score or keep it; 2 wrong use; 3 what some are made of is gone.
    """
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.report.changes import render_changes  # noqa: PLC0415  likewise
    from harness.host.rescoring import Rescorer  # noqa: PLC0415  NumPy

    found = the_assignment(assignment)
    opened = the_store(store, artifacts, found)
    rescoring = Rescorer(opened, found, the_reference(found, reference)).run()
    render_changes(rescoring.changes, Console())
    _say_what_is_left(rescoring, found.id)
    if rescoring.changes and (yes or _agreed(len(rescoring.changes))):
        reports = {change.number: change.after for change in rescoring.changes}
        opened.record_scores(reports, rescoring.scored_by)
        typer.echo(f"{len(reports)} new scores are stored")
    raise typer.Exit(MACHINE_FAULT if rescoring.lost else GRADED)


def _say_what_is_left(rescoring: Rescoring, assignment: str) -> None:
    for error in rescoring.lost:
        show_fault(error)
    if rescoring.up_to_date:
        typer.echo(f"{rescoring.up_to_date} runs have their score by these answers, tiers and checks already")
    if rescoring.other_data:
        note(
            f"{rescoring.other_data} runs were made with other data or limits, and keep their scores; "
            f"to run them again: harness regrade {assignment}"
        )


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        note("nothing was written; --yes writes the new scores")
        return False
    return typer.confirm(f"Store {count} new scores?")


def regrade(  # noqa: PLR0913  what there is to choose
    assignment: AssignmentArgument,
    *,
    run: Annotated[
        list[str] | None, typer.Option(metavar="RUN", help="This run; may be given several times.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All runs, not only those that another harness or other data made.")
    ] = False,
    sandbox: WallOption = WallChoice.AUTO,
    runtime: RuntimeOption = None,
    device: DeviceOption = DeviceChoice.AUTO,
    reference: ReferenceOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Run stored submissions again whose data, limits or harness are not the same any more.

    The new run takes the place of the old one, which stays in the store; no attempt is counted.

    Exit status: 0 all were graded, whatever their outcome; 2 wrong use; 3 some could not be graded.
    """
    from harness.host.batch import Plan  # noqa: PLC0415  not for --help
    from harness.host.regrading import lay_out, to_run_again  # noqa: PLC0415  likewise
    from harness.host.session import Means  # noqa: PLC0415  likewise

    found = the_assignment(assignment)
    opened = the_store(store, artifacts, found)
    rows = to_run_again(opened, found, run or [], everything=everything)
    if not rows:
        typer.echo("all runs are of this harness and these data; --all runs them again nevertheless")
        return
    means, status = Means(sandbox, device, runtime, found.id, the_reference(found, reference)), GRADED
    opened.artifacts.sweep()
    with opened.artifacts.workspace() as folder:
        handed_in, lost = lay_out(opened, rows, folder)
        _say_what_is_left_out(len(rows) - len(handed_in) - len(lost), lost)
        plan = Plan(found, means, the_place(store, artifacts, found), again=True)
        if handed_in:
            try:
                run_batch(plan, handed_in, jobs, cluster)
            except typer.Exit as done:
                status = done.exit_code
    raise typer.Exit(MACHINE_FAULT if lost else status)


def _say_what_is_left_out(unread: int, lost: Sequence[StoreError]) -> None:
    for error in lost:
        show_fault(error)
    if unread:
        note(f"left out: {unread}, which could not be read, so that there is nothing to run")
