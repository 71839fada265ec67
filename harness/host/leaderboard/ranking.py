"""Says which run of each student counts, and who is before whom; figures are compared in full precision.

Which run is a student's best is decided by the public score, on the private board too: the best of many
attempts by a score that nobody saw would be luck (docs/decisions/0016-the-best-run.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.host.assignment import Tier

SELECTIONS = ("best", "last", "chosen")
SUBMISSION, BASELINE = "submission", "baseline"
COLUMNS = ("rank", "name", "score", "last", "progress", "runtime_seconds", "attempts", "number", "submitted")
WEEK = 7 * 24 * 3600 * 1_000_000  # microseconds
_TYPES = {
    "rank": "Int64",
    "score": "float64",
    "last": "float64",
    "progress": "float64",
    "runtime_seconds": "float64",
    "attempts": "Int64",
    "number": "Int64",
    "submitted": "Int64",
}
_DAY = WEEK // 7
_MOST_DAYS = 200


def rank(runs: pd.DataFrame, direction: str, selection: str, now: int) -> pd.DataFrame:
    """Rank students by the runs that count.

    A better score goes first, then the shorter runtime, then who handed in earlier; who is equal in all three
    shares a rank, and the next one counts them. A run that failed or has no score is an attempt and no more.

    Args:
        runs: what `read_runs` returned.
        direction: ``min`` or ``max``, whichever is better.
        selection: ``best``, by the public score; ``last``, which was handed in last, even if it failed; or
            ``chosen`` by the student, else the best.
        now: the moment from which a week is counted back, in microseconds since 1970.

    Returns:
        A row for each student, the best first, those without a rank last, with `COLUMNS`:
        ``rank`` (1 is the best; NA: none), ``name``, ``score`` of the run that counts and of the ``last``
        run, ``progress`` (how much better the score is than that of the run that counted a week ago), the
        ``number`` of the run that counts and when it was ``submitted``.
    """
    counting = select(runs, direction, selection)
    keys = ["score", "runtime_seconds", "submitted"]
    ranked = counting.sort_values(keys, ascending=[direction == "min", True, True], ignore_index=True)
    # In this order equals are neighbours: whoever repeats the keys has the rank of the first who had them.
    position = pd.Series(range(1, len(ranked) + 1), index=ranked.index, dtype="Int64")
    ranked["rank"] = position.mask(ranked.duplicated(keys)).ffill()
    ranked = ranked.set_index("student")
    a_week_ago = select(runs[runs["submitted"] <= now - WEEK], direction, selection)
    earlier = a_week_ago.set_index("student")["score"]
    sign = 1 if direction == "min" else -1
    ranked["progress"] = sign * (earlier.reindex(ranked.index) - ranked["score"])
    attempts = runs["student"].value_counts()
    board = ranked.reindex([*ranked.index, *sorted(set(attempts.index) - set(ranked.index))])
    board["last"] = _finished(_last(runs)).set_index("student")["score"].reindex(board.index)
    board["attempts"] = attempts.reindex(board.index)
    return board.rename_axis("name").reset_index()[list(COLUMNS)].astype(_TYPES)


def select(runs: pd.DataFrame, direction: str, selection: str) -> pd.DataFrame:
    """The one run of each student that counts, of those who have one; see `rank`."""
    if selection == "last":
        return _finished(_last(runs))
    best_first = _best_first(_finished(runs), direction)
    if selection == "chosen":
        best_first = best_first.sort_values("chosen", ascending=False, na_position="last", kind="stable")
    return best_first.drop_duplicates("student")


def _best_first(finished: pd.DataFrame, direction: str) -> pd.DataFrame:
    by = "score" if finished["public"].isna().all() else "public"
    keys = [by, "runtime_seconds", "submitted", "number"]
    return finished.sort_values(keys, ascending=[direction == "min", True, True, True], na_position="last")


def _finished(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["finished"] & runs["score"].notna()]


def _last(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.sort_values(["submitted", "number"]).drop_duplicates("student", keep="last")


def with_baselines(ranked: pd.DataFrame, tiers: Sequence[Tier], direction: str) -> pd.DataFrame:
    """Put the tiers between the students who reached them and those who did not.

    Args:
        ranked: what `rank` returned, with ``group`` and with the names that are shown.
        tiers: each becomes a row with its threshold as the score, and no rank.
        direction: ``min`` or ``max``, whichever is better.

    Returns:
        The same columns and ``kind``, which is ``submission`` or ``baseline``.
    """
    tiers_ = pd.DataFrame(
        {"name": [tier.name for tier in tiers], "score": [tier.threshold for tier in tiers], "group": ""}
    )
    baselines = tiers_.reindex(columns=list(ranked.columns)).astype(_TYPES)
    parts = [part.assign(kind=kind) for part, kind in ((ranked, SUBMISSION), (baselines, BASELINE))]
    # A score that equals the threshold reaches it: at the same score a rank goes before none. Equals stand in
    # the order of the names that are shown, since any other order would tell of the names behind aliases.
    keys, ascending = ["score", "rank", "name"], [direction == "min", True, True]
    whole = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    return whole.sort_values(keys, ascending=ascending, ignore_index=True)


def history(runs: pd.DataFrame, direction: str) -> pd.DataFrame:
    """The class over time: as each day ended, the best of all and the median of each student's best.

    Args:
        runs: what `read_runs` returned.
        direction: ``min`` or ``max``, whichever is better.

    Returns:
        A row for each day from the first score to the last, at most 200 of them, with ``time`` (the day, in
        UTC), ``best``, ``median`` and ``students`` (how many have a score by then). A student's best is the
        one by the public score here too, so that the last day is that of a board of the best runs.
    """
    finished = _finished(runs).sort_values(["submitted", "number"])
    if finished.empty:
        return pd.DataFrame({"time": pd.to_datetime([], utc=True), "best": [], "median": [], "students": []})
    of_run = finished["submitted"] // _DAY
    newest = pd.DataFrame(
        {"day": of_run, "student": finished["student"], "score": _best_so_far(finished, direction)}
    )
    last_of_day = newest.drop_duplicates(["day", "student"], keep="last")
    grid = last_of_day.set_index(["day", "student"])["score"].unstack()  # noqa: PD010  nothing to aggregate
    days = range(int(of_run.iloc[0]), int(of_run.iloc[-1]) + 1)
    every = max(1, -(-len(days) // _MOST_DAYS))
    # A file's time may be decades off: no row is made for a day that is not shown.
    grid = grid.ffill().reindex(days[::-1][::every][::-1], method="ffill")
    return pd.DataFrame(
        {
            "time": pd.to_datetime(grid.index.to_numpy() * _DAY, unit="us", utc=True),
            "best": (grid.min(axis=1) if direction == "min" else grid.max(axis=1)).to_numpy(),
            "median": grid.median(axis=1).to_numpy(),
            "students": grid.notna().sum(axis=1).to_numpy(),
        }
    )


def _best_so_far(finished: pd.DataFrame, direction: str) -> pd.Series[float]:
    """The score of what was the student's best run when each run was handed in, in the order of these."""
    best_first = _best_first(finished, direction)
    place = pd.Series(range(len(finished)), index=best_first.index).reindex(finished.index)
    is_best = place == place.groupby(finished["student"], sort=False).cummin()
    return finished["score"].where(is_best).groupby(finished["student"], sort=False).ffill()
