"""Runs the reference's solutions: each has to earn its own tier and no harder one, well within the limits."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.metrics import METRICS
from harness.host.validation.findings import Finding, passed, problem, some, warning
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from harness.host.assignment import Assignment, Tier
    from harness.host.records import Interval, Report, Runtime, Score

    Runner = Callable[[Path], Report]

FOLDER = "solutions"
ROOM, LITTLE = 0.5, 0.8  # of a limit: slower machines and slower models need the rest
MARGIN = 0.05  # of a score: where a threshold is put beyond its solution's
CLOSE = 0.01  # of a score: another seed may miss it
UNLIKE = 3.0  # standard errors between the halves
WIDTH = 2 * 1.96  # standard errors in a 95 % interval
MIB = 1 << 20
LIMITS = {Outcome.TIME_LIMIT, Outcome.MEMORY_LIMIT, Outcome.PROCESS_LIMIT, Outcome.OUTPUT_LIMIT}


@dataclass(frozen=True, slots=True)
class Measured:
    """A solution that ran to its end.

    Attributes:
        tier: whose it is.
        report: what came of it.
        scores: on each half that there is.
    """

    tier: Tier
    report: Report
    scores: tuple[Interval, ...]


def missing_solutions(assignment: Assignment, reference: Path) -> Iterator[Finding]:
    """Tiers without a solution, which nobody knows to be reachable."""
    folder = reference / FOLDER
    missing = [tier.name for tier in assignment.tiers if not (folder / tier.name).is_dir()]
    if missing:
        yield warning("solutions", f"there is none for {some(missing)}", f"put one into {folder}/TIER")


def check_solutions(assignment: Assignment, reference: Path, run: Runner) -> Iterator[Finding]:
    """Run every tier's solution, and compare what it earns with its tier.

    Args:
        assignment: the tiers and limits.
        reference: the folder that has `FOLDER`.
        run: grades one submission.

    Raises:
        HarnessError: this machine could not run one.
    """
    measured, stopped = [], False
    for tier in assignment.tiers:
        folder = reference / FOLDER / tier.name
        if not folder.is_dir():
            continue
        report = run(folder)
        score = report.run.score
        if report.run.outcome != "ok":
            stopped |= report.run.outcome in LIMITS
            yield problem(
                f"solution {tier.name}",
                f"{report.run.outcome}: {report.run.message}",
                "raise that limit, or make it take less" if report.run.outcome in LIMITS else "mend it",
            )
            continue
        scores = tuple(half for half in (score.public, score.private) if half is not None)
        measured.append(Measured(tier, report, scores))
    for weaker, each, stronger in _with_neighbours(measured):
        yield from _earned(assignment, weaker, each)
        yield from _told_apart(each, stronger)
    if not stopped:  # else nobody knows how much the limits would have to be
        yield from _needs(assignment, measured)


def check_starter_run(assignment: Assignment, starter: Path, run: Runner) -> Iterator[Finding]:
    """Run the starter, which should run and earn no tier.

    Raises:
        HarnessError: this machine could not run it.
    """
    report = run(starter)
    earned = [
        check.name for check in report.checks if check.name.startswith("beats_") and check.outcome == "passed"
    ]
    if report.run.outcome != "ok":
        yield problem(
            "starter", f"{report.run.outcome}: {report.run.message}", "students begin with it: mend it"
        )
    elif earned:
        yield warning("starter", f"it passes {some(earned)}", "make it learn less, or the first tier harder")
    else:
        yield passed("starter", f"it runs, and reaches no tier of {len(assignment.tiers)}")


def _with_neighbours(
    measured: list[Measured],
) -> Iterator[tuple[Measured | None, Measured, Measured | None]]:
    padded = [None, *measured, None]
    yield from zip(padded, measured, padded[2:], strict=False)


def _earned(assignment: Assignment, weaker: Measured | None, each: Measured) -> Iterator[Finding]:
    """What a solution earns of what it should."""
    metric = METRICS[assignment.metric.name]
    subject, tier = f"solution {each.tier.name}", each.tier
    shown = " and ".join(f"{half.value:.4g}" for half in each.scores)
    worst = (max if metric.direction == "min" else min)(half.value for half in each.scores)
    harder = itertools.dropwhile(lambda other: other.name != tier.name, assignment.tiers)
    above = [
        other.name
        for other in list(harder)[1:]
        if any(metric.at_least_as_good(half.value, other.threshold) for half in each.scores)
    ]
    if not metric.at_least_as_good(worst, tier.threshold):
        yield problem(
            subject,
            f"it scores {shown}, and its tier asks for {tier.threshold:g}",
            _advice(each, weaker, each.report.run.score),
        )
    elif above:
        yield warning(subject, f"it scores {shown}, which reaches {some(above)} too", "make that tier harder")
    elif abs(worst - tier.threshold) < CLOSE * abs(worst):
        yield warning(
            subject, f"it scores {shown}, within 1 % of its {tier.threshold:g}", "leave room for another seed"
        )
    else:
        yield passed(subject, f"it scores {shown}, and its tier asks for {tier.threshold:g}")
    if each.report.run.finding:
        yield problem(subject, each.report.run.finding, "mend it: students learn from it later")


def _advice(each: Measured, weaker: Measured | None, score: Score) -> str:
    """A threshold for a solution that misses its own, if it is better than the next weaker one.

    It lies a little beyond the solution's worst half, but not past the middle to the weaker one.
    """
    best_is_low = score.direction == "min"
    worst = (max if best_is_low else min)(half.value for half in each.scores)
    fit = worst * (1 + MARGIN if best_is_low else 1 - MARGIN)
    other, whose = score.chance, "always predicting the same"
    if weaker is not None:
        other = (min if best_is_low else max)(half.value for half in weaker.scores)
        whose = f"the solution of {weaker.tier.name}"
    if other is not None:
        if other <= worst if best_is_low else other >= worst:
            return f"it is no better than {whose}: mend it"
        middle = (worst + other) / 2
        fit = min(fit, middle) if best_is_low else max(fit, middle)
    return f"a threshold of {fit:.3g} would fit"


def _told_apart(each: Measured, stronger: Measured | None) -> Iterator[Finding]:
    """Whether the halves agree on a solution, and have rows enough to tell it from the next."""
    subject = f"solution {each.tier.name}"
    errors = [(half.ci95[1] - half.ci95[0]) / WIDTH for half in each.scores]
    if len(each.scores) > 1:
        apart = abs(each.scores[0].value - each.scores[1].value)
        if apart > UNLIKE * (sum(error**2 for error in errors)) ** 0.5:
            yield warning(subject, "the halves differ more than they should", "take another split_key")
    if stronger is not None:
        gap = abs(each.scores[0].value - stronger.scores[0].value)
        if gap < max(errors) * WIDTH / 2:
            yield warning(
                subject,
                f"the 95 % interval of its score reaches {stronger.tier.name}'s: {gap:.3g} lies between them",
                "have more test rows, or tiers further apart",
            )


def _undisturbed(runtime: Runtime) -> float:
    """Seconds of training, or of the processor where those are fewer: then others had kept it busy."""
    return min(runtime.train_seconds, runtime.cpu_seconds or runtime.train_seconds)


def _needs(assignment: Assignment, measured: list[Measured]) -> Iterator[Finding]:
    """What the solutions take of the limits."""
    if not measured:
        return
    limits = assignment.limits
    runs = [each.report.run for each in measured]
    memory = [run.runtime.peak_memory_bytes or 0 for run in runs]
    weights = [len(run.kept.weights) if run.kept else 0 for run in runs]
    needs: Mapping[str, tuple[float, float]] = {
        "train_seconds": (max(_undisturbed(run.runtime) for run in runs), limits.train_seconds),
        "predict_seconds": (max(run.runtime.predict_seconds for run in runs), limits.predict_seconds),
        "memory_mb": (max(memory) / MIB, limits.memory_mb),
        "weights_mb": (max(weights) / MIB, limits.weights_mb),
    }
    tight = False
    for name, (need, limit) in needs.items():
        if need > ROOM * limit:
            tight = True
            kind = problem if need > LITTLE * limit else warning
            yield kind(
                "limits",
                f"{name} is {limit:g}, and a solution takes {need:.3g}",
                f"{math.ceil(2 * need)} leaves room",
            )
    if not tight:
        taken = ", ".join(f"{name} {need:.3g} of {limit:g}" for name, (need, limit) in needs.items())
        yield passed("limits", f"the solutions take at most {taken}")
