"""The leaderboard of a store: which runs are on it, as of when, and what students are called."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.errors import UsageError
from harness.host.leaderboard.naming import alias
from harness.host.leaderboard.runs import read_runs
from harness.host.roster import Roster, read_roster
from harness.host.store.store import Store
from harness.protocol import Outcome
from tests.boards import KEY, assignment_in, board_of, placed, reference_in
from tests.stored import NOON, Made, later, store_in

if TYPE_CHECKING:
    from harness.host.assignment import Assignment
    from harness.host.store.place import Place


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    """An assignment with two tiers, at 100 and at 50."""
    return assignment_in(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return store_in(tmp_path)


def scored(store: Store, assignment: Assignment, **wanted: Any) -> dict[str, float | None]:
    """The score of each student; None: none."""
    rows = board_of(store, assignment, **wanted).rows
    rows = rows[rows["kind"] == "submission"]
    return {
        name: None if score != score else score  # noqa: PLR0124  NaN
        for name, score in zip(rows["name"], rows["score"], strict=True)
    }


def roster_of(folder: Path, *lines: str) -> Roster:
    """A roster with these lines of student, group and alias."""
    path = folder / "roster.csv"
    path.write_text("\n".join(["student,submission,group,alias", *lines]) + "\n")
    return read_roster(path, UTC)


def test_a_board_ranks_the_runs_in_the_store_with_the_tiers_among_them(
    store: Store, assignment: Assignment
) -> None:
    """Each student once, with all attempts."""
    for made in (Made("s001", public=80.0), Made("s001", public=70.0, model="b"), Made("s002", public=75.0)):
        made.into(store)
    assert placed(board_of(store, assignment)) == [
        (None, "boss", None),
        (1, "s001", 2),
        (2, "s002", 1),
        (None, "simple", None),
    ]


def test_a_board_is_the_same_in_each_kind_of_database(place: Place, assignment: Assignment) -> None:
    """Replaced runs, choices, failures and other metrics among them; figures to the last bit."""
    store = Store(place)
    store.choose(Made("s001", public=0.1 + 0.2, private=9.0, model="a", submitted=later(-8)).into(store))
    Made("s001", public=0.5, private=8.0, model="a", submitted=later(-8)).into(store, again=True)
    Made("s001", public=0.1, private=0.7 / 0.1, model="b", submitted=later(-1)).into(store)
    Made("s002", outcome=Outcome.DIVERGED, public=None, private=None).into(store)
    Made("s003", metric="mae").into(store)
    for split, chosen, best in (("public", 0.5, 0.1), ("private", 8.0, 0.7 / 0.1)):
        wanted: dict[str, Any] = {"store": store, "assignment": assignment, "split": split}
        assert scored(**wanted, selection="chosen") == {"s001": chosen, "s002": None}
        assert scored(**wanted) == {"s001": best, "s002": None}
        assert placed(board_of(**wanted))[0] == (1, "s001", 2)


def test_what_is_read_is_what_was_scored_to_the_last_bit(store: Store, assignment: Assignment) -> None:
    """Rounding is for those who show it; the runtime is that of training and prediction."""
    Made(public=0.1 + 0.2, private=0.7 / 0.1, seconds=1.75).into(store)
    for split, score in (("public", 0.1 + 0.2), ("private", 0.7 / 0.1)):
        frame = read_runs(store, assignment, split).frame
        assert list(frame["score"]) == [score]
        assert list(frame["public"]) == [0.1 + 0.2]
        assert list(frame["runtime_seconds"]) == [1.75]


def test_failed_runs_are_attempts_without_a_rank(store: Store, assignment: Assignment) -> None:
    """A figure that a failed run has all the same does not count."""
    Made("s001", public=70.0).into(store)
    Made("s001", public=1.0, model="b", outcome=Outcome.TIME_LIMIT).into(store)
    Made("s002", public=1.0, outcome=Outcome.INVALID_PREDICTIONS).into(store)
    Made("s003", public=None, private=None).into(store)
    assert placed(board_of(store, assignment))[1:] == [
        (1, "s001", 2),
        (None, "simple", None),
        (None, "s002", 1),
        (None, "s003", 1),
    ]


@pytest.mark.parametrize(
    ("selection", "public", "private"),
    [("best", 60.0, 90.0), ("last", 80.0, 80.0), ("chosen", 70.0, 60.0)],
)
def test_the_run_that_counts_is_the_same_on_both_splits(
    store: Store, assignment: Assignment, selection: str, public: float, private: float
) -> None:
    """The best is so by its public score; the last and the chosen one need none."""
    Made("s001", public=60.0, private=90.0, model="best", submitted=later(-3)).into(store)
    store.choose(Made("s001", public=70.0, private=60.0, model="chosen", submitted=later(-2)).into(store))
    Made("s001", public=80.0, private=80.0, model="last", submitted=later(-1)).into(store)
    assert scored(store, assignment, selection=selection) == {"s001": public}
    assert scored(store, assignment, selection=selection, split="private") == {"s001": private}


@pytest.mark.parametrize("split", ["public", "private"])
def test_a_run_that_was_made_again_takes_the_place_of_the_old_one(
    store: Store, assignment: Assignment, split: str
) -> None:
    """Though it is worse, and slower: the old one neither counts nor is an attempt; other hand-ins stay."""
    Made("s001", public=60.0, private=60.0, seconds=1).into(store)
    Made("s001", public=90.0, private=90.0, model="other", submitted=later(-1)).into(store)
    for score in (62.0, 65.0):
        Made("s001", public=score, private=score, seconds=9).into(store, again=True)
    board = board_of(store, assignment, split=split)
    assert placed(board)[1] == (1, "s001", 2)
    assert scored(store, assignment, split=split) == {"s001": 65.0}
    assert list(board.rows["runtime_seconds"].dropna()) == [9.0]


def test_the_same_files_handed_in_again_are_another_attempt(store: Store, assignment: Assignment) -> None:
    """Who goes back to an earlier version has handed in once more, and it is their last."""
    for day, model in enumerate("aba"):
        Made("s001", public=60.0 + day, model=model, submitted=later(day - 3)).into(store)
    assert placed(board_of(store, assignment))[1] == (1, "s001", 3)
    assert scored(store, assignment, selection="last") == {"s001": 62.0}


def test_a_choice_follows_the_run_that_was_made_again(store: Store, assignment: Assignment) -> None:
    """However often that happens; a later choice of another run goes before it."""
    store.choose(Made("s001", public=70.0, model="a", submitted=later(-2)).into(store))
    other = Made("s001", public=60.0, model="b", submitted=later(-1)).into(store)
    for score in (71.0, 72.0):
        Made("s001", public=score, model="a", submitted=later(-2)).into(store, again=True)
    assert scored(store, assignment, selection="chosen") == {"s001": 72.0}
    store.choose(other)
    assert scored(store, assignment, selection="chosen") == {"s001": 60.0}


def test_the_newest_score_of_a_run_counts(store: Store, assignment: Assignment) -> None:
    """Once it was scored again, the score before is history."""
    made = Made("s001", public=60.0)
    made.into(store)
    number = int(read_runs(store, assignment, "public").frame["number"].iloc[0])
    store.record_scores({number: Made("s001", public=95.0, private=96.0).report()}, "c" * 64)
    assert scored(store, assignment) == {"s001": 95.0}
    assert scored(store, assignment, split="private") == {"s001": 96.0}


def test_a_board_of_the_past_has_what_was_handed_in_by_then(store: Store, assignment: Assignment) -> None:
    """Runs, attempts and progress are those of that moment, which itself still counts."""
    Made("s001", public=90.0, submitted=later(-10)).into(store)
    Made("s001", public=80.0, model="b", submitted=NOON).into(store)
    Made("s001", public=70.0, model="c", submitted=NOON + timedelta(microseconds=1)).into(store)
    Made("s002", public=60.0, submitted=later(1)).into(store)
    board = board_of(store, assignment, as_of=NOON)
    assert placed(board) == [(None, "boss", None), (1, "s001", 2), (None, "simple", None)]
    assert list(board.rows["progress"].dropna()) == [10.0]
    assert board.made_at == NOON
    assert board.history()["best"].iloc[-1] == 80.0
    assert placed(board_of(store, assignment, as_of=later(2)))[1] == (1, "s002", 1)


def test_a_board_of_now_has_all_that_is_there(store: Store, assignment: Assignment) -> None:
    """Also what was handed in by a clock that goes fast."""
    Made("s001", public=70.0, submitted=later(30_000)).into(store)
    assert placed(board_of(store, assignment, as_of=None))[1] == (1, "s001", 1)


def test_other_assignments_are_not_on_the_board(store: Store, assignment: Assignment) -> None:
    """A store has a course's results."""
    Made("s001", public=70.0).into(store)
    Made("s002", public=60.0, assignment="hw2-digits").into(store)
    assert scored(store, assignment) == {"s001": 70.0}


