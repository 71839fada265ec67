"""The three kinds of charts on the pages, each an SVG element: a histogram with marks, points, and lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.host.report.html.drawing import (
    BOLD,
    CHARACTER,
    LINE,
    Drawing,
    density,
    dots,
    margin,
    point,
    polyline,
)
from harness.host.report.html.scales import Scale, label, multiples, nice_step, spread_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

NARROW = (340.0, 240.0)
WIDE = (720.0, 280.0)
_FEWEST_BINS, _MOST_BINS = 6, 30
_FOOT = 38.0  # the labels under a plot
_Y_TICKS, _COUNT_TICKS = 7, 5
_CROWD = 500  # points from which dots would cover each other
_CROWDS = (1, 2, 4)  # how many points a place has from which it is darker
_FLAG = 4.0  # between a mark's line and its label
_DIAMOND = 5.5


@dataclass(frozen=True, slots=True)
class Caption:
    """What a chart says of itself.

    Args:
        name: makes its ids; unique on the page.
        title: what it shows, in a few words.
        description: the same in a sentence, for those who do not see it.
        x: what the axis to the right is, with its unit.
        y: what the axis upwards is.
    """

    name: str
    title: str
    description: str
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: its label, the class that draws it, and y for each x, None where there is none."""

    label: str
    css: str
    ys: Sequence[float | None]


def histogram(
    values: NDArray[np.float64],
    limits: tuple[float, float],
    marks: Sequence[tuple[str, float]],
    text: Caption,
) -> Markup:
    """How many of the values lie in each of some bins of equal and round width.

    Args:
        values: finite; at least one.
        limits: values outside are not drawn; at least one is within.
        marks: the name and the value of each line that is drawn over the bins.
        text: its title, description and axes.
    """
    drawing = Drawing(text.name, NARROW, text.title, text.description)
    drawn = values[(values >= limits[0]) & (values <= limits[1])]
    edges, counts = _bins(drawn, [value for _, value in marks])
    step = max(1, round(nice_step(int(counts.max()), _COUNT_TICKS)))
    most = math.ceil(int(counts.max()) / step) * step
    heights = [(count, label(count, step)) for count in multiples(0, most, step)]
    left = margin(name for _, name in heights)
    right = _room_for_flags(marks, (edges[0], edges[-1]), left)
    across = Scale(edges[0], edges[-1], left, right)
    flags = _flags(marks, across)
    top = LINE * (1.6 + max((row for *_, row in flags), default=-1) + 1)
    bottom = drawing.height - _FOOT
    up = Scale(0, most, bottom, top)
    _axes(drawing, across, up, heights, across.ticks(5), text)
    _bars(drawing, edges, counts, (across, up))
    for name, x, row in flags:
        y = top - LINE * (row + 0.6)
        drawing.line((x, y - LINE / 2), (x, bottom), "mark")
        drawing.text((x + _FLAG, y), name, "mark-label")
    return drawing.svg()


def scatter(points: NDArray[np.float64], across: Scale, up: Scale, text: Caption) -> Markup:
    """A dot for each point, one for all that share a pixel; many points are small dots, darker in crowds.

    Args:
        points: x and y in two columns, positive where a scale is logarithmic.
        across: the scale of x, whatever its coordinates.
        up: that of y.
        text: its title, description and axes.
    """
    drawing = Drawing(text.name, NARROW, text.title, text.description)
    across, up, heights = _frame(drawing, across, up, drawing.width - 8)
    _axes(drawing, across, up, heights, across.ticks(5), text)
    places = [(across.at(x), up.at(y)) for x, y in points]
    if len(places) < _CROWD:
        drawing.path(dots(places), "dots")
    else:
        for number, path in enumerate(density(places, _CROWDS), 1):
            drawing.path(path, f"crowd crowd-{number}")
    return drawing.svg()


def lines(  # noqa: PLR0913  # a chart has this many parts, and each is named where it is drawn
    xs: Sequence[float],
    series: Sequence[Series],
    scales: tuple[Scale, Scale],
    text: Caption,
    *,
    x_ticks: Sequence[tuple[float, str]],
    size: tuple[float, float] = NARROW,
    mark: tuple[float, float, str] | None = None,
) -> Markup:
    """Lines over the same xs, each with its label at its end.

    Args:
        xs: rising.
        series: the lines; the last one is drawn on top.
        scales: of x and of y, whatever their coordinates.
        text: its title, description and axes.
        x_ticks: value and label of each tick of the axis to the right.
        size: of the whole chart.
        mark: x, y and label of one point that is marked with a diamond.
    """
    drawing = Drawing(text.name, size, text.title, text.description)
    end = drawing.width - max(len(line.label) for line in series) * BOLD - 8
    across, up, heights = _frame(drawing, *scales, end)
    _axes(drawing, across, up, heights, x_ticks, text)
    places = [
        [None if y is None else (across.at(x), up.at(y)) for x, y in zip(xs, line.ys, strict=True)]
        for line in series
    ]
    for line, points in zip(series, places, strict=True):
        drawing.path(polyline(points), line.css)
    ends = [next((at[1] for at in reversed(points) if at is not None), up.start) for points in places]
    for line, y in zip(series, spread_out(ends, LINE, up.end, up.start), strict=True):
        drawing.text((end + 6, y + 4), line.label, f"end {line.css}-label")
    if mark is not None:
        _diamond(drawing, (across.at(mark[0]), up.at(mark[1])), mark[2], (across, up), places)
    return drawing.svg()


