"""Reads from the store what a leaderboard is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import func, select

from harness.host.store.hand_ins import microseconds
from harness.host.store.listing import chosen_runs, replacements
from harness.host.store.tables import PRIVATE_SCORES, RUNS, SCORES
from harness.protocol import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

    from harness.host.assignment import Assignment
    from harness.host.store.store import Store

PUBLIC, PRIVATE = "public", "private"
# The types of the columns that are read, in their order.
_TYPES = {
    "number": "int64",
    "student": "object",
    "finished": "bool",
    "isolated": "bool",
    "of_metric": "bool",
    "public": "float64",
    "runtime_seconds": "float64",
    "submitted": "int64",
}


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of an assignment with their newest scores.

    Attributes:
        frame: a row for each, in the order of recording: ``number``, ``student``, ``finished`` (the outcome
            is ok), ``public`` and ``score`` (on the split that is shown) in full precision (NaN: not scored),
            ``runtime_seconds`` of training and prediction together, ``submitted`` (microseconds since 1970),
            ``chosen`` (greatest where it was chosen last; NaN: never).
        of_other_metric: how many are left out, since they were scored by another metric.
        unprotected: how many had no isolation.
    """

    frame: pd.DataFrame
    of_other_metric: int
    unprotected: int


def read_runs(store: Store, assignment: Assignment, split: str, as_of: datetime | None = None) -> Runs:
    """Read the runs of an assignment.

    Args:
        store: where they are.
        assignment: names the metric too.
        split: ``public`` or ``private``; for the public one, nothing of the private one is read.
        as_of: runs that were handed in after it are left out.

    Raises:
        MachineError: the store cannot be read.
    """
    wanted = [RUNS.c.assignment == assignment.id]
    if as_of is not None:
        wanted.append(RUNS.c.submitted <= microseconds(as_of))
    with store.database.reading() as connection:
        rows = connection.execute(_query(split, assignment.metric.name).where(*wanted)).all()
        replaced = replacements(connection, assignment.id)
        choices = chosen_runs(connection, replaced)
    types = _TYPES if split == PUBLIC else {**_TYPES, "score": "float64"}
    columns = zip(types.items(), zip(*rows, strict=True) if rows else ((),) * len(types), strict=True)
    frame = pd.DataFrame({name: pd.Series(column, dtype=kind) for (name, kind), column in columns})
    frame = frame.sort_values("number", ignore_index=True)
    if split == PUBLIC:
        frame["score"] = frame["public"]
    frame = frame[~frame["number"].isin(list(replaced))]
    kept = frame[frame["of_metric"]].drop(columns="of_metric")
    kept["chosen"] = kept["number"].map(choices).astype("float64")
    return Runs(kept, len(frame) - len(kept), int((~kept["isolated"]).sum()))


def _query(split: str, metric: str) -> Select[tuple[Any, ...]]:
    newest = select(func.max(SCORES.c.number).label("number")).group_by(SCORES.c.run).subquery()
    tables = newest.join(SCORES, SCORES.c.number == newest.c.number).join(RUNS, RUNS.c.number == SCORES.c.run)
    columns: list[ColumnElement[Any]] = [
        RUNS.c.number,
        RUNS.c.student,
        RUNS.c.outcome == Outcome.OK.value,
        RUNS.c.isolated,
        SCORES.c.metric == metric,
        SCORES.c.public,
        RUNS.c.train_seconds + RUNS.c.predict_seconds,
        RUNS.c.submitted,
    ]
    if split == PRIVATE:
        tables = tables.join(PRIVATE_SCORES, PRIVATE_SCORES.c.score == SCORES.c.number)
        columns.append(PRIVATE_SCORES.c.private)
    return select(*columns).select_from(tables)
