"""The checks that every assignment has, as pytest tests; an assignment adds its own in ``test_*.py``.

The plugin collects this module for an ``assignment.toml``. A test's name without ``test_`` is the check's
name in the report, and its failure message is what the student reads, so each assertion states one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.host.judge import judge_of
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from harness.host.assignment import Assignment, Tier
    from harness.host.records import Interval, Run, Score

BROKEN_CONTRACTS = (Outcome.INVALID_SUBMISSION, Outcome.IMPORT_ERROR, Outcome.CONTRACT_ERROR)


@dataclass(frozen=True, slots=True)
class Bar:
    """What there is to beat: a tier's threshold, on one split."""

    tier: Tier
    split: str

    @property
    def points(self) -> float:
        """What beating it is worth; the validation rows stand for both halves where there is no reference."""
        halves = {"public": self.tier.public_points, "private": self.tier.private_points}
        return halves[self.split] if self.split in halves else sum(halves.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each tier on each split that is scored here."""
    if "bar" not in metafunc.fixturenames:
        return
    judge = judge_of(metafunc.config)
    bars = [Bar(tier, split) for tier in judge.tiers for split in judge.splits]
    marks = [pytest.mark.points(bar.points, private=bar.split == "private") for bar in bars]
    metafunc.parametrize(
        "bar",
        [
            pytest.param(bar, id=f"{bar.tier.name}-{bar.split}", marks=mark)
            for bar, mark in zip(bars, marks, strict=True)
        ],
    )


def test_contract(run: Run) -> None:
    """``MyModel`` and the config are what the assignment asks for."""
    assert run.outcome not in BROKEN_CONTRACTS, run.message


def test_finished(run: Run) -> None:
    """Training and prediction ran to their end."""
    assert run.outcome in (Outcome.OK, Outcome.INVALID_PREDICTIONS), f"the run ended with {run.outcome}"


def test_finite(run: Run) -> None:
    """There is one finite prediction for each test row."""
    assert run.predictions is not None, "there are no complete and finite predictions"


def test_independent(run: Run) -> None:
    """Each row's prediction depends on that row alone."""
    assert run.predictions is not None, "there are no complete and finite predictions"
    assert not run.finding, run.finding


def test_runtime(run: Run, assignment: Assignment) -> None:
    """The run ended within the assignment's time."""
    assert run.phase is not Phase.SUBMISSION, "nothing was run"
    assert run.outcome is Outcome.OK, f"the run ended with {run.outcome}"
    limits = assignment.limits
    assert run.runtime.train_seconds <= limits.train_seconds, "training took too long"
    assert run.runtime.predict_seconds <= limits.predict_seconds, "predicting took too long"


def test_beats(score: Score, bar: Bar) -> None:
    """The metric on a split is at least as good as a tier's threshold."""
    interval: Interval | None = getattr(score, bar.split)
    assert interval is not None, f"there is no {score.metric} to compare"
    threshold = bar.tier.threshold
    beaten = interval.value <= threshold if score.direction == "min" else interval.value >= threshold
    sign = "<=" if score.direction == "min" else ">="
    assert beaten, f"{score.metric} {interval.value:.4g}, needed {sign} {threshold:g}"
