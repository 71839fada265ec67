"""``harness rescore`` and ``regrade``: new scores for stored runs, and new runs where it takes those."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    SandboxChoice,
    SandboxOption,
    StoreOption,
    note,
    the_assignment,
    the_place,
    the_reference,
)

if TYPE_CHECKING:
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
    """
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.report.changes import render_changes  # noqa: PLC0415  likewise
    from harness.host.rescoring import Rescorer  # noqa: PLC0415  NumPy
    from harness.host.store.store import Store  # noqa: PLC0415  not for --help

    found = the_assignment(assignment)
    opened = Store(the_place(store, artifacts, found))
    rescoring = Rescorer(opened, found, the_reference(found, reference)).run()
    if rescoring.changes:
        render_changes(rescoring.changes, Console())
    _say_what_is_left(rescoring, found.id)
    if not rescoring.changes or not (yes or _agreed(len(rescoring.changes))):
        return
    reports = {change.number: change.after for change in rescoring.changes}
    opened.record_scores(reports, rescoring.scored_by)
    typer.echo(f"{len(reports)} new scores are stored")


def _say_what_is_left(rescoring: Rescoring, assignment: str) -> None:
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
    sandbox: SandboxOption = SandboxChoice.AUTO,
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
    """
    from harness.host.batch import Plan  # noqa: PLC0415  not for --help
    from harness.host.regrading import lay_out, to_run_again  # noqa: PLC0415  likewise
    from harness.host.session import Means  # noqa: PLC0415  likewise
    from harness.host.store.store import Store  # noqa: PLC0415  likewise

    found = the_assignment(assignment)
    place = the_place(store, artifacts, found)
    opened = Store(place)
    rows = to_run_again(opened, found, run or [], everything=everything)
    if not rows:
        typer.echo("all runs are of this harness and these data; --all runs them again nevertheless")
        return
    means = Means(sandbox, device, runtime, found.id, the_reference(found, reference))
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        handed_in = lay_out(opened, rows, Path(folder))
        run_batch(Plan(found, means, place, again=True), handed_in, jobs, cluster)
