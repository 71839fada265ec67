"""The charts of a leaderboard: how the scores are spread, what they took, and how the class got there.

Figures are rounded before they become coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from harness.host.report.figures import duration, significant
from harness.host.report.html import charts
from harness.host.report.html.board_table import shown, shown_name
from harness.host.report.html.board_view import BASELINE
from harness.host.report.html.charts import Caption, Series
from harness.host.report.html.scales import (
    LARGEST,
    Scale,
    day_step,
    fences,
    figure_label,
    fitting,
    fitting_log,
)

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from markupsafe import Markup
    from numpy.typing import NDArray

    from harness.host.report.html.board_view import BoardView

_DATE_LABELS = 5
_FEWEST_FOR_QUARTILES = 4
_TIED = "\N{NO-BREAK SPACE}"  # between a figure and its unit or its name
_MINUTE, _HOUR = 60, 3600
_UNITS = ((3 * _HOUR, "hours", _HOUR), (5 * _MINUTE, "minutes", _MINUTE), (0, "seconds", 1))

_rounded = np.vectorize(significant, otypes=[np.float64])


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart, with what it shows in words."""

    title: str
    chart: Markup
    summary: str


def board_charts(view: BoardView) -> list[Panel]:
    """The charts that there is something to draw for; none where nobody has a score."""
    board = view.board[view.board["kind"] != BASELINE]
    exact = board[["runtime_seconds", "score"]].to_numpy(np.float64)
    exact = exact[np.abs(exact[:, 1]) < LARGEST]
    if not len(exact):
        return []
    panels = [_distribution(view, exact[:, 1], len(board))]
    figures = _rounded(exact[np.isfinite(exact[:, 0])])
    if len(figures):
        panels.append(_against_runtime(view, figures))
    history = view.history[view.history[["best", "median"]].abs().lt(LARGEST).any(axis=1)]
    if not history.empty:
        panels.append(_over_time(view, history.reset_index(drop=True)))
    return panels


def _distribution(view: BoardView, exact: NDArray[np.float64], students: int) -> Panel:
    scores = _rounded(exact)
    tiers = _tiers(view)
    thresholds = [significant(threshold) for _, threshold in tiers]
    low, high = fences(scores)
    limits = (min([low, *thresholds]), max([high, *thresholds]))
    least, first, median, third, most = map(shown, np.quantile(scores, (0, 0.25, 0.5, 0.75, 1)))
    best = least if view.direction == "min" else most
    summary = [f"{_of(len(scores), students)} a score. The best is {best}, the median {median}."]
    if len(scores) >= _FEWEST_FOR_QUARTILES:
        summary.append(f"Half of them lie between {first} and {third}.")
    description = f"Histogram of the students' {view.metric} from {least} to {most}."
    if tiers:
        description += f" Tiers: {', '.join(f'{name} at {shown(threshold)}' for name, threshold in tiers)}."
        summary.append(f"Reached: {', '.join(_reached(exact, tiers, view.direction))}.")
    title = "Scores"
    text = Caption("scores", title, description, x=view.metric, y="students")
    chart = charts.histogram(
        scores, limits, [(name, significant(threshold)) for name, threshold in tiers], text
    )
    return Panel(title, chart, " ".join(summary + _left_out(scores, limits)))


def _tiers(view: BoardView) -> list[tuple[str, float]]:
    """Name and threshold of each tier, the easiest first."""
    baselines = view.board[view.board["kind"] == BASELINE]
    tiers = [
        (shown_name(name), float(threshold))
        for name, threshold in zip(baselines["name"], baselines["score"], strict=True)
        if abs(threshold) < LARGEST
    ]
    return sorted(tiers, key=lambda tier: tier[1], reverse=view.direction == "min")


def _of(scored: int, students: int) -> str:
    if students == 1:
        return "The one student has"
    return (
        f"All {students:,} students have"
        if scored == students
        else f"{scored:,} of {students:,} students have"
    )


