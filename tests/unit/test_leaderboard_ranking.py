"""Which run of a student counts, who is before whom, and the class over time."""

from __future__ import annotations

import math
import statistics
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.assignment import Tier
from harness.host.leaderboard.ranking import COLUMNS, SELECTIONS, history, rank, select, with_baselines
from harness.host.store.hand_ins import microseconds
from tests.boards import frame_of, run
from tests.stored import NOON, later

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = microseconds(NOON)
DAY = timedelta(days=1) // timedelta(microseconds=1)
TIERS = [
    Tier(name=name, threshold=threshold, public_points=0.5, private_points=0.5)
    for name, threshold in (("simple", 100.0), ("boss", 50.0))
]
FAILED: dict[str, Any] = {"finished": False, "public": None, "score": None}
TIMES = st.integers(0, 12 * 24).map(lambda hours: NOON + timedelta(hours=hours))
RUNS = st.lists(
    st.builds(
        run,
        st.sampled_from(["s001", "s002", "s003"]),
        st.sampled_from([1.0, 2.0, 3.0]),
        st.sampled_from([1.0, 2.0]),
        score=st.sampled_from([5.0, 6.0, 7.0, None]),
        finished=st.sampled_from([True, True, False]),
        submitted=TIMES,
    ),
    max_size=12,
)


def ranks(frame: pd.DataFrame, direction: str = "min", selection: str = "best") -> dict[str, int | None]:
    """The rank of each student; None: none."""
    board = rank(frame, direction, selection, NOW)
    return {
        name: None if pd.isna(place) else place
        for name, place in zip(board["name"], board["rank"], strict=True)
    }


def row_of(frame: pd.DataFrame, student: str, selection: str = "best", now: int = NOW) -> dict[Any, Any]:
    """What a board says of a student."""
    board = rank(frame, "min", selection, now).set_index("name")
    return board.loc[student].to_dict()


@pytest.mark.parametrize(("direction", "first"), [("min", "small"), ("max", "large")])
def test_the_stated_direction_says_who_is_first(direction: str, first: str) -> None:
    """A lower score wins where the metric is to be low, a higher one where it is to be high."""
    assert ranks(frame_of(run("small", 0.1), run("large", 0.9)), direction)[first] == 1


def test_scores_are_compared_in_full_precision() -> None:
    """A difference that no display shows decides, even against a shorter runtime."""
    assert ranks(frame_of(run("b", 10.00000000001, 1), run("a", 10.0, 9))) == {"a": 1, "b": 2}


def test_equal_scores_are_ranked_by_runtime_and_then_by_time() -> None:
    """The faster goes first; between equally fast ones, the earlier by even a microsecond."""
    moment = NOON + timedelta(microseconds=1)
    frame = frame_of(
        run("late", 10.0, 2, submitted=moment), run("early", 10.0, 2), run("fast", 10.0, 1, submitted=moment)
    )
    assert ranks(frame) == {"fast": 1, "early": 2, "late": 3}


def test_equals_share_a_rank_and_the_next_one_counts_them() -> None:
    """Three who are equal in everything are all second, and the next is fifth."""
    tied = [run(name, 10.0) for name in ("a", "b", "c")]
    board = ranks(frame_of(run("first", 9.0), *tied, run("last", 11.0)))
    assert board == {"first": 1, "a": 2, "b": 2, "c": 2, "last": 5}


def test_a_student_stands_once_with_all_attempts_counted() -> None:
    """The best run has the rank; the others are attempts, and so are those that failed."""
    frame = frame_of(run("s001", 80.0), run("s001", 70.0), run("s001", 1.0, **FAILED), run("s002", 75.0))
    assert ranks(frame) == {"s001": 1, "s002": 2}
    row = row_of(frame, "s001")
    assert (row["score"], row["attempts"], row["number"]) == (70.0, 3, 2)


@pytest.mark.parametrize("changes", [FAILED, {"finished": False}, {"public": None, "score": None}])
def test_a_run_that_failed_or_has_no_score_is_an_attempt_and_no_more(changes: dict[str, Any]) -> None:
    """However good its score, it has no rank, and its student stands last."""
    frame = frame_of(run("s009", 1.0, **changes), run("s001", 70.0))
    assert ranks(frame) == {"s001": 1, "s009": None}
    row = row_of(frame, "s009")
    assert row["attempts"] == 1
    assert all(pd.isna(row[name]) for name in ("score", "last", "progress", "runtime_seconds", "number"))


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_public_score_says_which_run_is_the_best_on_the_private_board_too(direction: str) -> None:
    """The best of many by a score that nobody saw would be luck; the rank is by the private score."""
    sign = 1 if direction == "min" else -1
    frame = frame_of(
        run("s001", sign * 1.0, score=sign * 9.0),
        run("s001", sign * 2.0, score=sign * 3.0),
        run("s002", sign * 5.0, score=sign * 4.0),
    )
    board = rank(frame, direction, "best", NOW)
    assert list(board["name"]) == ["s002", "s001"]
    assert list(board["score"]) == [sign * 4.0, sign * 9.0]


