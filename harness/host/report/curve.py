"""Draws the learning curve in plain text: training loss as a light line, validation loss as a heavy one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.host.report.figures import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG_SCALE_FROM = 10.0
FEWEST_EPOCHS = 2
# Beyond this a sum of many values may not be finite any more.
_LARGEST = 1e200
_ASCII = str.maketrans("┤└─┴┬◆", "|+-++*")


@dataclass(frozen=True, slots=True)
class Pen:
    """The characters of one line: level, upright, and the corners, named by where they lead."""

    level: str
    upright: str
    from_left_up: str
    from_left_down: str
    down_to_right: str
    up_to_right: str

    @property
    def signs(self) -> str:
        """All of its characters."""
        return (
            self.level
            + self.upright
            + self.from_left_up
            + self.from_left_down
            + self.down_to_right
            + self.up_to_right
        )


TRAIN_PEN = Pen("─", "│", "╯", "╮", "╰", "╭")
VALID_PEN = Pen("━", "┃", "┛", "┓", "┗", "┏")
TRAIN_DOTS = Pen(*"......")
VALID_DOTS = Pen(*"oooooo")
BEST = "◆"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps a loss to a row; row 0 is the top."""

    low: float
    high: float
    rows: int
    logarithmic: bool

    def row(self, level: float) -> int:
        """The row of a level, i.e. of a loss or, on a logarithmic scale, of its logarithm."""
        if self.rows == 1:
            return 0
        return round((self.high - level) / (self.high - self.low) * (self.rows - 1))

    def level(self, loss: float) -> float:
        """Where a loss lies on this scale."""
        return math.log10(loss) if self.logarithmic else loss

    def label(self, row: int) -> str:
        """The loss that a row stands for."""
        share = row / (self.rows - 1) if self.rows > 1 else 0.0
        level = self.high - share * (self.high - self.low)
        return figure(10.0**level if self.logarithmic else level)


