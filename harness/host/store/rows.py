"""Puts records into rows and reads them out; what tells of the private split goes into rows of its own."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.host.records import (
    Baseline,
    Check,
    Environment,
    EpochClaim,
    Interval,
    Place,
    Report,
    Run,
    Runtime,
    Score,
)
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import RowMapping

LOG_TAIL = 4000  # characters


def storable(text: str) -> str:
    """`text` in a form that every database holds: without NUL, and encodable."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def run_row(report: Report) -> dict[str, Any]:
    """The columns of `runs` that a report fills."""
    run, environment = report.run, asdict(report.run.environment)
    runtime = {name: _finite(value) for name, value in asdict(run.runtime).items()}
    place = run.place
    return {
        "id": run.run_id,
        "assignment": report.assignment,
        "title": storable(report.title),
        "submission": storable(report.submission_name),
        "submission_sha256": report.submission_sha256,
        "outcome": run.outcome.value,
        "phase": run.phase.value if run.phase is not None else None,
        "message": storable(run.message),
        "hint": storable(run.hint),
        "file": storable(place.file) if place is not None else None,
        "line": place.line if place is not None else None,
        "finding": storable(run.finding),
        "log_tail": storable(run.log[-LOG_TAIL:]),
        "notes": [storable(note) for note in report.notes],
        "seconds_limit": report.seconds_limit,
        **runtime,
        **{name: storable(value) if isinstance(value, str) else value for name, value in environment.items()},
        "seed": run.kept.seed if run.kept is not None else None,
        "valid_ratio": run.kept.valid_ratio if run.kept is not None else None,
    }


def curve_row(run: Run) -> dict[str, Any]:
    """The columns of `curves`."""
    return {
        "best_epoch": run.best_epoch,
        "train": [_told(claim.train_loss) for claim in run.epochs],
        "valid": [_told(claim.valid_loss) for claim in run.epochs],
        "seconds": [_told(claim.seconds) for claim in run.epochs],
    }


def score_row(score: Score, baselines: Iterable[Baseline], checks: Sequence[Check]) -> dict[str, Any]:
    """The columns of `scores`: all that a student may know."""
    shown = [(place, check) for place, check in enumerate(checks) if not check.private]
    return {
        "metric": score.metric,
        "direction": score.direction,
        **_interval_row("validation", score.validation),
        **_interval_row("public", score.public),
        "chance": _finite(score.chance),
        **_points_row(shown),
        "baselines": [[tier.name, tier.threshold, tier.public] for tier in baselines],
    }


def private_row(score: Score, baselines: Iterable[Baseline], checks: Sequence[Check]) -> dict[str, Any]:
    """The columns of `private_scores`: the rest."""
    hidden = [(place, check) for place, check in enumerate(checks) if check.private]
    return {
        **_interval_row("private", score.private),
        "test_loss": _finite(score.test_loss),
        **_points_row(hidden),
        "baselines": [tier.private for tier in baselines],
    }


def _points_row(checks: Sequence[tuple[int, Check]]) -> dict[str, Any]:
    return {
        "points": sum(check.points for _, check in checks),
        "max_points": sum(check.max_points for _, check in checks),
        "checks": [
            [
                place,
                storable(check.name),
                check.outcome,
                check.points,
                check.max_points,
                storable(check.message),
            ]
            for place, check in checks
        ],
    }


def _interval_row(name: str, interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None, f"{name}_rows": None}
    low, high = interval.ci95
    return {
        name: _finite(interval.value),
        f"{name}_low": _finite(low),
        f"{name}_high": _finite(high),
        f"{name}_rows": interval.rows,
    }


def read_report(
    run: RowMapping, curve: RowMapping | None, score: RowMapping, private: RowMapping | None
) -> Report:
    """The report that rows were made from, without predictions.

    Args:
        run: of `runs`.
        curve: of `curves`; None where training never began.
        score: of `scores`.
        private: of `private_scores`; None for a report that tells nothing of the private split.
    """
    phase, file = run["phase"], run["file"]
    record = Run(
        run_id=run["id"],
        outcome=Outcome(run["outcome"]),
        phase=Phase(phase) if phase is not None else None,
        message=run["message"],
        hint=run["hint"],
        place=Place(file, run["line"]) if file is not None else None,
        epochs=_epochs(curve),
        best_epoch=curve["best_epoch"] if curve is not None else None,
        predictions=None,
        score=_score(score, private),
        baselines=_baselines(score, private),
        runtime=Runtime(**{name: run[name] for name in Runtime.__dataclass_fields__}),
        environment=Environment(**{name: run[name] for name in Environment.__dataclass_fields__}),
        log=run["log_tail"],
        finding=run["finding"],
    )
    return Report(
        assignment=run["assignment"],
        title=run["title"],
        submission_name=run["submission"],
        submission_sha256=run["submission_sha256"],
        run=record,
        checks=_checks(score, private),
        seconds_limit=run["seconds_limit"],
        notes=tuple(run["notes"]),
    )


def _epochs(curve: RowMapping | None) -> tuple[EpochClaim, ...]:
    if curve is None:
        return ()
    claims = zip(curve["train"], curve["valid"], curve["seconds"], strict=True)
    return tuple(
        EpochClaim(epoch, *(math.nan if value is None else float(value) for value in claim))
        for epoch, claim in enumerate(claims, start=1)
    )


def _score(score: RowMapping, private: RowMapping | None) -> Score:
    return Score(
        score["metric"],
        score["direction"],
        validation=_interval(score, "validation"),
        public=_interval(score, "public"),
        private=_interval(private, "private") if private is not None else None,
        test_loss=private["test_loss"] if private is not None else None,
        chance=score["chance"],
    )


def _interval(row: Mapping[Any, Any], name: str) -> Interval | None:
    if row[f"{name}_rows"] is None:
        return None
    value, low, high = (
        math.nan if row[key] is None else float(row[key]) for key in (name, f"{name}_low", f"{name}_high")
    )
    return Interval(value, (low, high), row[f"{name}_rows"])


def _baselines(score: RowMapping, private: RowMapping | None) -> tuple[Baseline, ...]:
    public = score["baselines"]
    hidden = private["baselines"] if private is not None else [None] * len(public)
    return tuple(
        Baseline(name, threshold, shown, verdict)
        for (name, threshold, shown), verdict in zip(public, hidden, strict=True)
    )


def _checks(score: RowMapping, private: RowMapping | None) -> tuple[Check, ...]:
    placed = [(place, _check(rest, private=False)) for place, *rest in score["checks"]]
    if private is not None:
        placed += [(place, _check(rest, private=True)) for place, *rest in private["checks"]]
    return tuple(check for _, check in sorted(placed, key=lambda each: each[0]))


def _check(columns: Sequence[Any], *, private: bool) -> Check:
    name, outcome, points, max_points, message = columns
    return Check(name, outcome, points, max_points, message, private)


def _told(claim: float) -> float | str | None:
    """A claim in JSON, which has no number that is infinite."""
    return None if math.isnan(claim) else claim if math.isfinite(claim) else str(claim)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