def test_where_no_run_has_a_public_score_the_private_one_decides() -> None:
    """All test rows may be private."""
    frame = frame_of(run("s001", math.nan, score=3.0), run("s001", math.nan, score=2.0))
    assert row_of(frame, "s001")["score"] == 2.0


def test_the_last_run_is_literally_the_last() -> None:
    """It counts though an earlier one was better, and if it failed, its student has no rank."""
    frame = frame_of(
        run("s001", 90.0, submitted=later(1)),
        run("s001", 10.0),
        run("s002", 20.0),
        run("s002", 1.0, submitted=later(1), **FAILED),
    )
    assert ranks(frame, selection="last") == {"s001": 1, "s002": None}
    assert row_of(frame, "s001", "last")["score"] == 90.0
    assert row_of(frame, "s001")["score"] == 10.0


def test_of_two_runs_at_once_the_one_recorded_later_is_the_last() -> None:
    """Times that are equal to the microsecond leave no doubt."""
    assert row_of(frame_of(run("s001", 10.0), run("s001", 90.0)), "s001", "last")["score"] == 90.0


def test_the_run_that_was_chosen_last_counts_and_without_a_choice_the_best() -> None:
    """A student may change their mind; who never chose has the best."""
    frame = frame_of(
        run("s001", 10.0),
        run("s001", 30.0, chosen=5.0),
        run("s001", 20.0, chosen=2.0),
        run("s002", 40.0),
        run("s002", 35.0),
    )
    board = rank(frame, "min", "chosen", NOW)
    assert list(board["score"]) == [30.0, 35.0]


def test_a_chosen_run_that_failed_gives_way_to_the_best() -> None:
    """A choice ranks what can be ranked."""
    frame = frame_of(run("s001", 10.0), run("s001", 1.0, chosen=1.0, **FAILED))
    assert row_of(frame, "s001", "chosen")["score"] == 10.0


def test_the_last_score_is_that_of_the_last_run_whichever_counts() -> None:
    """Who got worse since sees both; after a failure there is none."""
    frame = frame_of(run("s001", 10.0), run("s001", 30.0, submitted=later(1)))
    assert row_of(frame, "s001")["last"] == 30.0
    failed = frame_of(run("s001", 10.0), run("s001", 1.0, submitted=later(1), **FAILED))
    assert pd.isna(row_of(failed, "s001")["last"])


@pytest.mark.parametrize(("direction", "better"), [("min", 40.0), ("max", 60.0)])
def test_progress_is_how_much_better_the_score_is_than_a_week_ago(direction: str, better: float) -> None:
    """A week ago to the microsecond counts as a week ago; better is positive in both directions."""
    frame = frame_of(
        run("s001", 50.0, submitted=later(-7)),
        run("s001", better, submitted=later(-6.9)),
        run("s002", 50.0, submitted=later(-7) + timedelta(microseconds=1)),
        run("s003", 50.0, submitted=later(-30)),
    )
    progress = rank(frame, direction, "best", NOW).set_index("name")["progress"]
    assert progress["s001"] == 10.0
    assert math.isnan(progress["s002"])
    assert progress["s003"] == 0.0


def test_progress_of_the_last_run_may_be_a_step_back() -> None:
    """It compares the run that counts with the run that counted."""
    frame = frame_of(run("s001", 50.0, submitted=later(-8)), run("s001", 60.0, submitted=later(-1)))
    assert row_of(frame, "s001", "last")["progress"] == -10.0


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("rows", [[], [run("s001", 1.0, **FAILED)]])
def test_a_board_on_which_nobody_has_a_rank_has_its_columns(
    rows: list[dict[str, Any]], selection: str
) -> None:
    """Their types are those of any other board."""
    some = rank(frame_of(run("s001", 1.0)), "min", selection, NOW)
    board = rank(frame_of(*rows), "min", selection, NOW)
    assert list(board.columns) == list(COLUMNS)
    assert list(board.drop(columns="name").dtypes) == list(some.drop(columns="name").dtypes)
    assert board["rank"].isna().all()


