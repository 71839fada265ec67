"""The learning curve is drawn within its bounds, whatever the losses are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.report.curve import learning_curve

LOSSES = st.lists(st.none() | st.floats(), max_size=200)


def test_a_small_curve_looks_as_intended() -> None:
    """Light line for training, heavy one for validation, the best epoch marked on both line and axis."""
    assert learning_curve([4.0, 3.0, 2.0, 1.0], [5.0, 3.5, 4.0, 4.5], 2, size=(40, 5)) == [
        "─── train   ━━━ valid   ◆ best epoch",
        "5.000 ┤━━━━┓                           ┏",
        "      ┤────┗━━━━━━┓┏━━━━━━━━━━━━━━━━━━━┛",
        "3.000 ┤      ╰────◆┛────╮",
        "      ┤                 ╰─────────╮",
        "1.000 ┤                           ╰─────",
        "      └───────────┴─────────────────────",
        "       1          2             4 epochs",
    ]


def test_ascii_is_enough() -> None:
    """Without Unicode the lines differ by their characters still."""
    lines = learning_curve([4.0, 3.0, 2.0, 1.0], [5.0, 3.5, 4.0, 4.5], 2, size=(40, 5), unicode=False)
    assert all(line.isascii() for line in lines)
    assert lines[0] == "... train   ooo valid   * best epoch"
    assert lines[-2] == "      +-----------+---------------------"
    assert "*" in lines[3]


@pytest.mark.parametrize("losses", [[], [0.5], [math.nan] * 9, [None, 0.5, None]])
def test_nothing_is_drawn_of_less_than_two_epochs(losses: list[float | None]) -> None:
    """A single point is no curve: the figures say it already."""
    assert learning_curve(losses, losses, 1) == []


def test_two_epochs_are_a_line() -> None:
    """The shortest curve goes from one end to the other."""
    lines = learning_curve([1.0, 0.5], [1.2, 0.6], 2)
    assert lines[1].startswith(" 1.200 ┤━")
    assert lines[-3].endswith("◆") or lines[-4].endswith("◆")


def test_constant_losses_take_one_row() -> None:
    """A level line needs no plot of nine rows."""
    lines = learning_curve([0.5] * 20, [0.5] * 20, 1)
    assert len(lines) == 4
    assert lines[1].startswith("0.5000 ┤◆━━━")


def test_a_thousand_epochs_fit() -> None:
    """More epochs than columns share them, and the last stands at the right end."""
    lines = learning_curve(
        [1 / epoch for epoch in range(1, 1001)], [2 / epoch for epoch in range(1, 1001)], 1000
    )
    assert max(map(len, lines)) == 76
    assert lines[0].endswith("log scale")
    assert lines[-1].endswith("1000 epochs")
    assert sum("◆" in line for line in lines[1:]) == 1


def test_a_gap_is_left_where_a_loss_is_not_finite() -> None:
    """Diverged epochs are blank: the line neither runs on through them nor breaks the drawing."""
    valid: list[float | None] = [1.0, 1.0, math.inf, None, math.nan, 1.0, 1.0]
    row = next(line for line in learning_curve([2.0] * 7, valid, None) if line.startswith("1.000"))
    drawn = row.removeprefix("1.000 ┤")
    assert len(drawn) == 69
    assert drawn.strip("━").strip(" ") == ""
    assert drawn.count(" ") > 30


@pytest.mark.parametrize("best", [None, 0, -1, 5, 10**9])
def test_a_best_epoch_that_is_not_there_is_not_marked(best: int | None) -> None:
    """A claim about the best epoch is not believed."""
    assert not any("◆" in line for line in learning_curve([4, 3, 2, 1], [4, 3, 2, 1], best))


@given(LOSSES, LOSSES, st.none() | st.integers(), st.booleans())
def test_any_claims_stay_within_the_bounds(
    train: list[float | None],
    valid: list[float | None],
    best: int | None,
    unicode: bool,  # noqa: FBT001  # drawn
) -> None:
    """Whatever losses are claimed, there are at most twelve lines of at most 76 columns."""
    lines = learning_curve(train, valid, best, unicode=unicode)
    assert len(lines) <= 12
    assert all(len(line) <= 76 for line in lines)
    assert unicode or all(line.isascii() for line in lines)
