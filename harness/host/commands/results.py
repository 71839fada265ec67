"""``harness runs``, ``show``, ``log``, ``choose`` and ``pages``: what the store knows of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.host.commands.options import (
    ArtifactsOption,
    AssignmentArgument,
    StoreOption,
    check_targets,
    say,
    the_assignment,
    the_store,
)
from harness.host.commands.telling import render, write_reports
from harness.host.errors import UsageError

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, or the beginning of it that no other has.")
]


def runs(  # noqa: PLR0913  what there is to choose by
    assignment: Annotated[
        str | None, typer.Argument(metavar="[ASSIGNMENT]", help="Of this assignment alone.")
    ] = None,
    *,
    student: Annotated[str | None, typer.Option(metavar="NAME", help="Of this student alone.")] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="With this outcome alone, such as time_limit.")
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="What could not be graded instead, and why.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="The newest so many.")] = 50,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """List the runs in the store, the newest first."""
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.report import runs as lists  # noqa: PLC0415  likewise
    from harness.host.store.listing import list_faults, list_runs  # noqa: PLC0415  likewise
    from harness.protocol import Outcome  # noqa: PLC0415  likewise

    if outcome is not None and outcome not in set(Outcome):
        raise UsageError(f"there is no outcome {outcome}", f"there are {', '.join(Outcome)}")
    if outcome is not None and faults:
        raise UsageError("what could not be graded has no outcome", "leave out --outcome or --faults")
    opened = the_store(store, artifacts)
    if faults:
        lists.render_faults(list_faults(opened, assignment, most, student), Console())
    else:
        lists.render_runs(list_runs(opened, assignment, student, outcome, most), Console())


def show(
    run: RunArgument,
    *,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report for staff as JSON.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the checks as JUnit XML.")] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what the student may see, as .html, .json or .md."),
    ] = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Show the report of a run, for staff; --feedback writes what its student may see."""
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.report.runs import whose  # noqa: PLC0415  likewise

    check_targets(json, junit, feedback)
    opened = the_store(store, artifacts)
    stored = opened.read(run, private=True)
    write_reports(stored.report, json, junit, None)
    if feedback is not None:  # made of rows that tell nothing of the private split
        write_reports(opened.read(run, private=False).report, None, None, feedback)
    say(whose(stored.row))
    render(stored.report, Console())


def log(run: RunArgument, *, store: StoreOption = None, artifacts: ArtifactsOption = None) -> None:
    """Write all that a run's code printed, as far as its cap let it, with nothing that a terminal acts on."""
    from harness.host.report.text import printable_text  # noqa: PLC0415  not for --help

    opened = the_store(store, artifacts)
    say(printable_text(opened.log_of(opened.read(run, private=False).row)))


def choose(run: RunArgument, *, store: StoreOption = None, artifacts: ArtifactsOption = None) -> None:
    """Have a run count for its student, where boards and grades are made with --select chosen."""
    from harness.host.report.runs import whose  # noqa: PLC0415  not for --help

    say(f"chosen: {whose(the_store(store, artifacts).choose(run))}")


def pages(
    assignment: AssignmentArgument,
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write them into; it is made.")],
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Write a page for each run that its student may read, RUN.html, and whose each is to index.csv."""
    from harness.host.pages import write_pages  # noqa: PLC0415  not for --help

    found = the_assignment(assignment)
    opened = the_store(store, artifacts, found)
    typer.echo(f"{write_pages(opened, found.id, out)} pages in {out}")