@given(RUNS, st.sampled_from(["min", "max"]))
def test_ranks_are_those_of_a_plain_sort(rows: list[dict[str, Any]], direction: str) -> None:
    """Each student's best run, best first; a rank is one more than the number of those who are before."""
    sign = 1 if direction == "min" else -1
    counting = {student: best(rows, student, sign) for student in {row["student"] for row in rows}}
    keys = {
        student: (sign * found["score"], found["runtime_seconds"], found["submitted"])
        for student, found in counting.items()
        if found is not None
    }
    expected: dict[str, int | None] = dict.fromkeys(counting)
    for student, key in keys.items():
        expected[student] = 1 + sum(other < key for other in keys.values())
    assert ranks(frame_of(*rows), direction) == expected


def best(rows: Sequence[dict[str, Any]], student: str, sign: int) -> dict[str, Any] | None:
    """The student's best run, found plainly; of equals, the one recorded first."""
    finished = [
        row for row in rows if row["student"] == student and row["finished"] and row["score"] is not None
    ]
    return min(
        finished,
        key=lambda row: (sign * row["public"], row["runtime_seconds"], row["submitted"]),
        default=None,
    )


@pytest.mark.parametrize(("direction", "order"), [("min", "boss a simple b"), ("max", "b simple a boss")])
def test_tiers_stand_between_those_who_reached_them_and_those_who_did_not(direction: str, order: str) -> None:
    """A tier that is reached exactly is below the student, as its check passes too."""
    scores = (100.0, 100.1) if direction == "min" else (50.0, 100.0)
    ranked = rank(frame_of(run("a", scores[0]), run("b", scores[1])), direction, "best", NOW)
    board = with_baselines(ranked.assign(group=""), TIERS, direction)
    assert " ".join(board["name"]) == order
    assert list(board["rank"].notna()) == [name in {"a", "b"} for name in board["name"]]
    assert list(board["kind"] == "baseline") == [name in {"boss", "simple"} for name in board["name"]]


def test_those_without_a_rank_stand_last_in_the_order_of_the_names_that_are_shown() -> None:
    """Behind aliases, any other order would tell whose they are."""
    ranked = rank(frame_of(run("s001", 1.0, **FAILED), run("s002", 1.0, **FAILED)), "min", "best", NOW)
    shown = ranked.assign(group="", name=["anon-z", "anon-b"])
    board = with_baselines(shown, TIERS, "min")
    assert list(board["name"]) == ["boss", "simple", "anon-b", "anon-z"]


@given(RUNS, st.sampled_from(["min", "max"]))
def test_history_says_how_the_class_stood_at_the_end_of_each_day(
    rows: list[dict[str, Any]], direction: str
) -> None:
    """A row for each day, also where nothing was handed in; each student with the best run so far."""
    sign = 1 if direction == "min" else -1
    found = history(frame_of(*rows), direction)
    scored = [row for row in rows if row["finished"] and row["score"] is not None]
    if not scored:
        assert found.empty
        return
    days = [microseconds(row["submitted"]) // DAY * DAY for row in scored]
    assert list(found["time"]) == list(
        pd.to_datetime(range(min(days), max(days) + 1, DAY), unit="us", utc=True)
    )
    for time, best_of_all, median, students in found.itertuples(index=False, name=None):
        so_far = [row for row in rows if row["submitted"] < time + timedelta(days=1)]
        bests = [best(so_far, student, sign) for student in ("s001", "s002", "s003")]
        scores = [row["score"] for row in bests if row is not None]
        assert best_of_all == sign * min(sign * score for score in scores)
        assert median == statistics.median(scores)
        assert students == len(scores)


@given(RUNS)
def test_history_ends_where_the_board_stands(rows: list[dict[str, Any]]) -> None:
    """The charts of a page and its table tell the same."""
    frame = frame_of(*rows)
    scores = select(frame, "min", "best")["score"]
    if not scores.empty:
        last = history(frame, "min").iloc[-1]
        assert (last["best"], last["median"]) == (scores.min(), scores.median())


def test_history_of_decades_has_two_hundred_days_at_most() -> None:
    """A file's time may be that of an archive without one; the last day is there all the same."""
    frame = frame_of(run("s001", 9.0, submitted=later(-20_000)), run("s002", 7.0))
    found = history(frame, "min")
    assert 100 < len(found) <= 200
    assert list(found["students"].iloc[[0, -1]]) == [1, 2]
    assert found["best"].iloc[-1] == 7.0
