"""``harness release``: what students get of an assignment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.host.commands import GRADED, NOT_OK
from harness.host.commands.options import (
    AssignmentArgument,
    ReferenceOption,
    note,
    say,
    the_assignment,
    the_reference,
)


def release(
    assignment: AssignmentArgument,
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to write it into; it must not be there.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--zip", metavar="FILE", help="Write it as a .zip, too or instead.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A further file of its folder that students get; repeatable."),
    ] = None,
    reference: ReferenceOption = None,
) -> None:
    """Write a starter kit: handout, data without answers, starter, and this harness, searched for leaks.

    Exit status: 0 written; 1 something hidden was found in it, so nothing was written; 2 wrong use.
    """
    from harness.host.release.release import check_targets, searched_kit, write_kit  # noqa: PLC0415  NumPy
    from harness.host.report.text import printable  # noqa: PLC0415  not for --help
    from harness.host.workflows.services import STUDENT, workflows  # noqa: PLC0415  likewise

    found = the_assignment(assignment)
    check_targets(out, archive)
    checks: dict[str, bytes] = {}
    for service in STUDENT:
        checks |= workflows(service, found, "bubblewrap", "submission", instructor=False)
    kit, leaks = searched_kit(found, the_reference(found, reference), also or [], checks, note)
    for leak in leaks:
        typer.echo(f"leak: {printable(leak.path)}: {printable(leak.what)}", err=True)
    if leaks:
        typer.echo("nothing was written", err=True)
        raise typer.Exit(NOT_OK)
    write_kit(kit, out, archive)
    for path in filter(None, (out, archive)):
        say(f"{len(kit.files)} files in {path}; nothing hidden was found in them")
    raise typer.Exit(GRADED)
