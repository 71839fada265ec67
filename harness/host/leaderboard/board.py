"""Makes an assignment's leaderboard out of the store: the flow, from runs to the table that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.leaderboard.naming import with_names
from harness.host.leaderboard.ranking import history, rank, with_baselines
from harness.host.leaderboard.runs import read_runs
from harness.host.reference import load_reference
from harness.host.store.hand_ins import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from harness.host.assignment import Assignment
    from harness.host.roster import Roster
    from harness.host.store.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        split: ``public`` or ``private``; nothing of the other one is shown.
        selection: ``best``, ``last`` or ``chosen``.
        as_of: the board as it stood then; None: as it stands.
        roster: says groups and chosen aliases.
        aliases: whether aliases stand for names.
    """

    split: str = "public"
    selection: str = "best"
    as_of: datetime | None = None
    roster: Roster | None = None
    aliases: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard, in full precision; what shows it rounds.

    Attributes:
        rows: in the order of ranks, tiers among them: ``rank``, ``name``, ``group``, ``score``, ``last``,
            ``progress``, ``runtime_seconds``, ``attempts``, ``kind``.
        runs: what `read_runs` returned.
        made_at: as of when.
    """

    assignment: Assignment
    split: str
    rows: pd.DataFrame
    runs: pd.DataFrame
    made_at: datetime

    def history(self) -> pd.DataFrame:
        """The class over time, as `ranking.history` says."""
        return history(self.runs, self.assignment.metric.direction)


ROWS = ("rank", "name", "group", "score", "last", "progress", "runtime_seconds", "attempts", "kind")


def make_board(
    store: Store, assignment: Assignment, reference: Path, wanted: Wanted, note: Callable[[str], None]
) -> Board:
    """Rank an assignment's students.

    Args:
        store: has the runs.
        assignment: states the metric, its direction and the tiers.
        reference: the folder of the hidden answers; its key makes the aliases.
        wanted: what is asked for.
        note: is told of runs that are left out or that prove nothing.

    Raises:
        UsageError: there are no runs, or aliases are asked for and there is no reference.
        MachineError: the store cannot be read.
    """
    runs = read_runs(store, assignment, wanted.split, wanted.as_of)
    metric = assignment.metric.name
    if runs.of_other_metric:
        why = f"what was not scored by {metric}; to score it again: harness rescore {assignment.id}"
        note(f"runs left out: {runs.of_other_metric}, {why}")
    if runs.frame.empty:
        raise UsageError(
            f"there is no run of {assignment.id} in {store.database.name}",
            f"grade some: harness batch FOLDER --assignment {assignment.id}; --store names another store",
        )
    if runs.unprotected:
        note(f"runs without isolation: {runs.unprotected}; their scores and runtimes are only claims")
    direction = assignment.metric.direction
    now = wanted.as_of or datetime.now(UTC)
    ranked = rank(runs.frame, direction, wanted.selection, microseconds(now))
    named = with_names(ranked, wanted.roster, _alias_key(assignment, reference) if wanted.aliases else None)
    rows = with_baselines(named, assignment.tiers, direction)
    return Board(assignment, wanted.split, rows[list(ROWS)], runs.frame, now)


def _alias_key(assignment: Assignment, reference: Path) -> bytes:
    loaded = load_reference(reference, assignment)
    if loaded is None:
        raise UsageError(
            f"aliases are made with the key in {reference}, which is not there",
            "name the reference: --reference DIR",
        )
    return loaded.split_key
