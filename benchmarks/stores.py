"""Stores of results of any size, made up, to time what is made of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import processes
from sqlalchemy import insert

from harness.host.assignment import load_assignment
from harness.host.data import load_data, validation_rows
from harness.host.identity import run_digest
from harness.host.records import (
    Baseline,
    Check,
    Environment,
    EpochClaim,
    Interval,
    Kept,
    Report,
    Run,
    Runtime,
    Score,
)
from harness.host.reference import load_reference
from harness.host.store.hand_ins import HandIn, microseconds
from harness.host.store.place import place_of
from harness.host.store.rows import private_row, run_row, score_row
from harness.host.store.store import Store
from harness.host.store.tables import PRIVATE_SCORES, RUNS, SCORES
from harness.host.submission import load_submission
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.records import Submission

ID = "hw1-bikes"
FILE = "runs.sqlite"
REFERENCE = processes.ROOT / "reference" / ID
SUBMISSION = processes.ROOT / "examples" / ID / "medium"
OTHER_JUDGEMENT = "0" * 64  # no digest of answers, tiers and checks: what was scored by it is out of date
_BEGIN = datetime(2030, 3, 1, tzinfo=UTC)
_LOG = "epoch 1: 43.82\n" * 40
_FAILED_SHARE = 0.1
_AT_ONCE = 5_000  # rows in memory
_SEED = 0


def fill_class(folder: Path, students: int, attempts: int) -> None:
    """Put a class's runs into a new store: one a student and day, a tenth of them failed.

    Only the rows are there; there is nothing to run or to score again.

    Args:
        folder: for the store.
        students: how many.
        attempts: of each.
    """
    store = Store(place_of(str(folder / FILE), None, folder))
    rows = _rows(students, attempts)
    with store.database.writing() as connection:
        while several := [each for each, _ in zip(rows, range(_AT_ONCE), strict=False)]:
            for table, columns in zip(
                (RUNS, SCORES, PRIVATE_SCORES), zip(*several, strict=True), strict=True
            ):
                connection.execute(insert(table), list(columns))


def _rows(students: int, attempts: int) -> Iterator[tuple[dict[str, Any], ...]]:
    """Of `runs`, `scores` and `private_scores`, for each run in turn."""
    generator = np.random.default_rng(_SEED)
    reports = {outcome: _report(outcome) for outcome in (Outcome.OK, Outcome.RUNTIME_ERROR)}
    runs = {outcome: run_row(report) for outcome, report in reports.items()}
    scores = {
        outcome: [
            row(report.run.score, report.run.baselines, report.checks) for row in (score_row, private_row)
        ]
        for outcome, report in reports.items()
    }
    for number in range(students * attempts):
        day, student = divmod(number, students)
        name, failed = f"s{student:05}", generator.random() < _FAILED_SHARE
        outcome = Outcome.RUNTIME_ERROR if failed else Outcome.OK
        submitted = _BEGIN + timedelta(days=day, seconds=86_000 * generator.random())
        run = {
            **runs[outcome],
            "number": number + 1,
            "id": f"{number:016x}",
            "student": name,
            "submission": name,
            "key": f"{number:064x}",
            "assignment_sha256": "0" * 64,
            "harness": "0.1.0",
            "submitted": microseconds(submitted),
            "recorded": microseconds(submitted),
            "train_seconds": 10 * generator.random(),
        }
        public, private = scores[outcome]
        score = {**public, "number": number + 1, "run": number + 1, "scored": microseconds(submitted)}
        hidden = {**private, "score": number + 1, "scored_by": OTHER_JUDGEMENT}
        if not failed:
            score["public"] = 35 + 60 * generator.random() / (day + 1)
            hidden["private"] = score["public"] + generator.normal()
        yield run, score, hidden


def fill_scored(folder: Path, runs: int) -> None:
    """Put runs with predictions into a new store, which were scored by answers that are not the reference's.

    Their predictions are the answers and noise, each with more of it than the one before.

    Args:
        folder: for the store.
        runs: how many, each of a student of its own.

    Raises:
        RuntimeError: there is no reference.
    """
    assignment = load_assignment(processes.ROOT / "assignments" / ID)
    data, reference = load_data(assignment), load_reference(REFERENCE, assignment)
    if reference is None:
        raise RuntimeError(f"there is no {REFERENCE}")
    store = Store(place_of(str(folder / FILE), None, folder))
    submission = load_submission(SUBMISSION, max_bytes=assignment.limits.submission_kb * 1024)
    answers, ran_by = reference.answers_for(data.test_ids), run_digest(assignment)
    generator, template = np.random.default_rng(_SEED), _report(Outcome.OK, submission)
    for number in range(runs):
        seed, ratio = number, 0.2
        rows = validation_rows(len(data.train_targets), ratio, seed)
        spread = 30 + 30 * number / runs
        predicted, validated = (
            (targets + generator.normal(0, spread, len(targets))).astype(np.float32)[:, None]
            for targets in (answers, data.train_targets[rows])
        )
        run = replace(
            template.run,
            run_id=f"{number:016x}",
            predictions=predicted,
            kept=Kept(seed, ratio, validated, b"weights"),
        )
        hand_in = HandIn(ID, f"s{number:05}", _BEGIN, f"{number:064x}", ran_by, OTHER_JUDGEMENT)
        store.record(hand_in, replace(template, run=run), submission)


def _report(outcome: Outcome, submission: Submission | None = None) -> Report:
    """As long as one of `ID` is; its figures are to be replaced."""
    assignment = load_assignment(processes.ROOT / "assignments" / ID)
    ok = outcome is Outcome.OK
    interval = Interval(44.712345678, (42.212345678, 47.212345678), 1311) if ok else None
    run = Run(
        run_id="",
        outcome=outcome,
        phase=None if ok else Phase.TRAIN,
        message="" if ok else "model.py:12: mat1 and mat2 shapes cannot be multiplied (16x56 and 57x40)",
        hint="",
        place=None,
        epochs=tuple(EpochClaim(epoch, 2e4 / epoch, 1.9e4 / epoch, 0.05) for epoch in range(1, 61))
        if ok
        else (),
        best_epoch=60 if ok else None,
        predictions=None,
        score=Score("rmse", "min", interval, interval, interval, test_loss=2049.1, chance=133.1),
        baselines=tuple(Baseline(tier.name, tier.threshold, ok, ok) for tier in assignment.tiers),
        runtime=Runtime(3.5, 0.22, 10.2, 2.4, 260_046_848),
        environment=Environment("bubblewrap", isolated=True, device="cpu", torch="2.13.0", python="3.11.2"),
        log=_LOG,
    )
    return Report(
        assignment=ID,
        title=assignment.title,
        submission_name="medium",
        submission_sha256=submission.sha256 if submission is not None else "0" * 64,
        run=run,
        checks=_checks(assignment, passed=ok),
        seconds_limit=assignment.limits.train_seconds,
    )


def _checks(assignment: Assignment, *, passed: bool) -> tuple[Check, ...]:
    message, outcome = ("", "passed") if passed else ("the outcome is runtime_error", "failed")
    names = [*type(assignment.points).model_fields]
    common = [Check(name, outcome, float(passed), 1.0, message) for name in names]
    tiers = [
        Check(f"beats_{tier.name}[{split}]", outcome, 0.5 * passed, 0.5, message, private=split == "private")
        for tier in assignment.tiers
        for split in ("public", "private")
    ]
    return (*common, *tiers)
