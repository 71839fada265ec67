"""``harness ci``: what GitHub, GitLab and Gradescope need to run the harness."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.host.commands.options import check_targets, note, say, the_assignment, write_out
from harness.host.errors import UsageError

app = typer.Typer(
    help="Write what GitHub, GitLab or Gradescope needs to run the harness.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class RunnerChoice(StrEnum):
    """What ``harness ci SERVICE --sandbox`` takes."""

    BUBBLEWRAP = "bubblewrap"
    DOCKER = "docker"
    NONE = "none"


class ContainerChoice(StrEnum):
    """What ``harness ci gradescope --sandbox`` takes: there is no engine in its container."""

    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


AssignmentOption = Annotated[
    str | None, typer.Option(metavar="ID", help="The assignment, if there are several.")
]
FolderOption = Annotated[Path, typer.Option(metavar="DIR", help="The repository to write into.")]
InstructorOption = Annotated[
    bool, typer.Option("--instructor", help="For the course's own repository, instead of a student's.")
]
SubmissionOption = Annotated[
    str, typer.Option(metavar="DIR", help="The submission's folder in a student's repository.")
]
RunnerOption = Annotated[RunnerChoice, typer.Option(help="Where student code runs.")]


@app.command()
def github(
    *,
    assignment: AssignmentOption = None,
    out: FolderOption = Path(),
    instructor: InstructorOption = False,
    submission: SubmissionOption = "submission",
    sandbox: RunnerOption = RunnerChoice.BUBBLEWRAP,
) -> None:
    """Write workflows for GitHub Actions: a self-check on each push, or the course's grading."""
    _write("github", assignment, out, sandbox, submission, instructor=instructor)


@app.command()
def gitlab(
    *,
    assignment: AssignmentOption = None,
    out: FolderOption = Path(),
    instructor: InstructorOption = False,
    submission: SubmissionOption = "submission",
    sandbox: RunnerOption = RunnerChoice.BUBBLEWRAP,
) -> None:
    """Write a pipeline for GitLab CI: a self-check on each push, or the course's scheduled grading."""
    _write("gitlab", assignment, out, sandbox, submission, instructor=instructor)


def _write(
    service: str, assignment: str | None, out: Path, sandbox: str, submission: str, *, instructor: bool
) -> None:
    from harness.host.workflows.services import workflows  # noqa: PLC0415  not for --help
    from harness.host.workflows.writing import write_files  # noqa: PLC0415  likewise

    found = the_assignment(assignment)
    files = workflows(service, found, sandbox, submission, instructor=instructor)
    for path in write_files(files, out):
        say(str(path))


@app.command()
def gradescope(
    *,
    assignment: AssignmentOption = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder to write the bundle into; it is made.")
    ],
    reference: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put these answers in (default: none).")
    ] = None,
    sandbox: Annotated[
        ContainerChoice, typer.Option(help="Where student code runs.")
    ] = ContainerChoice.BUBBLEWRAP,
) -> None:
    """Write an autograder for Gradescope: its files, and autograder.zip to be uploaded."""
    from harness.host.workflows.gradescope import ARCHIVE, SCRIPTS, archive, bundle  # noqa: PLC0415  not for --help
    from harness.host.workflows.writing import write_files  # noqa: PLC0415  likewise

    files = bundle(the_assignment(assignment), sandbox, reference, note)
    write_files({**files, ARCHIVE: archive(files)}, out, SCRIPTS)
    say(f"{len(files)} files in {out}; upload {out / ARCHIVE}")


@app.command()
def gradescope_results(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="Of harness grade --json.")],
    feedback: Annotated[
        Path, typer.Argument(metavar="FEEDBACK", help="Of harness grade --feedback, as .json.")
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to a file instead of standard output.")
    ] = None,
) -> None:
    """Write Gradescope's results.json of a run."""
    import json  # noqa: PLC0415  not for --help

    from harness.host.report.gradescope import gradescope_results as made  # noqa: PLC0415  likewise

    check_targets(out)
    texts = []
    for path in (report, feedback):
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}", "name a file of harness grade") from error
    write_out(json.dumps(made(*texts), indent=2) + "\n", out)
