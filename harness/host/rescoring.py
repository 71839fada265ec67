"""Scores stored runs again, by the answers, tiers and checks as they are now, without running anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.host import scoring
from harness.host.checking import Checkable, check_runs
from harness.host.data import load_data
from harness.host.errors import StoreError, UsageError
from harness.host.identity import run_digest, score_digest
from harness.host.packing import unpack_submission
from harness.host.records import Kept, Score
from harness.host.reference import load_reference
from harness.host.store.listing import current_runs
from harness.host.store.rows import read_report
from harness.host.submission import submission_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from sqlalchemy import RowMapping

    from harness.host.assignment import Assignment
    from harness.host.records import Check, Report, Run, Submission
    from harness.host.store.listing import Rows
    from harness.host.store.store import Store


@dataclass(frozen=True, slots=True)
class Change:
    """One run that was scored again.

    Attributes:
        number: of the run.
        student: whose it is.
        before: its report by its newest score in the store.
        after: its report by the score that it gets now.
    """

    number: int
    student: str
    before: Report
    after: Report

    @property
    def is_none(self) -> bool:
        """Whether points and scores stay as they were."""
        return _figures(self.before) == _figures(self.after)


@dataclass(frozen=True, slots=True)
class Rescoring:
    """What scoring again comes to.

    Attributes:
        changes: of the runs that were scored by other answers, tiers or checks; also those that stay equal.
        up_to_date: how many were scored by these already.
        other_data: how many were run with other data or limits, and must be run again to be comparable.
        lost: why the others keep their scores: what they are made of is gone.
        scored_by: what the changes are to be stored with.
    """

    changes: tuple[Change, ...]
    up_to_date: int
    other_data: int
    lost: tuple[StoreError, ...]
    scored_by: str


@dataclass(frozen=True, slots=True, eq=False)
class _Again(Checkable):
    """A run with its new score, and with all that a check may look at."""

    number: int
    student: str
    before: Report


class Rescorer:
    """Scores an assignment's runs again.

    Args:
        store: has them.
        assignment: as it is now.
        reference: the folder of the hidden answers, as they are now.
    """

    def __init__(self, store: Store, assignment: Assignment, reference: Path) -> None:
        self._store, self._assignment, self._reference = store, assignment, reference
        self._data = load_data(assignment)
        self._answers = load_reference(reference, assignment)
        self._ran_by, self._scored_by = run_digest(assignment), score_digest(assignment, reference)
        self._up_to_date = self._other_data = 0
        self._changes: list[Change] = []
        self._lost: list[StoreError] = []

    def run(self) -> Rescoring:
        """Score all runs that were scored by something else; nothing is written.

        Raises:
            UsageError: the reference or a check is broken, or there is none and scores would be lost.
            StoreError: the store cannot be read.
        """
        check_runs(self._assignment, self._outdated(), self._checked, has_reference=self._answers is not None)
        changes, lost = tuple(self._changes), tuple(self._lost)
        return Rescoring(changes, self._up_to_date, self._other_data, lost, self._scored_by)

    def _outdated(self) -> Iterator[_Again]:
        for rows in current_runs(self._store, self._assignment.id, private=True):
            if rows.private is not None and rows.private["scored_by"] == self._scored_by:
                self._up_to_date += 1
            elif rows.run["content"] is not None and rows.run["assignment_sha256"] != self._ran_by:
                self._other_data += 1
            elif self._answers is None and rows.score["public_rows"] is not None:
                raise UsageError(
                    f"the runs were scored by hidden answers, and there are none in {self._reference}",
                    "name the folder that holds reference.toml: --reference DIR",
                )
            else:
                try:
                    again = self._again(rows)
                except StoreError as error:
                    self._lost.append(error)
                else:
                    yield again

    def _again(self, rows: Rows) -> _Again:
        before = read_report(rows.run, rows.curve, rows.score, rows.private)
        run = replace(self._scored(rows, before.run), log=self._store.log_of(rows.run))
        return _Again(self._submission(rows.run), run, rows.run["number"], rows.run["student"], before)

    def _scored(self, rows: Rows, run: Run) -> Run:
        """The run with the score that it gets now, and with its predictions for the checks to see."""
        metric = self._assignment.metric
        if rows.run["seed"] is None:  # it never reached a sandbox
            return replace(run, score=Score(metric.name, metric.direction), baselines=())
        predictions = self._array(rows.run, "test_predictions")
        kept = Kept(rows.run["seed"], rows.run["valid_ratio"], self._array(rows.run, "valid_predictions"))
        score = scoring.score_stored(self._assignment, self._data, self._answers, predictions, kept)
        baselines = scoring.baselines(self._assignment, score)
        return replace(run, predictions=predictions, score=score, baselines=baselines, kept=kept)

    def _array(self, row: RowMapping, name: str) -> NDArray[np.float32] | None:
        if row[name] is None:
            return None
        content = self._store.artifacts.get(row[name])
        try:
            return np.frombuffer(content, dtype="<f4").reshape(-1, self._assignment.outputs)
        except ValueError as error:
            raise StoreError(
                f"the {name.replace('_', ' ')} of run {row['id']} are not of this assignment",
                f"run it again: harness regrade {self._assignment.id} --run {row['id']}",
            ) from error

    def _submission(self, row: RowMapping) -> Submission | None:
        if row["content"] is None:
            return None
        files, _ = unpack_submission(self._store.artifacts.get(row["content"]))
        return submission_of(row["submission"], files, Path(row["submission"]))

    def _checked(self, again: Checkable, checks: tuple[Check, ...]) -> None:
        if not isinstance(again, _Again):
            raise TypeError(type(again))
        run = replace(again.before.run, score=again.run.score, baselines=again.run.baselines)
        after = replace(again.before, run=run, checks=checks)  # without predictions, of many runs at once
        self._changes.append(Change(again.number, again.student, again.before, after))


def _figures(report: Report) -> tuple[object, ...]:
    score = report.run.score
    values = [
        None if part is None else part.value for part in (score.validation, score.public, score.private)
    ]
    return (report.points, report.max_points, score.metric, *values)
