"""The learning curve on a run's page: both losses over the epochs, the best epoch marked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from harness.host.report.curve import FEWEST_EPOCHS
from harness.host.report.figures import figure
from harness.host.report.html import charts
from harness.host.report.html.charts import NARROW, WIDE, Caption, Series
from harness.host.report.html.scales import LARGEST, Scale, fitting_log, multiples, nice_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from harness.host.report.schema import FeedbackLoss

_EPOCH_LABELS = 6


@dataclass(frozen=True, slots=True)
class LossCurve:
    """The chart in two widths, None where there are too few losses for one, and what it shows in words."""

    wide: Markup | None
    narrow: Markup | None
    summary: str


def loss_curve(loss: FeedbackLoss) -> LossCurve | None:
    """Both losses over the epochs; None where there was no epoch.

    The scale is logarithmic where the losses span more than a factor of ten. Losses that are null are gaps.
    """
    epochs = max(len(loss.train), len(loss.valid))
    if not epochs:
        return None
    pairs = list(zip_longest(map(_finite, loss.train), map(_finite, loss.valid)))
    train, valid = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    best = loss.best_epoch if loss.best_epoch is not None and 1 <= loss.best_epoch <= epochs else None
    summary = _summary(train, valid, best)
    if max(sum(value is not None for value in values) for values in (train, valid)) < FEWEST_EPOCHS:
        return LossCurve(None, None, summary)
    wide, narrow = (
        _chart(train, valid, best, name, size)
        for name, size in (("loss-wide", WIDE), ("loss-narrow", NARROW))
    )
    return LossCurve(wide, narrow, summary)


def _chart(
    train: Sequence[float | None],
    valid: Sequence[float | None],
    best: int | None,
    name: str,
    size: tuple[float, float],
) -> Markup:
    epochs = len(train)
    up = fitting_log([value for value in (*train, *valid) if value is not None])
    at_best = None if best is None else valid[best - 1]
    return charts.lines(
        [float(epoch) for epoch in range(1, epochs + 1)],
        [Series("train", "second", train), Series("valid", "first", valid)],
        (Scale(1, max(epochs, FEWEST_EPOCHS)), up),
        Caption(
            name,
            "Learning curve",
            f"The loss on the training and on the validation rows over {epochs} epochs.",
            x="epoch",
            y=f"loss{', log scale' if up.logarithmic else ''}",
        ),
        x_ticks=_ticks(epochs),
        size=size,
        mark=None if best is None or at_best is None else (best, at_best, f"best epoch {best}"),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < LARGEST else None


def _summary(train: Sequence[float | None], valid: Sequence[float | None], best: int | None) -> str:
    epoch = best or len(train)
    losses = ", ".join(
        f"{name} {figure(values[epoch - 1])}"
        for name, values in (("train", train), ("valid", valid))
        if values[epoch - 1] is not None
    )
    return f"{'Best' if best else 'Last'} epoch {epoch} of {len(train)}: {losses or 'no finite loss'}."


def _ticks(epochs: int) -> list[tuple[float, str]]:
    """The first epoch, and round ones that keep their distance from it."""
    step = max(1, round(nice_step(epochs, _EPOCH_LABELS)))
    later = [epoch for epoch in multiples(2, epochs, step) if epoch > step / 2]
    return [(epoch, f"{epoch:.0f}") for epoch in (1.0, *later)]
