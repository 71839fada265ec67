"""``harness leaderboard`` and ``grades``: what is made of a class's results for others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.host.commands.options import (
    ArtifactsOption,
    AssignmentArgument,
    ReferenceOption,
    RosterOption,
    SelectionChoice,
    SelectOption,
    SplitChoice,
    StoreOption,
    check_targets,
    moment_of,
    note,
    the_assignment,
    the_reference,
    the_roster,
    the_store,
    write_out,
    zone_of,
)
from harness.host.errors import UsageError


class FormatChoice(StrEnum):
    """What ``leaderboard --format`` takes."""

    TABLE = "table"
    CSV = "csv"
    MD = "md"
    JSON = "json"
    HTML = "html"
    PARQUET = "parquet"


class NamesChoice(StrEnum):
    """What ``--names`` takes."""

    REAL = "real"
    ALIASES = "aliases"


class GradesChoice(StrEnum):
    """What ``grades --format`` takes."""

    CSV = "csv"
    CANVAS = "canvas"
    MOODLE = "moodle"


class MissingChoice(StrEnum):
    """What ``--missing`` takes."""

    KEEP = "keep"
    ZERO = "zero"


OutOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write it to a file instead of standard output.")
]


def leaderboard(  # noqa: PLR0913  what there is to choose
    assignment: AssignmentArgument,
    *,
    form: Annotated[FormatChoice, typer.Option("--format", help="How it is written.")] = FormatChoice.TABLE,
    out: OutOption = None,
    split: Annotated[
        SplitChoice, typer.Option(help="Which test rows count; nothing of the others is shown.")
    ] = SplitChoice.PUBLIC,
    select: SelectOption = SelectionChoice.BEST,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="The board as it stood then, such as 2030-03-01T12:00.")
    ] = None,
    names: Annotated[
        NamesChoice, typer.Option(help="Names, or aliases that stay the same and tell nothing.")
    ] = NamesChoice.REAL,
    roster: RosterOption = None,
    reference: ReferenceOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Rank the students of an assignment, with the tiers among them."""
    from harness.host.leaderboard import formats  # noqa: PLC0415  pandas
    from harness.host.leaderboard.board import Wanted, make_board  # noqa: PLC0415  likewise

    check_targets(out)
    found = the_assignment(assignment)
    wanted = Wanted(
        split=split,
        selection=select,
        as_of=moment_of(as_of, "--as-of", zone_of(found)),
        roster=the_roster(roster, found),
        aliases=names is NamesChoice.ALIASES,
    )
    opened = the_store(store, artifacts, found)
    board = make_board(opened, found, the_reference(found, reference), wanted, note)
    if form is FormatChoice.TABLE and out is None:
        from rich.console import Console  # noqa: PLC0415  not for --help

        formats.render(board, Console())
    elif form is FormatChoice.TABLE:
        raise UsageError("a table is for the terminal", "name another --format, such as csv or html")
    elif form is FormatChoice.PARQUET and out is None:
        raise UsageError("parquet is no text", "name a file: --out FILE")
    else:
        write_out(formats.WRITERS[form](board), out)


def grades(  # noqa: PLR0913  what there is to choose
    assignment: AssignmentArgument,
    *,
    form: Annotated[GradesChoice, typer.Option("--format", help="What takes them.")] = GradesChoice.CSV,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The gradebook to fill in, as it was downloaded.")
    ] = None,
    out: OutOption = None,
    roster: RosterOption = None,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of the sheet to fill in.")
    ] = None,
    missing: Annotated[
        MissingChoice, typer.Option(help="What students without a run get in the sheet.")
    ] = MissingChoice.KEEP,
    select: SelectOption = SelectionChoice.BEST,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Write the final grades, with what being late takes off, for people or for Canvas and Moodle."""
    from harness.host.exports.counting import counting_runs  # noqa: PLC0415  pandas
    from harness.host.exports.export import export_grades  # noqa: PLC0415  likewise

    check_targets(out)
    found = the_assignment(assignment)
    class_ = the_roster(roster, found)
    frame = counting_runs(the_store(store, artifacts, found), found, select, class_)
    text = export_grades(
        frame,
        found,
        form.value,
        sheet=sheet,
        roster=class_,
        column=column,
        missing=missing.value,
        note=note,
    )
    write_out(text, out)