def _frame(
    drawing: Drawing, across: Scale, up: Scale, right: float
) -> tuple[Scale, Scale, list[tuple[float, str]]]:
    """Both scales with their coordinates on the drawing, and the labels of the one upwards."""
    heights = up.ticks(_Y_TICKS)
    left = margin(name for _, name in heights)
    bottom = drawing.height - _FOOT
    return (
        across.between(left, right),
        up.between(bottom, LINE * 1.8),
        heights,
    )


def _axes(
    drawing: Drawing,
    across: Scale,
    up: Scale,
    heights: Sequence[tuple[float, str]],
    x_ticks: Sequence[tuple[float, str]],
    text: Caption,
) -> None:
    drawing.text((0, LINE - 3), text.y, "label")
    drawing.y_axis(heights, up, (across.start, across.end))
    drawing.x_axis(x_ticks, across, up.start)
    drawing.text((across.end, drawing.height - 4), text.x, "label", "end")


def _diamond(
    drawing: Drawing,
    at: tuple[float, float],
    name: str,
    scales: tuple[Scale, Scale],
    lines: Sequence[Sequence[tuple[float, float] | None]],
) -> None:
    """A diamond at a point, and its label above or below, at the nearest place where no line runs."""
    x, y = at
    across, up = scales
    corners = [(x, y - _DIAMOND), (x + _DIAMOND, y), (x, y + _DIAMOND), (x - _DIAMOND, y)]
    drawing.path("M" + "L".join(point(*corner) for corner in corners) + "Z", "best")
    half = len(name) * CHARACTER / 2
    middle = min(max(x, across.start + half), across.end - half)
    under = np.linspace(middle - half, middle + half, 12)
    crossing = np.concatenate([_heights(line, under) for line in lines])
    nearest = y - _DIAMOND - LINE * 0.8
    rooms = [y + sign * (_DIAMOND + LINE * 0.8 + step) for step in range(0, 60, 4) for sign in (-1, 1)]
    free = [
        room
        for room in rooms
        if up.end < room < up.start - LINE / 2 and not (abs(crossing - room) < LINE * 0.7).any()
    ]
    drawing.text((middle, (free[0] if free else nearest) + 4), name, "best-label", "middle")


def _heights(line: Sequence[tuple[float, float] | None], xs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a line runs at some xs."""
    known = np.array([place for place in line if place is not None]).reshape(-1, 2)
    return np.interp(xs, known[:, 0], known[:, 1]) if len(known) else np.empty(0)


def _bins(drawn: NDArray[np.float64], others: Sequence[float]) -> tuple[list[float], NDArray[np.int64]]:
    """The round edges of bins, and how many values each has; a value on an edge is in the bin above it.

    The bins reach to the other values too.
    """
    low, high = min([float(drawn.min()), *others]), max([float(drawn.max()), *others])
    if math.isclose(low, high, rel_tol=1e-6, abs_tol=1e-300):
        room = abs(low) * 0.05 or 0.5
        low, high = low - room, high + room
    bins = min(max(math.ceil(2 * math.sqrt(len(drawn))), _FEWEST_BINS), _MOST_BINS)
    step = nice_step(high - low, bins)
    edges = multiples(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step)
    # A value that should be an edge may be a bit under it in binary.
    places = np.floor((drawn - edges[0]) / step + 1e-6).astype(np.int64).clip(0, len(edges) - 2)
    return edges, np.bincount(places, minlength=len(edges) - 1)


def _bars(
    drawing: Drawing, edges: Sequence[float], counts: NDArray[np.int64], scales: tuple[Scale, Scale]
) -> None:
    """A bar for each bin that has values, at least one unit wide and high, with its count for the pointer."""
    across, up = scales
    width = edges[1] - edges[0]
    for start, end, count in zip(edges, edges[1:], counts, strict=False):
        if count:
            left, top = across.at(start) + 0.5, min(up.at(count), up.start - 1)
            size = (max(across.at(end) - left - 0.5, 1.0), up.start - top)
            drawing.bar(left, top, size, f"{label(start, width)} to {label(end, width)}: {count}")


def _room_for_flags(marks: Sequence[tuple[str, float]], limits: tuple[float, float], left: float) -> float:
    """Where the plot ends to the right, so that the label of each mark is on the drawing."""
    width = NARROW[0]
    right = width - 8
    for name, value in marks:
        share = (value - limits[0]) / (limits[1] - limits[0])
        room = width - len(name) * BOLD - _FLAG - left
        if share > 0:
            right = min(right, left + room / share)
    return right


def _flags(marks: Sequence[tuple[str, float]], across: Scale) -> list[tuple[str, float, int]]:
    """Name, x and row of each mark's label, counted from the plot upwards.

    A label stands to the right of its line. One that reaches over the lines of others stands above their
    labels, where their lines have ended: so no label touches a label or a line.
    """
    placed: list[tuple[str, float, int]] = []
    for name, value in sorted(marks, key=lambda mark: mark[1], reverse=True):
        x = across.at(value)
        end = x + _FLAG + (len(name) + 1) * BOLD
        row = max((row + 1 for _, other, row in placed if other < end), default=0)
        placed.append((name, x, row))
    return placed