def _reached(exact: NDArray[np.float64], tiers: list[tuple[str, float]], direction: str) -> list[str]:
    """How many reached each tier, by the scores that the checks compare."""
    sign = 1 if direction == "min" else -1
    return [
        f"{name}{_TIED}{np.count_nonzero(sign * exact <= sign * threshold):,}" for name, threshold in tiers
    ]


def _left_out(scores: NDArray[np.float64], limits: tuple[float, float]) -> list[str]:
    below, above = int(np.count_nonzero(scores < limits[0])), int(np.count_nonzero(scores > limits[1]))
    sides = [
        f"{count:,} {'score' if count == 1 else 'scores'} {side}"
        for count, side in (
            (below, f"below {figure_label(limits[0])}"),
            (above, f"above {figure_label(limits[1])}"),
        )
        if count
    ]
    return [f"Not drawn: {', '.join(sides)}."] if sides else []


def _against_runtime(view: BoardView, figures: NDArray[np.float64]) -> Panel:
    limits = fences(figures[:, 1])
    seconds, scores = figures.T
    drawn = figures[(scores >= limits[0]) & (scores <= limits[1])]
    unit, size = next((unit, size) for least, unit, size in _UNITS if np.median(drawn[:, 0]) >= least)
    drawn = drawn / (size, 1)
    least, middle, most = (duration(value).replace(" ", _TIED) for value in np.quantile(seconds, (0, 0.5, 1)))
    across = fitting_log(drawn[:, 0])
    title = "Score and runtime"
    kind = f", runtime on a logarithmic scale in {unit}" if across.logarithmic else ""
    description = f"A dot for each student's {view.metric} over the runtime, {len(drawn):,} in all{kind}."
    return Panel(
        title,
        charts.scatter(
            drawn,
            across,
            fitting(drawn[:, 1]),
            Caption(
                "runtime",
                title,
                description,
                x=f"runtime, {unit}{', log scale' if across.logarithmic else ''}",
                y=view.metric,
            ),
        ),
        " ".join([f"Runs took {least} to {most}, half of them under {middle}.", *_left_out(scores, limits)]),
    )


def _over_time(view: BoardView, history: pd.DataFrame) -> Panel:
    days = [moment.to_pydatetime() for moment in history["time"]]
    best, median = (
        [significant(value) if abs(value) < LARGEST else None for value in history[name]]
        for name in ("best", "median")
    )
    xs = [(day - days[0]) / timedelta(days=1) for day in days]
    known = [value for value in (*best, *median) if value is not None]
    up = fitting_log(known)
    across = Scale(0, xs[-1]) if xs[-1] else Scale(-0.5, 0.5)
    title = "The class over time"
    description = f"The best and the median {view.metric} of the class, day by day."
    chart = charts.lines(
        xs,
        [Series("median", "second", median), Series("best", "first", best)],
        (across, up),
        Caption(
            "time", title, description, x="", y=f"{view.metric}{', log scale' if up.logarithmic else ''}"
        ),
        x_ticks=_dates(days[0], round(xs[-1])),
    )
    return Panel(title, chart, _course(days, best, median, int(history["students"].iloc[-1])))


def _dates(first: datetime, days: int) -> list[tuple[float, str]]:
    step = day_step(days, _DATE_LABELS - 1)
    dates = [(float(offset), first + timedelta(days=offset)) for offset in range(0, days + 1, step)]
    return [(offset, f"{date.day} {date:%b}") for offset, date in dates]


def _course(days: list[datetime], best: list[float | None], median: list[float | None], students: int) -> str:
    parts = []
    for name, values in (("best", best), ("median", median)):
        known = [value for value in values if value is not None]
        if known:
            ends = [shown(known[0]), shown(known[-1])]
            parts.append(
                f"the {name} went from {' to '.join(ends)}"
                if ends[0] != ends[1]
                else f"the {name} is {ends[0]}"
            )
    dates = [f"{day.day} {day:%B %Y}" for day in (days[0], days[-1])]
    span = f"On {dates[0]}" if dates[0] == dates[1] else f"From {dates[0]} to {dates[1]}"
    counted = "1 student has" if students == 1 else f"{students:,} students have"
    return f"{span}, {' and '.join(parts)}. By then {counted} a score."
