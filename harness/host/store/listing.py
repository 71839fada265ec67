"""Lists what is in a store: runs with their newest scores, and what could not be graded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, select

from harness.host.store.rows import storable
from harness.host.store.tables import CHOICES, CURVES, FAULTS, PRIVATE_SCORES, RUNS, SCORES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select

    from harness.host.store.store import Store

_AT_ONCE = 200


def list_runs(
    store: Store, assignment: str | None, student: str | None, outcome: str | None, most: int
) -> list[RowMapping]:
    """The runs that were recorded last, the newest first, with the public side of their scores.

    Args:
        store: where they are.
        assignment: its id; None: of all.
        student: as the course names them; None: of all.
        outcome: None: any.
        most: how many.
    """
    shown = (SCORES.c.metric, SCORES.c.public, SCORES.c.validation, SCORES.c.points, SCORES.c.max_points)
    query = select(RUNS, *shown).join(SCORES, SCORES.c.run == RUNS.c.number).where(is_newest_score())
    wanted = ((RUNS.c.assignment, assignment), (RUNS.c.student, student), (RUNS.c.outcome, outcome))
    for column, value in wanted:
        if value is not None:
            query = query.where(column == storable(value))
    with store.database.reading() as connection:
        return list(connection.execute(query.order_by(RUNS.c.number.desc()).limit(most)).mappings())


def list_faults(
    store: Store, assignment: str | None, most: int, student: str | None = None
) -> list[RowMapping]:
    """What could not be graded, the newest first; the arguments are those of `list_runs`."""
    query = select(FAULTS).order_by(FAULTS.c.number.desc()).limit(most)
    for column, value in ((FAULTS.c.assignment, assignment), (FAULTS.c.student, student)):
        if value is not None:
            query = query.where(column == storable(value))
    with store.database.reading() as connection:
        return list(connection.execute(query).mappings())


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one run.

    Attributes:
        score: the newest.
        private: of that score; None where it was not asked for.
        curve: None where training never began.
    """

    run: RowMapping
    score: RowMapping
    private: RowMapping | None
    curve: RowMapping | None


def current_runs(store: Store, assignment: str, *, private: bool) -> Iterator[Rows]:
    """The runs of an assignment that no later run of the same hand-in replaces, in the order of recording.

    Args:
        store: where they are.
        assignment: its id.
        private: whether what tells of the private split is read too.
    """
    query = select(RUNS.c.number).where(RUNS.c.assignment == assignment, is_current())
    with store.database.reading() as connection:
        numbers = list(connection.execute(query.order_by(RUNS.c.number)).scalars())
    for start in range(0, len(numbers), _AT_ONCE):
        with store.database.reading() as connection:
            page = _page(connection, numbers[start : start + _AT_ONCE], private=private)
        yield from page


def _page(connection: Connection, numbers: list[int], *, private: bool) -> list[Rows]:
    def by(column: Column[int], query: Select[Any], wanted: list[int]) -> dict[int, RowMapping]:
        found = connection.execute(query.where(column.in_(wanted))).mappings()
        return {row[column.name]: row for row in found}  # the last of several stays

    runs = by(RUNS.c.number, select(RUNS), numbers)
    curves = by(CURVES.c.run, select(CURVES), numbers)
    scores = by(SCORES.c.run, select(SCORES).order_by(SCORES.c.number), numbers)
    newest = [row["number"] for row in scores.values()]
    hidden = by(PRIVATE_SCORES.c.score, select(PRIVATE_SCORES), newest) if private else {}
    return [
        Rows(runs[number], scores[number], hidden.get(scores[number]["number"]), curves.get(number))
        for number in numbers
    ]


def replacements(connection: Connection, assignment: str) -> dict[int, int]:
    """The numbers of runs that a later run of the same hand-in replaces, and of those that do."""
    query = select(RUNS.c.replaces, RUNS.c.number)
    replaced = query.where(RUNS.c.assignment == assignment, RUNS.c.replaces.is_not(None))
    return {row.replaces: row.number for row in connection.execute(replaced)}


def chosen_runs(connection: Connection, replaced: Mapping[int, int]) -> dict[int, int]:
    """The numbers of the runs that were chosen, with a number that is greater where that was later.

    Args:
        connection: to the store.
        replaced: see `replacements`; a choice goes over to the run that replaces the chosen one.
    """
    chosen = {}
    query = select(CHOICES.c.run, CHOICES.c.number).order_by(CHOICES.c.number)
    for run, number in connection.execute(query):
        current = run
        while current in replaced:
            current = replaced[current]
        chosen[current] = number
    return chosen


def is_current() -> ColumnElement[bool]:
    """Whether no later run of the same hand-in replaces a row of `runs`."""
    later = RUNS.alias()
    return ~exists().where(later.c.replaces == RUNS.c.number)


def is_newest_score() -> ColumnElement[bool]:
    """Whether a row of `scores`, joined with its run, is the run's newest."""
    newer = SCORES.alias()
    newest = select(func.max(newer.c.number)).where(newer.c.run == RUNS.c.number)
    return SCORES.c.number == newest.scalar_subquery()
