"""Charts are read back from their SVG: what is drawn, where, and that labels keep clear of each other."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.report.html.charts import NARROW, Caption, Series, histogram, lines, scatter
from harness.host.report.html.drawing import BOLD, LINE, density, dots, polyline
from harness.host.report.html.scales import Scale, fitting
from tests.parsed_page import Element, parsed

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT = NARROW
TEXT = Caption("scores", "Scores & <more>", "What is <drawn>.", "rmse", "students")


def read(chart: Markup) -> Element:
    """The SVG element of a chart."""
    return parsed(str(chart)).one("svg")


def numbers(text: str) -> list[float]:
    """The figures in a path."""
    return [float(figure) for figure in re.findall(r"-?\d+(?:\.\d+)?", text)]


def paths(chart: Element, css: str) -> list[list[float]]:
    """The figures of each path of a class."""
    return [numbers(path.attributes["d"]) for path in chart.all("path", class_=css)]


def a_histogram(values: list[float], marks: dict[str, float] | None = None) -> Element:
    """The histogram of some values, with limits that hold all."""
    everything = [*values, *(marks or {}).values()]
    limits = (min(everything), max(everything))
    return read(histogram(np.array(values, dtype=np.float64), limits, list((marks or {}).items()), TEXT))


def test_a_chart_says_what_it_is() -> None:
    """Whoever does not see it is told its title and description; text in them is no markup."""
    chart = a_histogram([1.0, 2.0])
    assert chart.attributes["role"] == "img"
    titles = [title.text for title in chart.children if isinstance(title, Element) and title.tag == "title"]
    assert titles == ["Scores & <more>"]
    assert chart.one("desc").text == "What is <drawn>."
    assert chart.attributes["aria-labelledby"] == "scores-title scores-desc"


def test_each_value_is_in_one_bar() -> None:
    """The bars' counts add up to the values; a value on an edge is in the bar above it."""
    chart = a_histogram([10, 10, 12, 19.9, 20, 25, 30])
    tips = {bar.one("title").text for bar in chart.all("rect")}
    assert tips == {"10 to 15: 3", "15 to 20: 1", "20 to 25: 1", "25 to 30: 2"}


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200), st.lists(st.floats(0.001, 1e6), max_size=4))
def test_a_histogram_loses_nothing(values: list[float], thresholds: list[float]) -> None:
    """Whatever the values and the tiers are, all values are counted and all bars are on the drawing."""
    marks = {f"tier{number}": threshold for number, threshold in enumerate(thresholds)}
    chart = a_histogram(values, marks)
    assert sum(int(bar.one("title").text.rpartition(" ")[2]) for bar in chart.all("rect")) == len(values)
    for bar in chart.all("rect"):
        left, top, width, height = (float(bar.attributes[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= left <= left + width <= WIDTH + 1
        assert 0 <= top <= top + height <= HEIGHT


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 43.82, 1e6])
def test_one_value_is_one_bar(value: float) -> None:
    """A class of one student, or one in which all have the same score, has a histogram too."""
    assert len(a_histogram([value]).all("rect")) == 1
    assert len(a_histogram([value] * 9).all("rect")) == 1


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_labels_of_tiers_touch_neither_labels_nor_lines(thresholds: list[float]) -> None:
    """However close the tiers are, each label can be read, and none leaves the drawing."""
    chart = a_histogram([0.0, 50.0, 100.0], {f"tier {number}": at for number, at in enumerate(thresholds)})
    labels = chart.all("text", class_="mark-label")
    boxes = []
    for label in labels:
        left, base = float(label.attributes["x"]), float(label.attributes["y"])
        boxes.append((left, left + len(label.text) * BOLD, base - LINE * 0.75, base))
    for left, right, top, _ in boxes:
        assert left >= 0
        assert right <= WIDTH + 0.1
        assert top >= 0
    for one, other in itertools.combinations(boxes, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
    for x, top, _, bottom in paths(chart, "mark"):
        for left, right, above, below in boxes:
            assert not (left < x < right and top < below - 1 and bottom > above)


def test_bars_stand_on_the_axis_and_grow_with_their_counts() -> None:
    """Twice the students make a bar of twice the height."""
    bars = {
        bar.one("title").text.split(":")[0]: float(bar.attributes["height"])
        for bar in a_histogram([1, 2, 2, 6]).all("rect")
    }
    assert bars["2 to 3"] == pytest.approx(2 * bars["1 to 2"], abs=0.2)


def test_points_that_share_a_pixel_are_one_dot() -> None:
    """What would be drawn over is left out."""
    assert dots([(1.2, 3.3), (0.9, 2.6), (7, 7)]) == "M1 3h0M7 7h0"


def test_thousands_of_points_become_distinct_places() -> None:
    """A chart of 100,000 students stays small; places that many of them share are darker."""
    points = np.random.default_rng(0).normal(50, 10, (100_000, 2))
    chart = scatter(points, fitting(points[:, 0]), fitting(points[:, 1]), TEXT)
    drawn = re.findall(r"M(\d+) (\d+)h0", str(chart))
    assert len(drawn) == len(set(drawn))
    assert len(drawn) <= WIDTH * HEIGHT / 4
    assert len(chart) < 150_000
    crowds = [len(re.findall("M", path.attributes["d"])) for path in read(chart).all("path")[-3:]]
    assert sum(crowds) == len(drawn)
    assert min(crowds) > 0


def test_places_with_more_points_are_in_later_paths() -> None:
    """One point, two, and three or more are told apart."""
    points = [(2.0, 2.0), *[(4.0, 4.0)] * 2, *[(6.1, 6.0)] * 9]
    assert density(points, (1, 2, 3)) == ["M2 2h0", "M4 4h0", "M6 6h0"]


def test_a_point_stands_where_its_values_are() -> None:
    """The corners of the data are the corners of the plot."""
    points = np.array([[0.0, 0.0], [10.0, 100.0]])
    chart = read(scatter(points, Scale(0, 10), Scale(0, 100), TEXT))
    left, bottom, _, right, top, _ = paths(chart, "dots")[0]
    axis = paths(chart, "axis")[0]
    assert [left, right] == pytest.approx([axis[0], axis[2]], abs=1)
    assert bottom == pytest.approx(axis[1], abs=1)
    assert top < bottom


def test_a_line_is_thinned_to_its_pixels_and_keeps_its_peaks() -> None:
    """A hundred thousand epochs have a few steps a column of pixels, the highest and the lowest kept."""
    ys = 100 + np.sin(np.arange(100_000) / 7) * 50
    ys[54_321] = 500.0
    steps = polyline([(x / 1000, y) for x, y in enumerate(ys)])
    assert steps.count("L") <= 4 * 101
    assert max(numbers(steps)[1::2]) == 500


def test_a_line_has_gaps_where_nothing_is_known() -> None:
    """What is not known is not drawn over; a value between two gaps is a dot."""
    steps = polyline([(0, 1), (1, 2), None, (3, 4), None, None, (6, 7), (7, 8)])
    assert steps == "M0 1L1 2M3 4h0M6 7L7 8"
    assert polyline([None, None]) == ""


def test_a_chart_of_lines_labels_their_ends_apart() -> None:
    """Lines that end at the same height have labels that do not touch, on the drawing."""
    series = [Series("train", "second", [3, 1.0]), Series("valid", "first", [4, 1.0])]
    chart = read(lines([1, 2], series, (Scale(1, 2), fitting([1, 4])), TEXT, x_ticks=[(1, "1"), (2, "2")]))
    ends = [
        (float(label.attributes["x"]), float(label.attributes["y"]), label.text)
        for label in chart.all("text")
        if label.attributes["class"].startswith("end")
    ]
    assert {name for *_, name in ends} == {"train", "valid"}
    assert abs(ends[0][1] - ends[1][1]) >= LINE - 0.1
    assert all(x + len(name) * BOLD <= WIDTH for x, _, name in ends)


def test_the_best_epoch_is_marked_where_its_loss_is() -> None:
    """The diamond's middle is on the line, and its label keeps clear of both lines."""
    falling, rising = [9.0, 5, 3, 2, 1], [9.0, 5, 3, 4, 6]
    series = [Series("train", "second", falling), Series("valid", "first", rising)]
    chart = read(
        lines(
            [1, 2, 3, 4, 5],
            series,
            (Scale(1, 5), fitting([1, 9])),
            TEXT,
            x_ticks=[],
            mark=(3, 3, "best epoch 3"),
        )
    )
    diamond = paths(chart, "best")[0]
    on_line = paths(chart, "first")[0][4:6]
    assert [np.mean(diamond[0::2]), np.mean(diamond[1::2])] == pytest.approx(on_line, abs=0.2)
    label = chart.one("text", class_="best-label")
    middle, y = float(label.attributes["x"]), float(label.attributes["y"]) - 4
    for css in ("first", "second"):
        line = paths(chart, css)[0]
        heights = np.interp(np.linspace(middle - 40, middle + 40, 30), line[0::2], line[1::2])
        assert np.abs(heights - y).min() > 4


def test_coordinates_are_no_finer_than_a_tenth() -> None:
    """A chart tells no more of a score than its pixels do."""
    points = np.random.default_rng(0).normal(50, 10, (50, 2))
    chart = str(scatter(points, fitting(points[:, 0]), fitting(points[:, 1]), TEXT))
    chart += str(a_histogram(list(points[:, 0]), {"boss": 41.23456}))
    assert not re.search(r"\.\d\d", chart)
