"""Whether the test file itself tells the answers: by the order of its rows, by ids, or by a feature.

A feature may say much of the answers, as long as it says as much of the training targets: that is what is to
be learnt. One that says more of the test rows was made from their answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.association import (
    BEYOND_CHANCE,
    Facet,
    as_groups,
    as_numbers,
    determines,
    facets,
    strongest,
)
from harness.host.release.sequences import shuffled
from harness.host.release.spelling import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.host.data import Data
    from harness.host.release.hidden import Hidden, Secret

CYCLES = range(2, 17)  # rows that were dealt out in turn
PARTS = 10  # of a file, where classes may lie together
NEARLY_ALL = 0.998  # of the answers' variance: what a feature may not say, whatever it says of the targets
MORE = 0.1  # of it: what a feature may say of the answers more than of the targets
STANDARD_ERRORS = 6.0


def told_by_order(hidden: Hidden, data: Data) -> Iterator[str]:
    """What the order of the test rows and their ids tell, in words without any of it."""
    numbers = np.array([number_of(identity) for identity in data.test_ids.tolist()])
    clues = {"their order": np.arange(len(numbers), dtype=np.float64)}
    if np.isfinite(numbers).all():
        clues["their ids"] = numbers
    else:
        clues["their ids"] = np.argsort(np.argsort(data.test_ids)).astype(np.float64)
    for name, clue in clues.items():
        for secret in hidden.secrets:
            if any(strongest(view, secret.facets) > BEYOND_CHANCE for view in _views(clue)):
                yield f"{secret.name}: {name} goes with them"
        if _neighbours_are_alike(hidden.answers, np.argsort(clue, kind="stable")):
            yield f"{hidden.answers.name}: rows that are neighbours by {name} have like ones"
    if np.isfinite(numbers).all() and _trained_neighbours_tell(hidden.answers, numbers, data):
        yield f"{hidden.answers.name}: the training rows with the nearest ids have like targets"


def _views(clue: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """A clue (M,) as it is, by parts of its range, and by its place in cycles of some lengths."""
    yield clue
    yield np.floor(np.argsort(np.argsort(clue)) * (PARTS / len(clue)))
    for cycle in CYCLES:
        yield clue % cycle


def _neighbours_are_alike(answers: Secret, order: NDArray[np.intp]) -> bool:
    ordered = answers.values[order]
    return (
        strongest(ordered[:-1], facets(ordered[1:], named=answers.named), named=answers.named) > BEYOND_CHANCE
    )


def _trained_neighbours_tell(answers: Secret, numbers: NDArray[np.float64], data: Data) -> bool:
    trained = np.array([number_of(identity) for identity in data.train_ids.tolist()])
    if not np.isfinite(trained).all():
        return False
    order = np.argsort(trained)
    after = np.searchsorted(trained[order], numbers).clip(1, len(order) - 1)
    nearer = np.abs(trained[order[after]] - numbers) < np.abs(trained[order[after - 1]] - numbers)
    nearest = order[after - ~nearer]
    return strongest(data.train_targets[nearest], answers.facets, named=answers.named) > BEYOND_CHANCE


def told_by_features(hidden: Hidden, data: Data) -> Iterator[str]:
    """Which features tell the answers themselves, or which rows are public."""
    targets = _facet(data.train_targets, named=hidden.answers.named)
    answers = _facet(hidden.answers.values, named=hidden.answers.named)
    for place, name in enumerate(data.features):
        tested, trained = data.test_inputs[:, place], data.train_inputs[:, place]
        says, said = _share_said(tested, answers), _share_said(trained, targets)
        error = np.sqrt(says * (1 - says) * 4 / len(tested) + said * (1 - said) * 4 / len(trained))
        if says > NEARLY_ALL or determines(tested, hidden.answers.values):
            yield f"{hidden.answers.name}: the feature {name!r} is made of them"
        elif says - said > max(MORE, STANDARD_ERRORS * error):
            yield f"{hidden.answers.name}: the feature {name!r} says more of them than of training targets"
        elif told := shuffled(tested.astype(np.float64), hidden.answers):
            yield f"{told}: the feature {name!r} is made of them"
        if strongest(tested, hidden.split.facets) > BEYOND_CHANCE:
            yield f"{hidden.split.name}: the feature {name!r} goes with them"


def _facet(values: NDArray[Any], *, named: bool) -> Facet | None:
    return as_groups(values) if named else as_numbers(values)


def _share_said(values: NDArray[Any], of: Facet | None) -> float:
    """The share of a column's variance that goes with values (N,), as numbers or as groups; 0 to 1."""
    best = 0.0
    for facet in (as_numbers(values), as_groups(values)):
        if facet is not None and of is not None:
            squared = float(np.sum((facet.columns.T @ of.columns / len(values)) ** 2))
            best = max(best, squared / min(facet.freedom, of.freedom))
    return min(best, 1.0)
