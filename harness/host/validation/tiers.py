"""Looks at the tiers: on which side of chance they are, whether they can be reached, what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.host.metrics import METRICS
from harness.host.validation.findings import Finding, passed, problem, some, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.assignment import Assignment
    from harness.host.data import Data
    from harness.host.release.hidden import Hidden

PERFECT = {"min": 0.0, "max": 1.0}


def check_tiers(assignment: Assignment, data: Data, hidden: Hidden) -> Iterator[Finding]:
    """Whether thresholds lie between what a constant scores and what nothing can."""
    if not assignment.tiers:
        yield warning(
            "tiers", "there are none, so no points depend on the score", "add [[tiers]] to assignment.toml"
        )
        return
    metric = METRICS[assignment.metric.name]
    chances = constant_scores(assignment, data, hidden)
    worst = max(chances) if metric.direction == "max" else min(chances)
    free = [tier.name for tier in assignment.tiers if metric.at_least_as_good(worst, tier.threshold)]
    perfect = PERFECT[metric.direction]
    barred = [
        tier.name
        for tier in assignment.tiers
        if metric.at_least_as_good(tier.threshold, perfect) and tier.threshold != perfect
    ]
    told = f"always predicting the same scores {metric.name} {worst:.4g}"
    if free:
        everything = len(free) == len(assignment.tiers)
        yield problem(
            "tiers",
            f"{told}, which reaches {some(free)}",
            "the thresholds are on the wrong side: are they of another metric, or on another scale?"
            if everything
            else f"make {some(free)} harder than that",
        )
    if barred:
        yield problem(
            "tiers",
            f"nothing can reach {some(barred)}: {metric.name} is at best {perfect:g}",
            "make them easier",
        )
    if not free and not barred:
        ends = f"{assignment.tiers[0].threshold:g} to {assignment.tiers[-1].threshold:g}"
        yield passed("tiers", f"{told}; tiers go from {ends}, the {metric.direction} is best")


def constant_scores(assignment: Assignment, data: Data, hidden: Hidden) -> list[float]:
    """What the best constant of the training rows scores on each half of the test rows that there is."""
    metric = METRICS[assignment.metric.name]
    constant = metric.constant(data.train_targets, assignment.outputs).astype(np.float32)
    answers = hidden.answers.values.astype(assignment.kind.answer_dtype)
    public = hidden.split.values.astype(bool)
    return [
        metric(np.broadcast_to(constant, (int(rows.sum()), assignment.outputs)), answers[rows])
        for rows in (public, ~public)
        if rows.any()
    ]


def check_points(assignment: Assignment) -> Iterator[Finding]:
    """Whether the points make a sum that people can work with, and the private half counts."""
    total = points_of(assignment)
    private = sum(tier.private_points for tier in assignment.tiers)
    public = sum(tier.public_points for tier in assignment.tiers)
    if total <= 0:
        yield problem("points", "nothing is worth a point", "mend [points] and [[tiers]]")
    elif not total.is_integer():
        yield warning(
            "points", f"{total:g} points in all", "make it a whole number, unless that is what you want"
        )
    else:
        yield passed(
            "points", f"{total:g} in all, {public:g} for the public and {private:g} for the private half"
        )
    if public and not private and assignment.split.public_share < 1:
        yield warning(
            "private points",
            "no tier gives points for the private half, and the public score can be probed",
            "give private_points too; docs/explanation/scores-as-oracles.md says why",
        )


def points_of(assignment: Assignment) -> float:
    """The most points that a submission can have, but for checks in ``test_*.py``."""
    tiers = sum(tier.public_points + tier.private_points for tier in assignment.tiers)
    return float(sum(assignment.points.model_dump().values()) + tiers)