def test_runs_by_another_metric_are_left_out_with_a_note(store: Store, assignment: Assignment) -> None:
    """Scores of a metric that the assignment no longer has are not compared with those it has."""
    Made("s001", public=70.0).into(store)
    Made("s002", public=1.0, metric="mae").into(store)
    notes: list[str] = []
    assert placed(board_of(store, assignment, note=notes.append)) == [
        (None, "boss", None),
        (1, "s001", 1),
        (None, "simple", None),
    ]
    (note,) = notes
    assert (
        note == "runs left out: 1, what was not scored by rmse; to score it again: harness rescore hw1-bikes"
    )


def test_runs_without_walls_are_named(store: Store, assignment: Assignment) -> None:
    """Figures that nothing but the submission vouches for are pointed out, and counted."""
    Made("s001", isolated=False).into(store)
    Made("s002").into(store)
    notes: list[str] = []
    board_of(store, assignment, note=notes.append)
    assert notes == ["runs without isolation: 1; their scores and runtimes are only claims"]


def test_a_replaced_run_is_not_noted_either(store: Store, assignment: Assignment) -> None:
    """What was run again behind walls needs no remark."""
    Made("s001", isolated=False, metric="mae").into(store)
    Made("s001").into(store, again=True)
    notes: list[str] = []
    board_of(store, assignment, note=notes.append)
    assert notes == []


