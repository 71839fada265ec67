"""The command line: the commands of `harness.host.commands`, and how it is left."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from harness.host.commands import (
    GRADED,
    again,
    boards,
    check,
    ci,
    grading,
    machine,
    new,
    poll,
    release,
    results,
    validate,
)
from harness.host.commands.options import show_fault
from harness.host.errors import HarnessError

app = typer.Typer(
    help="Grades PyTorch homework: the course's loops in a sandbox, the score against a hidden reference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(grading.grade, grading.batch, poll.poll),
    check.check,
    *(results.runs, results.show, results.log, results.choose, results.pages),
    *(boards.leaderboard, boards.grades),
    *(again.rescore, again.regrade),
    *(validate.validate, release.release),
    *(machine.doctor, machine.image, machine.runtime),
):
    app.command()(command)
app.add_typer(ci.app, name="ci")
app.add_typer(new.app, name="new")


def main() -> NoReturn:
    """Run the command line and leave; a fault that has a message is shown without a traceback."""
    try:
        app(standalone_mode=True)
        status = GRADED
    except HarnessError as error:
        show_fault(error)
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
