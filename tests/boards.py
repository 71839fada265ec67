"""An assignment with two tiers and boards of it, for the tests of what ranks students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.host.assignment import load_assignment
from harness.host.leaderboard.board import ROWS, Board, Wanted, make_board
from harness.host.leaderboard.naming import with_names
from harness.host.leaderboard.ranking import rank, with_baselines
from harness.host.store.hand_ins import microseconds
from tests.stored import NOON

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.store.store import Store

ASSIGNMENT = """
id = "hw1-bikes"
title = "Bike rentals"
task = "regression"
[data]
target = "count"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[points]
contract = 1.0
finished = 1.0
finite = 1.0
runtime = 1.0
[[tiers]]
name = "simple"
threshold = 100.0
public_points = 0.5
private_points = 0.5
[[tiers]]
name = "boss"
threshold = 50.0
public_points = 0.5
private_points = 0.5
"""
KEY = bytes(range(32))
EVIL = '=HYPERLINK("http://x")|<b>`\x1b[31m\u202e\n::error::hi'


def assignment_in(root: Path) -> Assignment:
    """An assignment of regression with two tiers, at 100 and at 50."""
    folder = root / "assignments" / "hw1-bikes"
    folder.mkdir(parents=True)
    (folder / "assignment.toml").write_text(ASSIGNMENT)
    return load_assignment(folder)


def reference_in(root: Path, key: bytes = KEY) -> Path:
    """A reference with an answer and a key."""
    folder = root / "reference"
    folder.mkdir()
    (folder / "reference.toml").write_text(f'answers = "answers.csv"\nsplit_key = "{key.hex()}"\n')
    (folder / "answers.csv").write_text("id,count\nr1,1\n")
    return folder


def run(student: str, scored: float | None, seconds: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A finished run with the same score on both splits, as `read_runs` returns it."""
    return {
        "student": student,
        "finished": True,
        "isolated": True,
        "public": scored,
        "score": scored,
        "runtime_seconds": seconds,
        "submitted": NOON,
        "chosen": None,
        **changes,
    }


def frame_of(*rows: dict[str, Any]) -> pd.DataFrame:
    """Runs in the order of recording, with times as the store has them."""
    numbered = [
        {"number": number, **row, "submitted": microseconds(row["submitted"])}
        for number, row in enumerate(rows, 1)
    ]
    types = {"public": "float64", "score": "float64", "chosen": "float64", "runtime_seconds": "float64"}
    return pd.DataFrame(numbered, columns=["number", *run("", 0.0)]).astype(types)


def board_from(assignment: Assignment, *rows: dict[str, Any], split: str = "public") -> Board:
    """The board of these runs, without a store."""
    frame, direction = frame_of(*rows), assignment.metric.direction
    ranked = with_names(rank(frame, direction, "best", microseconds(NOON)), None, None)
    return Board(
        assignment, split, with_baselines(ranked, assignment.tiers, direction)[list(ROWS)], frame, NOON
    )


def board_of(
    store: Store,
    assignment: Assignment,
    *,
    reference: Path | None = None,
    note: Callable[[str], None] = lambda _: None,
    as_of: datetime | None = NOON,
    **wanted: Any,
) -> Board:
    """The board of a store as it stood on the first day's noon, unless another moment is given."""
    return make_board(
        store, assignment, reference or assignment.folder / "none", Wanted(as_of=as_of, **wanted), note
    )


def placed(board: Board) -> list[tuple[Any, ...]]:
    """Rank, name and attempts of each row, in order; None where there is none."""
    columns = board.rows[["rank", "name", "attempts"]].astype(object)
    return [tuple(row) for row in columns.where(columns.notna(), None).itertuples(index=False)]
