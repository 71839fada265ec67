"""The arithmetic of the benchmarks, and that their contestants do the same work."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.host.data import validation_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a module of ``benchmarks/`` as its scripts do, and forgets all of them afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize(
    ("rounds", "median"), [((3.0,), 3.0), ((9.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 2.0, 100.0), 3.0)]
)
def test_the_median_is_the_middle_of_all_rounds(
    script: Callable[[str], Any], rounds: tuple[float, ...], median: float
) -> None:
    """One slow round does not move the figure, and the order of the rounds does not matter."""
    assert script("timings").Timing(rounds).median == median


def test_a_ratio_over_one_is_slower(script: Callable[[str], Any]) -> None:
    """The ratio is of the medians, in multiples of the baseline."""
    timing = script("timings").Timing
    assert timing((6.0, 3.0, 90.0)).ratio_to(timing((2.0, 1.0, 4.0))) == 3.0
    assert timing((1.0,)).ratio_to(timing((4.0,))) == 0.25


def test_a_timing_without_rounds_is_refused(script: Callable[[str], Any]) -> None:
    """There is no median of nothing."""
    with pytest.raises(ValueError, match="at least one round"):
        script("timings").Timing(())


def test_there_is_no_ratio_to_a_baseline_of_no_time(script: Callable[[str], Any]) -> None:
    """A division by zero is said in words."""
    timing = script("timings").Timing
    with pytest.raises(ValueError, match="no ratio"):
        timing((1.0,)).ratio_to(timing((0.0,)))


def test_each_contestant_runs_once_a_round_and_first_in_turn(script: Callable[[str], Any]) -> None:
    """Every round has all of them, and the first place goes round."""
    turns = script("timings").turns(["a", "b", "c"], 4)
    assert [order[0] for order in turns] == ["a", "b", "c", "a"]
    assert all(sorted(order) == ["a", "b", "c"] for order in turns)


@pytest.mark.parametrize(("loss", "same"), [(0.5, True), (0.5000000001, False)])
def test_a_contestant_with_other_losses_is_pointed_out(
    script: Callable[[str], Any], loss: float, *, same: bool
) -> None:
    """Times are comparable only where every loss of every epoch is equal, to the last bit."""
    sample, summarise = script("contestants").Sample, script("run").summarise
    plain, other = sample(4.0, 2.0, 0.5, ((0.5,), (0.6,))), sample(6.0, 1.0, 0.5, ((loss,), (0.6,)))
    rows = {row["name"]: row for row in summarise({"plain": [plain], "docker": [other]})}
    assert rows["plain"]["same_losses"] is True
    assert rows["docker"]["same_losses"] is same
    assert rows["docker"]["ratio_to_plain"] == 1.5
    assert rows["docker"]["rest_seconds"]["median"] == 4.5


def test_without_the_plain_script_there_are_times_and_no_ratios(script: Callable[[str], Any]) -> None:
    """``--only docker`` still says how long it took."""
    one = script("contestants").Sample(6.0, 1.0, 0.5, ((0.5,), (0.6,)))
    (row,) = script("run").summarise({"docker": [one]})
    assert row["wall_seconds"]["median"] == 6.0
    assert row["ratio_to_plain"] is None
    assert row["same_losses"] is None


def test_the_plain_script_trains_on_the_same_rows(script: Callable[[str], Any]) -> None:
    """Its validation rows are the harness's, and every other row is trained on, once."""
    train_rows, valid_rows = script("plain_hw1").split_rows(101, 0.2, 7)
    assert np.array_equal(valid_rows, validation_rows(101, 0.2, 7))
    assert sorted([*train_rows.tolist(), *valid_rows.tolist()]) == list(range(101))