@pytest.mark.parametrize("wanted", [{}, {"as_of": later(-1)}])
def test_a_board_without_runs_is_wrong_use(
    store: Store, assignment: Assignment, wanted: dict[str, Any]
) -> None:
    """The message names the assignment, the store, and the command that grades."""
    if wanted:
        Made("s001").into(store)
    with pytest.raises(UsageError, match=r"no run of hw1-bikes in .*runs\.sqlite") as caught:
        board_of(store, assignment, **wanted)
    assert "harness batch FOLDER --assignment hw1-bikes" in caught.value.fix


def test_aliases_stay_the_same_and_tell_nothing_without_the_key() -> None:
    """They depend on the student and the key alone; they are HMAC-SHA256's, checked against its value."""
    assert alias("s001", KEY) == "anon-kswsdv7s"
    others = {alias("s002", KEY), alias("S001", KEY), alias("s001", KEY[::-1]), alias("", KEY)}
    assert len(others | {alias("s001", KEY)}) == 5


def test_a_board_of_aliases_has_no_name(store: Store, assignment: Assignment, tmp_path: Path) -> None:
    """Students without a rank stand in the order of their aliases, which says nothing of their names."""
    students = [f"s{number:03}" for number in range(40)]
    for student in students:
        Made(student, outcome=Outcome.DIVERGED).into(store)
    board = board_of(store, assignment, reference=reference_in(tmp_path), aliases=True)
    shown = list(board.rows["name"][board.rows["kind"] == "submission"])
    assert shown == sorted(alias(student, KEY) for student in students)
    assert list(board.rows["name"][board.rows["kind"] == "baseline"]) == ["boss", "simple"]


def test_an_alias_that_was_chosen_goes_before_the_made_up_one(
    store: Store, assignment: Assignment, tmp_path: Path
) -> None:
    """Only where aliases are asked for; groups are those of the roster in both cases, and tiers have none."""
    Made("s001", public=60.0).into(store)
    Made("S002", public=70.0).into(store)
    Made("s003", public=80.0).into(store)
    roster = roster_of(tmp_path, "s001,,Section A,Owl", "s002,,Section B,", "s009,,Section C,Fox")
    board = board_of(store, assignment, reference=reference_in(tmp_path), roster=roster, aliases=True)
    names = ["boss", "Owl", alias("S002", KEY), alias("s003", KEY), "simple"]
    assert list(board.rows["name"]) == names
    assert list(board.rows["group"]) == ["", "Section A", "Section B", "", ""]
    real = board_of(store, assignment, roster=roster)
    assert list(real.rows["name"]) == ["boss", "s001", "S002", "s003", "simple"]
    assert list(real.rows["group"]) == list(board.rows["group"])


def test_aliases_without_a_reference_are_wrong_use(store: Store, assignment: Assignment) -> None:
    """Their key is there; names are never shown instead."""
    Made("s001").into(store)
    with pytest.raises(UsageError, match="aliases are made with the key in") as caught:
        board_of(store, assignment, reference=Path("/nowhere/reference"), aliases=True)
    assert caught.value.fix == "name the reference: --reference DIR"
