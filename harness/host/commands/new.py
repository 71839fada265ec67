"""``harness new assignment`` and ``harness new submission``: something to begin with, which runs as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.host.commands.options import AssignmentArgument, say, the_assignment
from harness.host.tasks import TASKS

app = typer.Typer(
    help="Make a new assignment or submission, which runs as it is.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def assignment(
    name: Annotated[str, typer.Argument(metavar="ID", help="Its id, such as hw3-rides.")],
    *,
    task: Annotated[str, typer.Option(metavar="|".join(TASKS), help="What a prediction is.")] = next(
        iter(TASKS)
    ),
) -> None:
    """Make an assignment with made-up data, answers, a handout, a starter, a check and four solutions."""
    from harness.host.scaffold.assignment import new_assignment  # noqa: PLC0415  not for --help

    here = Path.cwd()
    course = next((folder for folder in (here, *here.parents) if (folder / "assignments").is_dir()), here)
    for folder in new_assignment(course, name, task):
        say(str(folder))
    say(f"next: harness validate {name}; then put your own data into build.py and run it")


@app.command()
def submission(
    assignment: AssignmentArgument,
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to make (default: my-ASSIGNMENT).")
    ] = None,
) -> None:
    """Make a submission from an assignment's starter."""
    from harness.host.scaffold.submission import new_submission  # noqa: PLC0415  not for --help

    found = the_assignment(assignment)
    folder = out or Path(f"my-{found.id}")
    new_submission(found, folder)
    say(f"{folder}; next: make grade SUBMISSION={folder}")
