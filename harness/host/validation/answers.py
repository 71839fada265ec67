"""Looks at the answers: their values, what ids and order tell of them, and the halves they are split into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.host.association import strongest
from harness.host.release.order import told_by_features, told_by_order
from harness.host.validation.findings import Finding, passed, problem, share, some, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.assignment import Assignment
    from harness.host.data import Data
    from harness.host.release.hidden import Hidden

FEW_OF_A_CLASS = 10  # training rows
RARE = 0.2  # of what a class would have if all were as frequent
OUTSIDE = 0.01  # of the answers, beyond the training targets
FEWEST = 100  # rows of a half: of 100, an accuracy of 0.8 has a standard error of 0.04
UNLIKE = 3.0  # standard deviations: with one split in 700 by chance, another key costs nothing
RANDOM_BYTES = 20  # different ones among 32: of random ones there are 30, and never so few


def check_answers(assignment: Assignment, data: Data, hidden: Hidden) -> Iterator[Finding]:
    """Whether the answers have the values of training rows, and classes are frequent enough to be learnt."""
    if assignment.data.classes is not None:
        yield from _check_classes(assignment.data.classes, data, hidden)
        return
    targets, answers = data.train_targets, hidden.answers.values
    outside = int(((answers < targets.min()) | (answers > targets.max())).sum())
    if outside > OUTSIDE * len(answers):
        yield warning(
            "answers",
            f"{share(outside, len(answers))} answers lie beyond all training targets",
            "draw the test rows at random, or say in the handout that models have to extrapolate",
        )
    else:
        yield passed(
            "answers",
            f"{len(answers):,} answers, one for each test row, in the range of the training targets",
        )


def _check_classes(classes: int, data: Data, hidden: Hidden) -> Iterator[Finding]:
    trained = np.bincount(data.train_targets.astype(np.int64), minlength=classes)
    tested = np.bincount(hidden.answers.values.astype(np.int64), minlength=classes)
    for name, numbers in (("training", trained), ("test", tested)):
        if missing := [str(each) for each in np.flatnonzero(numbers == 0)]:
            yield problem(
                "classes",
                f"there is no {name} row of the classes {some(missing)}",
                "draw the files class by class",
            )
    few = [str(each) for each in np.flatnonzero((trained > 0) & (trained < FEW_OF_A_CLASS))]
    rare = trained.min() < RARE * len(data.train_targets) / classes
    shares = f"{trained.min() / trained.sum():.1%} to {trained.max() / trained.sum():.1%}".replace("%", " %")
    if few:
        yield warning(
            "classes", f"fewer than {FEW_OF_A_CLASS} training rows of {some(few)}", "collect more of them"
        )
    elif rare and trained.min():
        yield warning(
            "classes",
            f"from {shares} of the training rows each",
            "say so in the handout; accuracy says little of the rare ones",
        )
    elif trained.min():
        yield passed("classes", f"{classes} classes, from {shares} of the training rows each")


def check_order(data: Data, hidden: Hidden) -> Iterator[Finding]:
    """Whether ids, the order of rows, or a feature of the test rows alone tell the answers."""
    told = [*told_by_order(hidden, data), *told_by_features(hidden, data)]
    for each in told:
        yield problem(
            "ids and order", each, "shuffle the rows and number them anew, under the key, in build.py"
        )
    both = set(data.train_ids.tolist()) & set(data.test_ids.tolist())
    if both:
        yield warning(
            "ids and order",
            f"{len(both):,} ids are in both files",
            "number all rows together, so that an id is one row's",
        )
    elif not told:
        yield passed("ids and order", "each id is one row's; neither ids nor order tell anything")


def check_split(assignment: Assignment, hidden: Hidden) -> Iterator[Finding]:
    """Whether both halves are large enough and alike, and the key that makes them is random."""
    if len(set(hidden.key)) < RANDOM_BYTES:
        yield problem(
            "split key",
            "it is not from a random source",
            "python -c 'import secrets; print(secrets.token_hex(32))', then make the data anew",
        )
    public = hidden.split.values.astype(bool)
    sizes = {"public": int(public.sum()), "private": int((~public).sum())}
    points = {
        "public": sum(tier.public_points for tier in assignment.tiers),
        "private": sum(tier.private_points for tier in assignment.tiers),
    }
    found = False
    for half, size in sizes.items():
        if points[half] and not size:
            found = True
            yield problem(
                "split",
                f"there is no {half} row, and {points[half]:g} points are for them",
                "mend public_share",
            )
        elif points[half] and size < FEWEST:
            found = True
            yield warning(
                "split",
                f"{size} {half} rows: the score depends on which they are",
                f"have at least {FEWEST} test rows in each half",
            )
    if min(sizes.values()) and strongest(public, hidden.answers.facets) > UNLIKE:
        found = True
        yield warning(
            "split", "the answers differ between the halves more than they should", "take another split_key"
        )
    if not found:
        yield passed(
            "split", f"{sizes['public']:,} public and {sizes['private']:,} private rows, with like answers"
        )
