"""Looks for rows that are the same, or nearly, in the training and the test file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.host.data import row_keys
from harness.host.metrics import METRICS
from harness.host.validation.findings import Finding, passed, problem, share, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment
    from harness.host.data import Data

    Floats = NDArray[np.float64]

FEW = 0.01  # of the rows: what chance and public data bring along
NEAR = 0.05  # of the median distance of any two rows: what rounding and a little noise leave
MOST_TESTED, MOST_TRAINED = 2_000, 20_000  # rows, of which the nearest are looked for
AT_ONCE = 256
KEEP_ONE = "in build.py, keep one of the rows with the same features before the split"


@dataclass(frozen=True, eq=False, slots=True)
class Nearest:
    """For a sample of test rows, the nearest training row.

    Attributes:
        tested: (S,) positions of the test rows.
        trained: (S,) positions of the training rows.
        distances: (S,) between the two, where 1 is the median distance of any two rows.
    """

    tested: NDArray[np.int64]
    trained: NDArray[np.int64]
    distances: Floats


def find_twins(data: Data, answers: NDArray[np.float64]) -> Iterator[Finding]:
    """Rows with the same features, within and between the files.

    Args:
        data: the assignment's rows.
        answers: (M,) of the test rows.
    """
    trained, tested = row_keys(data.train_inputs), row_keys(data.test_inputs)
    targets = dict(zip(trained, data.train_targets.tolist(), strict=True))
    twins = [place for place, key in enumerate(tested) if key in targets]
    if twins:
        known = answers.astype(data.train_targets.dtype).tolist()
        same = sum(targets[tested[place]] == known[place] for place in twins)
        worse = len(twins) > FEW * len(tested)
        yield (problem if worse else warning)(
            "twins",
            f"{share(len(twins), len(tested))} test rows have a training row's features, {same} its target",
            KEEP_ONE,
        )
    else:
        yield passed("twins", "no test row has the features of a training row")
    for name, keys in (("training", trained), ("test", tested)):
        repeated = sum(count - 1 for count in Counter(keys).values())
        if repeated > FEW * len(keys):
            yield warning(
                "repeated rows",
                f"{share(repeated, len(keys))} {name} rows have the features of another",
                KEEP_ONE,
            )


def find_near_twins(assignment: Assignment, data: Data, answers: NDArray[np.float64]) -> Iterator[Finding]:
    """Test rows that lie next to a training row, and how far one comes by looking up the nearest.

    Args:
        assignment: the metric and the tiers.
        data: its rows.
        answers: (M,) of the test rows.
    """
    found = nearest(data)
    near = int((found.distances < NEAR).sum())
    if near > FEW * len(found.tested):
        yield warning(
            "near twins",
            f"{share(near, len(found.tested))} test rows lie next to a training row, "
            f"at less than {NEAR:g} of the usual distance",
            "split by what the near rows have in common (a person, a day, a scene), not row by row",
        )
    else:
        yield passed("near twins", f"{share(near, len(found.tested))} test rows lie next to a training row")
    metric = METRICS[assignment.metric.name]
    looked_up = data.train_targets[found.trained]
    predictions = np.eye(assignment.outputs)[looked_up] if assignment.kind.has_classes else looked_up[:, None]
    score = metric(predictions.astype(np.float32), answers[found.tested].astype(assignment.kind.answer_dtype))
    detail = f"the target of the nearest training row scores {metric.name} {score:.4g}"
    reached = [tier.name for tier in assignment.tiers if metric.at_least_as_good(score, tier.threshold)]
    if reached and reached[-1] == assignment.tiers[-1].name:
        yield warning(
            "look-up", f"{detail}, which reaches {reached[-1]}", "make that tier harder than looking up is"
        )
    else:
        yield passed(
            "look-up", detail + (f", which reaches {reached[-1]}" if reached else ", which reaches no tier")
        )


def nearest(data: Data) -> Nearest:
    """The nearest training row of a sample of test rows, by the distance of standardised features."""
    chance = np.random.default_rng(0)
    tested = np.sort(chance.permutation(len(data.test_inputs))[:MOST_TESTED])
    trained = np.sort(chance.permutation(len(data.train_inputs))[:MOST_TRAINED])
    spread = data.train_inputs.std(axis=0, dtype=np.float64)
    scale = np.where(spread > 0, spread, 1.0)
    ours, theirs = data.test_inputs[tested] / scale, data.train_inputs[trained] / scale
    lengths = (theirs**2).sum(axis=1)
    places, squares = [], []
    for start in range(0, len(ours), AT_ONCE):
        part = ours[start : start + AT_ONCE]
        distances = (part**2).sum(axis=1)[:, None] + lengths - 2 * part @ theirs.T
        places.append(distances.argmin(axis=1))
        squares.append(distances.min(axis=1))
    pairs = chance.integers(0, len(theirs), size=(2, 1000))
    usual = float(np.median(np.linalg.norm(theirs[pairs[0]] - theirs[pairs[1]], axis=1))) or 1.0
    return Nearest(
        tested, trained[np.concatenate(places)], np.sqrt(np.maximum(np.concatenate(squares), 0)) / usual
    )
