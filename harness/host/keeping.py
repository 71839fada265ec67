"""Keeps what was graded in the store, under what it was: whose, which work, and by which judgement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.identity import run_digest, run_key, score_digest
from harness.host.packing import unpack_submission
from harness.host.store.hand_ins import HandIn
from harness.host.submission import load_submission

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.grading import Graded
    from harness.host.records import Submission
    from harness.host.store.store import Store


@dataclass(frozen=True, slots=True)
class Basis:
    """What an assignment was when a grading began, as digests.

    Attributes:
        run: `run_digest`.
        score: `score_digest`.
    """

    run: str
    score: str


def basis_of(assignment: Assignment, reference: Path) -> Basis:
    """What an assignment and its hidden answers are now.

    Raises:
        UsageError: a file of them cannot be read.
    """
    return Basis(run_digest(assignment), score_digest(assignment, reference))


def keep(
    store: Store,
    graded: Graded,
    student: str,
    submitted: datetime,
    *,
    again: bool = False,
    basis: Basis | None = None,
) -> str:
    """Add a result to the store.

    Args:
        store: where it goes.
        graded: the result, and what it was made of.
        student: whose it is.
        submitted: when it was handed in, with a time zone.
        again: add it although the same work has a result.
        basis: what the assignment was before this was graded; None: nobody looked.

    Returns:
        The id of the run that is the result of this work: this one, or one that was there before.

    Raises:
        StoreError: it could not be kept.
        UsageError: the assignment has changed since, or a file of it cannot be read.
    """
    assignment = graded.assignment
    now = basis_of(assignment, graded.reference)
    if basis not in {None, now}:  # nobody could say by which answers it was scored
        raise UsageError(
            f"files of {assignment.id} or of its reference were changed while it was graded",
            "start the same command again",
        )
    hand_in = HandIn(
        assignment.id,
        student,
        submitted,
        key_of(assignment, graded.submission, graded.report.run.message),
        now.run,
        now.score,
    )
    report, submission = graded.report, graded.submission
    if again and submission is not None:
        submission = _as_it_was_read(store, hand_in, submission)
        place = submission.origin_of(report.run.place) if report.run.place else None
        report = replace(report, run=replace(report.run, place=place), notes=submission.notes)
    return store.record(hand_in, report, submission, again=again)


def _as_it_was_read(store: Store, hand_in: HandIn, submission: Submission) -> Submission:
    """A submission with what an earlier run of it knows of the notebook that its files were made of.

    Raises:
        StoreError: that cannot be read.
    """
    earlier = store.earlier(hand_in, submission)
    if submission.notes or earlier is None or not earlier["notes"]:
        return submission
    _, lines = unpack_submission(store.artifacts.get(earlier["content"]))
    return replace(submission, notes=tuple(earlier["notes"]), lines=lines)


def key_of(assignment: Assignment, submission: Submission | None, why: str) -> str:
    """What all gradings of the same work have in common; of what cannot be read, no data or limit decides.

    Args:
        assignment: what it is graded by.
        submission: what was handed in; None where it could not be read.
        why: it could not be read.
    """
    if submission is None:
        return run_key(assignment.id, f"unreadable: {why}", {})
    return run_key(run_digest(assignment), submission.sha256, submission.config)


def key_of_path(assignment: Assignment, path: Path) -> str:
    """`key_of` what lies at a path.

    Raises:
        UsageError: nothing is there, or a file of the assignment cannot be read.
    """
    try:
        submission = load_submission(path, max_bytes=assignment.limits.submission_kb * 1024)
    except InvalidSubmissionError as error:
        return key_of(assignment, None, error.message)
    return key_of(assignment, submission, "")
