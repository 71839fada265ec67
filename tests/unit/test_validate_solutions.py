"""What the reference's solutions earn and take is compared with what they should."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.assignment import load_assignment
from harness.host.records import Check, Interval, Kept, Report, Runtime, Score
from harness.host.scaffold.assignment import new_assignment
from harness.host.validation.findings import Finding, Level
from harness.host.validation.solutions import check_solutions, check_starter_run, missing_solutions
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.assignment import Assignment

    ReportBuilder = Callable[..., Report]

PASSED, WARNING, PROBLEM = Level.PASSED, Level.WARNING, Level.PROBLEM
SCORES = {"simple": 2.5, "medium": 1.55, "strong": 0.5, "boss": 0.32}  # thresholds: 2.9, 1.9, 0.8, 0.38


@pytest.fixture
def made(tmp_path: Path) -> tuple[Assignment, Path]:
    """A new assignment, and the folder of its reference."""
    folder, reference = new_assignment(tmp_path, "made", "regression")
    return load_assignment(folder), reference


@pytest.fixture
def runs(report_with: ReportBuilder) -> Callable[..., Callable[[Path], Report]]:
    """Plays the runs of solutions that score as they should, but for what is changed by name."""

    def play(**changes: dict[str, Any]) -> Callable[[Path], Report]:
        def run(folder: Path) -> Report:
            more = dict(changes.get(folder.name, {}))
            public = more.pop("public", SCORES.get(folder.name, 3.9))
            private = more.pop("private", public)
            width = more.pop("width", 0.02)
            halves = [Interval(value, (value - width, value + width), 600) for value in (public, private)]
            fields = {
                "score": Score("rmse", "min", public=halves[0], private=halves[1], chance=3.9),
                "runtime": Runtime(2.0, 0.1, 4.0, 2.0, 170 << 20),
                "kept": Kept(1, 0.2, weights=bytes(5000)),
                **more,
            }
            return report_with(fields)

        return run

    return play


def found(made: tuple[Assignment, Path], run: Callable[[Path], Report], name: str) -> list[Finding]:
    """What is said of one solution, or of the limits."""
    return [finding for finding in check_solutions(*made, run) if finding.subject.endswith(name)]


def test_solutions_that_earn_their_tiers_pass(
    made: tuple[Assignment, Path], runs: Callable[..., Callable[[Path], Report]]
) -> None:
    """Each reaches its own threshold on both halves and no harder one, well within the limits."""
    findings = list(check_solutions(*made, runs()))

    assert {finding.level for finding in findings} == {PASSED}
    assert [finding.subject for finding in findings] == [*(f"solution {name}" for name in SCORES), "limits"]


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"private": 0.83}, PROBLEM, "a threshold of 0.87"),
        ({"public": 1.5, "private": 1.5}, PROBLEM, "a threshold of 1.52 would fit"),
        ({"public": 0.37}, WARNING, "make that tier harder"),
        ({"public": 0.796}, WARNING, "another seed"),
        ({"public": 0.4, "private": 0.6}, WARNING, "another split_key"),
        ({"width": 0.4}, WARNING, "more test rows"),
        ({"public": 1.7}, PROBLEM, "no better than the solution of medium"),
        ({"outcome": Outcome.TIME_LIMIT, "message": "too long"}, PROBLEM, "raise that limit"),
        ({"outcome": Outcome.RUNTIME_ERROR, "message": "no"}, PROBLEM, "mend it"),
        ({"finding": "the batch matters"}, PROBLEM, "mend it"),
    ],
    ids=[
        "one half",
        "both halves",
        "too good",
        "close",
        "halves differ",
        "wide",
        "worse",
        "too slow",
        "fails",
        "dependent",
    ],
)
def test_a_solution_that_does_not_fit_is_told(
    change: dict[str, Any],
    level: Level,
    words: str,
    made: tuple[Assignment, Path],
    runs: Callable[..., Callable[[Path], Report]],
) -> None:
    """What is wrong with it is said, with a threshold that would fit where that is what is wrong."""
    findings = found(made, runs(strong=change), "strong")

    assert level in {finding.level for finding in findings}
    assert any(words in finding.todo for finding in findings), findings


def test_the_easiest_tiers_threshold_is_kept_from_chance(
    made: tuple[Assignment, Path], runs: Callable[..., Callable[[Path], Report]]
) -> None:
    """What is proposed lies no further than half-way to what a constant scores."""
    findings = found(made, runs(simple={"public": 3.8}), "simple")

    assert [finding.todo for finding in findings if finding.level is PROBLEM] == [
        "a threshold of 3.85 would fit"
    ]


def test_no_threshold_is_proposed_for_what_a_constant_scores_too(
    made: tuple[Assignment, Path], runs: Callable[..., Callable[[Path], Report]]
) -> None:
    """A solution that learns nothing has to be mended, not its tier."""
    findings = found(made, runs(simple={"public": 4.0}), "simple")

    assert ["no better than always predicting the same" in finding.todo for finding in findings] == [True]


@pytest.mark.parametrize(
    ("usage", "level", "words"),
    [
        ({"train_seconds": 35.0, "cpu_seconds": 34.0}, WARNING, "train_seconds is 60"),
        ({"train_seconds": 55.0, "cpu_seconds": 8.0}, PASSED, "train_seconds 8 of 60"),
        ({"predict_seconds": 19.0}, PROBLEM, "predict_seconds is 20"),
        ({"peak_memory_bytes": 1800 << 20}, PROBLEM, "memory_mb is 2048"),
    ],
)
def test_limits_without_room_are_told(
    usage: dict[str, Any],
    level: Level,
    words: str,
    made: tuple[Assignment, Path],
    runs: Callable[..., Callable[[Path], Report]],
) -> None:
    """A solution that takes more than half of a limit leaves students with slower machines no chance."""
    runtime = dataclasses.replace(Runtime(2.0, 0.1, 4.0, 2.0, 170 << 20), **usage)
    findings = found(made, runs(boss={"runtime": runtime}), "limits")

    assert [finding.level for finding in findings] == [level]
    assert words in findings[0].detail


def test_a_limit_with_room_is_proposed(
    made: tuple[Assignment, Path], runs: Callable[..., Callable[[Path], Report]]
) -> None:
    """Twice of what is taken, rounded up; none where a solution was stopped, whose need nobody knows."""
    runtime = Runtime(2.0, 11.2, 4.0, 2.0, 170 << 20)
    play = {"boss": {"runtime": runtime}}
    stopped = {"strong": {"outcome": Outcome.TIME_LIMIT, "message": "too long"}}

    assert [finding.todo for finding in found(made, runs(**play), "limits")] == ["23 leaves room"]
    assert found(made, runs(**play, **stopped), "limits") == []


def test_a_tier_without_a_solution_is_told(made: tuple[Assignment, Path]) -> None:
    """Nobody knows whether it can be reached."""
    assignment, reference = made
    complete = list(missing_solutions(assignment, reference))
    (reference / "solutions" / "boss").rename(reference / "solutions" / "best")
    findings = list(missing_solutions(assignment, reference))

    assert complete == []
    assert [(finding.level, "boss" in finding.detail) for finding in findings] == [(WARNING, True)]


def test_a_starter_earns_no_tier(made: tuple[Assignment, Path], report_with: ReportBuilder) -> None:
    """One that runs and reaches nothing is right; one that fails, or is good already, is told."""
    assignment, _ = made
    missed, beaten = ((Check("beats_simple[public]", outcome, 0.0, 0.5),) for outcome in ("failed", "passed"))

    def level(**changes: Any) -> list[Level]:
        run = changes.pop("run", {})
        findings = check_starter_run(assignment, Path("starter"), lambda _: report_with(run, **changes))
        return [finding.level for finding in findings]

    assert level(checks=missed) == [PASSED]
    assert level(checks=beaten) == [WARNING]
    assert level(run={"outcome": Outcome.RUNTIME_ERROR}, checks=missed) == [PROBLEM]
