"""Writes SVG: a canvas with axes, lines, dots and labels, which the page's style sheet colours by class.

All text that it is given is escaped. Coordinates have one decimal: a chart tells no more than its pixels.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.host.report.html.scales import Scale

CHARACTER = 7.4  # the width of one in the labels of a wide typeface, in units of the canvas
BOLD = 8.2  # likewise in bold ones
LINE = 14.0  # the height of a line of labels
_TICK_ROOM = 6.0


class Drawing:
    """One chart.

    Args:
        name: makes the ids of the chart's parts; unique on the page.
        size: width and height, in the units of all coordinates.
        title: what is shown, in a few words.
        description: the same in a sentence, for those who do not see it.
    """

    def __init__(self, name: str, size: tuple[float, float], title: str, description: str) -> None:
        self.width, self.height = size
        self._parts: list[str] = []
        self._head = Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{name}-title {name}-desc">'
            '<title id="{name}-title">{}</title><desc id="{name}-desc">{}</desc>'
        ).format(number(self.width), number(self.height), title, description, name=name)

    def line(self, start: tuple[float, float], end: tuple[float, float], css: str) -> None:
        """A straight line."""
        self.path(f"M{point(*start)}L{point(*end)}", css)

    def path(self, steps: str, css: str) -> None:
        """A path in the commands of SVG; nothing where there are none."""
        if steps:
            self._parts.append(f'<path class="{escape(css)}" d="{escape(steps)}"/>')

    def bar(self, left: float, top: float, size: tuple[float, float], tip: str) -> None:
        """A bar of a width and a height, with what the pointer is told of it."""
        self._parts.append(
            f'<rect class="bar" x="{number(left)}" y="{number(top)}" width="{number(size[0])}" '
            f'height="{number(size[1])}"><title>{escape(tip)}</title></rect>'
        )

    def text(self, at: tuple[float, float], label: str, css: str, anchor: str = "start") -> None:
        """A label whose baseline starts, ends or has its middle at a point."""
        self._parts.append(
            f'<text class="{escape(css)}" x="{number(at[0])}" y="{number(at[1])}" '
            f'text-anchor="{escape(anchor)}">{escape(label)}</text>'
        )

    def svg(self) -> Markup:
        """The whole element."""
        return Markup("{}{}</svg>").format(self._head, Markup("".join(self._parts)))  # noqa: S704  # escaped above

    def y_axis(self, ticks: Sequence[tuple[float, str]], scale: Scale, span: tuple[float, float]) -> None:
        """Labels to the left of the plot and a faint line through it for each.

        Args:
            ticks: value and label.
            scale: of the values.
            span: the plot's left and right end.
        """
        left, right = span
        for value, label in ticks:
            y = scale.at(value)
            self.line((left, y), (right, y), "grid")
            self.text((left - _TICK_ROOM, y + 4), label, "tick", "end")

    def x_axis(self, ticks: Iterable[tuple[float, str]], scale: Scale, bottom: float) -> None:
        """The line under the plot and the labels below it; a label that would touch the last is left out."""
        self.line((scale.start, bottom), (scale.end, bottom), "axis")
        free_from = 0.0
        for value, label in ticks:
            half = len(label) * CHARACTER / 2
            middle = scale.at(value)
            self.line((middle, bottom), (middle, bottom + 4), "axis")
            middle = min(middle, self.width - half)
            if middle - half >= free_from:
                self.text((middle, bottom + 4 + LINE), label, "tick", "middle")
                free_from = middle + half + CHARACTER


def margin(labels: Iterable[str]) -> float:
    """The room that labels to the left of a plot need."""
    return max(map(len, labels), default=1) * CHARACTER + _TICK_ROOM + 2


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def point(x: float, y: float) -> str:
    """A point in a path."""
    return f"{number(x)} {number(y)}"


def polyline(points: Sequence[tuple[float, float] | None]) -> str:
    """The path through points of rising x, with a gap at each None.

    Of the points that share a column of pixels, the first, the lowest, the highest and the last are kept, so
    that the path has no more steps than the chart can show. A point alone becomes a dot (with round caps).
    """
    steps = []
    for run in _runs(points):
        first, *rest = [point(*place) for place in _thinned(run)]
        steps.append(f"M{first}" + ("".join(f"L{place}" for place in rest) if rest else "h0"))
    return "".join(steps)


def dots(points: Iterable[tuple[float, float]]) -> str:
    """A path of dots (with round caps), one for each pixel that has points."""
    return _dots(dict.fromkeys((round(x), round(y)) for x, y in points))


def density(points: Iterable[tuple[float, float]], least: Sequence[int]) -> list[str]:
    """Paths of dots (with square caps) on a grid of two pixels, places with more points in the later ones.

    Args:
        points: x and y.
        least: how many points a place of each path has, rising from 1.
    """
    counts = Counter((2 * round(x / 2), 2 * round(y / 2)) for x, y in points)
    ends = [*least[1:], math.inf]
    return [
        _dots(place for place, count in counts.items() if start <= count < end)
        for start, end in zip(least, ends, strict=True)
    ]


def _dots(places: Iterable[tuple[int, int]]) -> str:
    return "".join(f"M{x} {y}h0" for x, y in places)


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for place in points:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [run for run in runs if run]


def _thinned(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    columns: dict[int, list[tuple[float, float]]] = {}
    for place in run:
        columns.setdefault(round(place[0]), []).append(place)
    kept = []
    for places in columns.values():
        ends = (0, len(places) - 1)
        heights = [y for _, y in places]
        extremes = (heights.index(min(heights)), heights.index(max(heights)))
        kept += [places[index] for index in sorted({*ends, *extremes})]
    return kept