def learning_curve(
    train: Sequence[float | None],
    valid: Sequence[float | None],
    best_epoch: int | None,
    *,
    size: tuple[int, int] = (76, 9),
    unicode: bool = True,
) -> list[str]:
    """The two losses over the epochs as lines of text, with a legend above and the epochs below.

    The scale is logarithmic where the losses span more than a factor of 10. Values that are None, NaN or
    infinite are gaps. Without two epochs that have a finite loss there is nothing to draw.

    Args:
        train: the training loss of each epoch.
        valid: the validation loss of each epoch.
        best_epoch: counted from 1; marked on the line of the validation loss.
        size: the most columns that a line has, and the rows of the plot itself.
        unicode: False draws with ASCII alone.

    Returns:
        The lines, none longer than ``size[0]``; no line where there is nothing to draw.
    """
    train, valid = _finite(train), _finite(valid)
    epochs = max(len(train), len(valid))
    known = [loss for loss in (*train, *valid) if loss is not None]
    if max(sum(loss is not None for loss in losses) for losses in (train, valid)) < FEWEST_EPOCHS:
        return []
    scale = _scale(known, size[1])
    labels = [
        scale.label(row) if row in {0, scale.rows // 2, scale.rows - 1} else "" for row in range(scale.rows)
    ]
    margin = max(map(len, labels))
    columns = size[0] - margin - 2
    canvas = [[" "] * columns for _ in range(scale.rows)]
    for losses, line, dots in ((train, TRAIN_PEN, TRAIN_DOTS), (valid, VALID_PEN, VALID_DOTS)):
        _draw(canvas, _levels(losses, scale, epochs, columns), scale, line if unicode else dots)
    best = _mark_best(canvas, valid, best_epoch, scale, epochs)
    plot = [f"{label:>{margin}} ┤{''.join(row)}".rstrip() for label, row in zip(labels, canvas, strict=True)]
    lines = [
        _legend(scale, best is not None, size[0], unicode=unicode),
        *plot,
        *_axis(epochs, columns, margin, best),
    ]
    return lines if unicode else [line.translate(_ASCII) for line in lines]


def _finite(losses: Sequence[float | None]) -> list[float | None]:
    return [loss if loss is not None and abs(loss) < _LARGEST else None for loss in losses]


def _scale(known: list[float], rows: int) -> Scale:
    low, high = min(known), max(known)
    logarithmic = low > 0 and high / low > LOG_SCALE_FROM
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    # Losses that differ in the last bits only are one level line.
    flat = math.isclose(low, high, rel_tol=1e-6, abs_tol=1e-300)
    return Scale(low, high, 1 if flat else rows, logarithmic)


def _column(epoch: int, epochs: int, columns: int) -> int:
    """The column of an epoch that is counted from 0."""
    return round(epoch * (columns - 1) / (epochs - 1))


def _levels(losses: list[float | None], scale: Scale, epochs: int, columns: int) -> list[float | None]:
    """One level a column: the mean of the epochs that share it, a straight line between epochs apart."""
    shared: dict[int, list[float]] = {}
    missing: set[int] = set()
    for epoch, loss in enumerate(losses):
        column = _column(epoch, epochs, columns)
        if loss is None:
            missing.add(column)
        else:
            shared.setdefault(column, []).append(scale.level(loss))
    means = {column: sum(levels) / len(levels) for column, levels in shared.items()}
    filled: list[float | None] = [means.get(column) for column in range(columns)]
    for left, right in pairwise(sorted(means.keys() | missing)):
        if left in means and right in means:
            slope = (means[right] - means[left]) / (right - left)
            filled[left + 1 : right] = [means[left] + slope * step for step in range(1, right - left)]
    return filled


def _draw(canvas: list[list[str]], levels: list[float | None], scale: Scale, pen: Pen) -> None:
    rows = [None if level is None else scale.row(level) for level in levels]
    previous: int | None = None
    for column, row in enumerate(rows):
        if row is not None:
            _draw_step(canvas, column, (row if previous is None else previous, row), pen)
        previous = row


def _draw_step(canvas: list[list[str]], column: int, step: tuple[int, int], pen: Pen) -> None:
    """One column of a line that comes in on the first row and goes out on the second."""
    before, after = step
    if before == after:
        canvas[after][column] = pen.level
        return
    falls = after > before
    canvas[before][column] = pen.from_left_down if falls else pen.from_left_up
    canvas[after][column] = pen.down_to_right if falls else pen.up_to_right
    for row in range(min(step) + 1, max(step)):
        canvas[row][column] = pen.upright


def _mark_best(
    canvas: list[list[str]], valid: list[float | None], best_epoch: int | None, scale: Scale, epochs: int
) -> tuple[int, int] | None:
    """Mark the best epoch where it has a loss; return it with its column."""
    if best_epoch is None or not 1 <= best_epoch <= len(valid):
        return None
    loss = valid[best_epoch - 1]
    if loss is None:
        return None
    column = _column(best_epoch - 1, epochs, len(canvas[0]))
    canvas[scale.row(scale.level(loss))][column] = BEST
    return best_epoch, column


def _legend(scale: Scale, has_best: bool, columns: int, *, unicode: bool) -> str:  # noqa: FBT001  # private, named at its one call
    train, valid = (TRAIN_PEN, VALID_PEN) if unicode else (TRAIN_DOTS, VALID_DOTS)
    parts = [f"{train.level * 3} train", f"{valid.level * 3} valid"]
    parts += [f"{BEST} best epoch"] if has_best else []
    parts += ["log scale"] if scale.logarithmic else []
    while len("   ".join(parts)) > columns:
        parts.pop()
    return "   ".join(parts)


def _axis(epochs: int, columns: int, margin: int, best: tuple[int, int] | None) -> list[str]:
    rule = ["─"] * columns
    first, last = "1", f"{epochs} epochs"
    ticks = [" "] * columns
    ticks[: len(first)] = first
    ticks[columns - len(last) :] = last
    if best is not None:
        epoch, column = best
        rule[column] = "┴"
        label = str(epoch)
        start = column - len(label) // 2
        room = ticks[max(start - 2, 0) : start + len(label) + 2]
        if start > 0 and room == [" "] * (len(label) + 4):
            ticks[start : start + len(label)] = label
    indent = " " * (margin + 1)
    return [f"{indent}└{''.join(rule)}", f"{indent} {''.join(ticks)}".rstrip()]
