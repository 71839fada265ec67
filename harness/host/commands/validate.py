"""``harness validate``: an assignment, looked over as a reviewer would."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.host.commands import GRADED, NOT_OK
from harness.host.commands.options import (
    AssignmentArgument,
    ReferenceOption,
    RuntimeOption,
    SandboxChoice,
    SandboxOption,
    the_assignment,
    the_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.machine import Machine
    from harness.host.records import Report
    from harness.host.session import Means


def validate(
    assignment: AssignmentArgument,
    *,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Run neither the starter nor the reference's solutions.")
    ] = False,
    sandbox: SandboxOption = SandboxChoice.AUTO,
    runtime: RuntimeOption = None,
    reference: ReferenceOption = None,
) -> None:
    """Look an assignment over before students do: leaks, tiers, limits, handout, and what solutions earn.

    Exit status: 0 nothing has to be mended, though something may be worth a look; 1 something has to be;
    2 wrong use, or it cannot be read at all; 3 this machine could not run a solution.
    """
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.validation.findings import Level  # noqa: PLC0415  likewise
    from harness.host.validation.page import render  # noqa: PLC0415  likewise
    from harness.host.validation.validate import examine  # noqa: PLC0415  NumPy

    found = the_assignment(assignment)
    folder = the_reference(found, reference)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        runner = None
        if not no_run:
            from harness.host.machine import Machine  # noqa: PLC0415  only where something is run
            from harness.host.session import Means  # noqa: PLC0415  likewise

            machine = stack.enter_context(Machine(lambda text: typer.echo(text, err=True)))
            runner = _runner(Means(sandbox, "auto", runtime, found.id, folder), machine)
        findings = list(examine(found, folder, runner))
    render(findings, Console())
    raise typer.Exit(NOT_OK if any(each.level is Level.PROBLEM for each in findings) else GRADED)


def _runner(means: Means, machine: Machine) -> Callable[[Path], Report]:
    """Grades a submission as students' are, and counts no attempt."""
    from io import StringIO  # noqa: PLC0415  likewise

    from rich.console import Console  # noqa: PLC0415  likewise

    from harness.host.session import grade_submission  # noqa: PLC0415  likewise

    def run(path: Path) -> Report:
        typer.echo(f"running {path.name}", err=True)
        return grade_submission(path, means, Console(file=StringIO()), machine, counted=False).report

    return run
