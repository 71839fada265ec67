"""``harness check``: a look at a submission before it is handed in."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from harness.host.commands import GRADED, NOT_OK
from harness.host.commands.options import (
    DeviceChoice,
    DeviceOption,
    RuntimeOption,
    SandboxChoice,
    SandboxOption,
    check_targets,
)


def check(
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
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what was found as JSON.")] = None,
) -> None:
    """Look a submission over in a few seconds for what usually goes wrong; nothing is graded or kept.

    Exit status: 0 nothing was found; 1 something was, or it does not run; 2 wrong use or a broken assignment;
    3 this machine could not check.
    """
    from rich.console import Console  # noqa: PLC0415  not for --help

    from harness.host.preflight import page, session  # noqa: PLC0415  likewise
    from harness.host.preflight.document import check_document  # noqa: PLC0415  likewise
    from harness.host.report.document import write_json  # noqa: PLC0415  likewise

    check_targets(json)
    # Whoever ends the command politely finds nothing left of it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    means = session.CheckMeans(sandbox, device, runtime, assignment)
    checked = session.check_submission(submission, means, lambda text: typer.echo(text, err=True))
    try:  # first: whoever reads the terminal's output may stop before its end
        if json is not None:
            write_json(check_document(checked), json)
    finally:
        page.render(checked, Console())
    raise typer.Exit(GRADED if page.is_clean(checked) else NOT_OK)
