"""What the options of several commands have in common."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.host.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from harness.host.assignment import Assignment
    from harness.host.roster import Roster
    from harness.host.store.place import Place
    from harness.host.store.store import Store


class SandboxChoice(StrEnum):
    """What ``--sandbox`` takes."""

    AUTO = "auto"
    DOCKER = "docker"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


class WallChoice(StrEnum):
    """What ``--sandbox`` takes where a class is graded: without a wall, one could read all answers."""

    AUTO = "auto"
    DOCKER = "docker"
    BUBBLEWRAP = "bubblewrap"


class DeviceChoice(StrEnum):
    """What ``--device`` takes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class SplitChoice(StrEnum):
    """What ``--split`` takes."""

    PUBLIC = "public"
    PRIVATE = "private"


class SelectionChoice(StrEnum):
    """What ``--select`` takes."""

    BEST = "best"
    LAST = "last"
    CHOSEN = "chosen"


SandboxOption = Annotated[SandboxChoice, typer.Option(help="Where student code runs.")]
WallOption = Annotated[WallChoice, typer.Option("--sandbox", help="Where student code runs.")]
RuntimeOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A runtime of the Docker engine, such as runsc.")
]
DeviceOption = Annotated[DeviceChoice, typer.Option(help="What it runs on.")]
ReferenceOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The hidden answers (default: reference/ID).")
]
JobsOption = Annotated[
    int | None, typer.Option(min=1, help="Submissions side by side (default: as many as the cores can hold).")
]
ClusterOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Have a Dask cluster run them: tcp://HOST:PORT, slurm or local."),
]
AssignmentArgument = Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="The assignment's id.")]
StoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="HARNESS_STORE",
        help="The store: an SQLite file, or postgresql://... (default: results/runs.sqlite).",
    ),
]
ArtifactsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", envvar="HARNESS_ARTIFACTS", help="Its folder of artifacts (default: beside the file)."
    ),
]
RosterOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The class: groups, extensions and aliases.")
]
SelectOption = Annotated[SelectionChoice, typer.Option(help="Which of a student's runs counts.")]


def the_assignment(named: str | None) -> Assignment:
    """The assignment of a command: the one that is named, or the only one there is.

    Raises:
        UsageError: there is no such assignment, or there are several and none was named.
    """
    from harness.host.assignment import find_assignment, known_assignments, load_assignment  # noqa: PLC0415  not for --help

    here = Path.cwd()
    known = known_assignments(here)
    if named is None and len(known) != 1:
        raise UsageError("no assignment was named", f"name it: --assignment {'|'.join(known) or 'ID'}")
    return load_assignment(find_assignment(named or known[0], here))


def the_reference(assignment: Assignment, named: Path | None) -> Path:
    """The folder of its hidden answers; unless it was named, it need not exist.

    Raises:
        UsageError: there is no such folder.
    """
    from harness.host.assignment import reference_folder  # noqa: PLC0415  not for --help

    if named is not None and not named.is_dir():
        raise UsageError(f"there is no folder {named}", "name the folder that holds reference.toml")
    return (named or reference_folder(assignment)).absolute()


def the_place(store: str | None, artifacts: Path | None, assignment: Assignment | None = None) -> Place:
    """Where the course's store is.

    Args:
        store: as it was named, if it was.
        artifacts: likewise.
        assignment: of the course; None: the course is the folder above that has ``assignments/``.
    """
    from harness.host.store.place import place_of  # noqa: PLC0415  not for --help

    here = Path.cwd()
    courses = [folder for folder in (here, *here.parents) if (folder / "assignments").is_dir()]
    root = assignment.folder.parent.parent if assignment else next(iter(courses), here)
    return place_of(store, artifacts, root)


def the_store(store: str | None, artifacts: Path | None, assignment: Assignment | None = None) -> Store:
    """The course's store, which must be there; the arguments are those of `the_place`.

    Raises:
        UsageError: there is none.
        StoreError: it cannot be opened.
    """
    from harness.host.store.store import Store  # noqa: PLC0415  not for --help

    return Store(the_place(store, artifacts, assignment), make=False)


def the_roster(path: Path | None, assignment: Assignment) -> Roster | None:
    """The class, if it was named."""
    from harness.host.roster import read_roster  # noqa: PLC0415  not for --help

    return None if path is None else read_roster(path, zone_of(assignment))


def zone_of(assignment: Assignment) -> tzinfo:
    """The time zone of times that name none: the deadline's."""
    from harness.host.attempts import zone_of_days  # noqa: PLC0415  not for --help

    return zone_of_days(assignment.deadline)


def moment_of(text: str | None, option: str, zone: tzinfo) -> datetime | None:
    """A date, with or without a time.

    Raises:
        UsageError: it is none.
    """
    from datetime import datetime  # noqa: PLC0415  not for --help

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text} is no date", "write it as 2030-03-01 or 2030-03-01T23:59+08:00"
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def check_targets(*paths: Path | None) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        UsageError: a file's folder is not there.
    """
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(
                f"there is no folder {path.absolute().parent} to write {path.name} into", "make it first"
            )


def note(text: str) -> None:
    """Tell the user of something beside the output."""
    from harness.host.report.text import printable_text  # noqa: PLC0415  not for --help

    typer.echo(f"note: {printable_text(text)}", err=True)


def show_fault(error: HarnessError) -> None:
    """A fault that has a message, without a traceback."""
    from harness.host.report.text import printable_text  # noqa: PLC0415  only on the way out

    typer.echo(f"error: {printable_text(error.message)}", err=True)
    if error.fix:
        typer.echo(f"  fix: {printable_text(error.fix)}", err=True)


def say(text: str) -> None:
    """Write a line to standard output, with what its encoding cannot carry spelled out."""
    from harness.host.report.text import encodable  # noqa: PLC0415  not for --help

    typer.echo(encodable(text, sys.stdout.encoding))


def write_out(text: str | bytes, out: Path | None) -> None:
    """Write a whole document to a file, or to standard output as it is.

    Raises:
        UsageError: it cannot be written there.
    """
    from harness.host.report.files import write_bytes_atomically  # noqa: PLC0415  not for --help

    data = text.encode() if isinstance(text, str) else text
    if out is None:
        typer.echo(data, nl=False)
    else:
        write_bytes_atomically(data, out)
