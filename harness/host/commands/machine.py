"""``harness doctor``, ``image`` and ``runtime``: what this machine can do, and what it needs for that."""

from __future__ import annotations

import typer

from harness.host.commands import GRADED, MACHINE_FAULT


def doctor() -> None:
    """Show what this machine can do, what is missing, and the command that mends it."""
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host import doctor as examination  # noqa: PLC0415  likewise

    findings = examination.examine()
    examination.render(findings, Console())
    raise typer.Exit(GRADED if examination.can_grade(findings) else MACHINE_FAULT)


def image() -> None:
    """Build the Docker image that submissions run in; nothing happens where it is up to date."""
    from harness.host.image import make_image  # noqa: PLC0415  not for --help

    typer.echo(make_image(lambda text: typer.echo(text, err=True)))


def runtime() -> None:
    """Lay out the packages that submissions run with in bubblewrap; nothing happens where that is done."""
    from harness.host.runtime import ensure_guest_runtime  # noqa: PLC0415  not for --help

    typer.echo(ensure_guest_runtime(lambda text: typer.echo(text, err=True)).digest)
