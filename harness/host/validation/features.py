"""Looks for features that give the target away, that say nothing, or that differ between the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.association import BEYOND_CHANCE, as_groups, strongest
from harness.host.validation.findings import Finding, passed, problem, some, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment
    from harness.host.data import Data

    Floats = NDArray[np.float64]

THE_TARGET, NEARLY = 0.98, 0.9  # of what there is to know of the target, from one feature
SUM = 0.999  # of the target's variance, from a sum of features
BINS = 50
ROWS_A_BIN = 20


def find_target_leaks(assignment: Assignment, data: Data) -> Iterator[Finding]:
    """Features that equal the target, nearly say it, or add up to it."""
    classes = assignment.data.classes if assignment.kind.has_classes else None
    targets = data.train_targets.astype(np.float64)
    told = {
        name: share_told(data.train_inputs[:, place], targets, classes)
        for place, name in enumerate(data.features)
    }
    given = [f"{name} ({part:.0%})".replace("%", " %") for name, part in told.items() if part >= THE_TARGET]
    nearly = [
        f"{name} ({part:.0%})".replace("%", " %")
        for name, part in told.items()
        if NEARLY <= part < THE_TARGET
    ]
    if given:
        yield problem(
            "target leakage",
            f"a feature says the target: {some(given)}",
            "leave it out in build.py, unless it is known before what is to be predicted",
        )
    if nearly:
        yield warning(
            "target leakage",
            f"a feature nearly says the target: {some(nearly)}",
            "see that it is no consequence of it",
        )
    if classes is None and not given and len(targets) > 2 * len(told) and _sum_told(data, targets) >= SUM:
        yield problem(
            "target leakage",
            "a weighted sum of features is the target",
            "leave its parts out in build.py, as one leaves out the counts that a total is made of",
        )
    elif not given and not nearly:
        best = max(told, key=lambda name: told[name])
        yield passed(
            "target leakage",
            f"no feature says it; the most is said by {best}, {told[best]:.0%}".replace("%", " %"),
        )


def share_told(values: NDArray[Any], targets: Floats, classes: int | None) -> float:
    """What one feature says of the target by itself, from 0 to 1, by the mean or the commonest class in bins.

    Args:
        values: (N,) of the feature.
        targets: (N,).
        classes: how many there are; None: targets are numbers.
    """
    levels = np.unique(values)
    bins = max(2, min(BINS, len(targets) // ROWS_A_BIN))
    if len(levels) > bins:
        levels = np.unique(np.quantile(values, np.arange(bins) / bins))
    place = np.searchsorted(levels, values, side="right") - 1
    if classes is None:
        counts = np.bincount(place, minlength=len(levels))
        means = np.bincount(place, targets, len(levels)) / np.maximum(counts, 1)
        left = float(((targets - means[place]) ** 2).sum()) / max(len(targets) - len(levels), 1)
        return max(0.0, 1 - left / (float(targets.var(ddof=1)) or 1.0))
    table = np.zeros((len(levels), classes))
    np.add.at(table, (place, targets.astype(np.int64)), 1)
    commonest = float(np.bincount(targets.astype(np.int64)).max()) / len(targets)
    right = float(table.max(axis=1).sum()) / len(targets)
    return (right - commonest) / (1 - commonest) if commonest < 1 else 0.0


def _sum_told(data: Data, targets: Floats) -> float:
    design = np.column_stack([data.train_inputs.astype(np.float64), np.ones(len(targets))])
    weights = np.linalg.lstsq(design, targets, rcond=None)[0]
    return 1 - float(((targets - design @ weights) ** 2).sum()) / (
        float(((targets - targets.mean()) ** 2).sum()) or 1.0
    )


def find_idle_features(data: Data) -> Iterator[Finding]:
    """Features that are the same in all training rows."""
    idle = [name for place, name in enumerate(data.features) if np.ptp(data.train_inputs[:, place]) == 0]
    if idle:
        yield warning(
            "features", f"the same in all training rows: {some(idle)}", "leave them out in build.py"
        )
    else:
        yield passed("features", f"{len(data.features)} features, and all of them vary")


def find_shift(assignment: Assignment, data: Data, answers: Floats) -> Iterator[Finding]:
    """Features and targets that are distributed otherwise in the test file than in the training file."""
    file = as_groups(np.repeat([0, 1], [len(data.train_inputs), len(data.test_inputs)]))
    if file is None:
        return
    columns = np.concatenate([data.train_inputs, data.test_inputs])
    moved = [
        name
        for place, name in enumerate(data.features)
        if strongest(columns[:, place], [file]) > BEYOND_CHANCE
    ]
    targets = np.concatenate([data.train_targets.astype(np.float64), answers])
    if strongest(targets, [file], named=assignment.kind.has_classes) > BEYOND_CHANCE:
        moved.insert(0, f"the target {assignment.data.target}")
    if moved:
        yield warning(
            "train and test",
            f"distributed otherwise in the test rows: {some(moved)}",
            "draw both from the same rows at random, or say in the handout that they differ and how",
        )
    else:
        yield passed("train and test", "features and targets are distributed alike in both files")
