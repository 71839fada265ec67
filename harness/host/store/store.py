"""The store of results: what was graded is added once and stays; every answer is computed from all of it.

Artifacts are written before the rows that name them, and the rows of one run in one transaction: whoever is
killed in between leaves bytes that nothing refers to, and no half of a result.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, make_url, select

from harness.host.errors import UsageError
from harness.host.identity import config_digest, harness_version
from harness.host.packing import pack_submission
from harness.host.store.artifacts import Artifacts
from harness.host.store.database import Database
from harness.host.store.hand_ins import Graded, microseconds, moment
from harness.host.store.listing import is_current
from harness.host.store.migrations import migrate
from harness.host.store.rows import (
    curve_row,
    private_row,
    read_report,
    run_row,
    score_row,
    storable,
)
from harness.host.store.tables import CHOICES, CURVES, FAULTS, PRIVATE_SCORES, RUNS, SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from harness.host.records import Report, Submission
    from harness.host.store.hand_ins import HandIn
    from harness.host.store.place import Place

_SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as the store has it.

    Attributes:
        report: without predictions.
        row: the row of `runs`.
    """

    report: Report
    row: RowMapping

    @property
    def student(self) -> str:
        """Who handed it in."""
        return str(self.row["student"])

    @property
    def submitted(self) -> datetime:
        """When it was handed in."""
        return moment(self.row["submitted"])


class Store:
    """The results of a course.

    Args:
        place: where it is; its tables are made where there are none.
        make: whether a database that is a file is made too, with its folder, where it is not there.

    Raises:
        UsageError: the URL is not known here, there is no such file, or it is none of this harness's stores.
        StoreError: the database cannot be opened.
    """

    def __init__(self, place: Place, *, make: bool = True) -> None:
        self.database = Database(make_url(place.url), "the store of results")
        self.artifacts = Artifacts(place.artifacts)
        if self.database.is_sqlite:
            file = Path(self.database.name)
            if not make and not os.path.lexists(file):
                raise UsageError(
                    f"there is no store of results in {file}",
                    "grade into it: harness batch FOLDER; or name another one: --store FILE",
                )
            with suppress(OSError):  # which the database says better
                file.parent.mkdir(parents=True, exist_ok=True)
        migrate(self.database)

    def record(
        self, hand_in: HandIn, report: Report, submission: Submission | None, *, again: bool = False
    ) -> str:
        """Add a result, unless the same work that was handed in at the same time has one.

        Args:
            hand_in: whose it is.
            report: with the run's predictions and what is kept.
            submission: as it was read; None if it could not be.
            again: add it although there is one.

        Returns:
            The id of the run that is the result now.

        Raises:
            StoreError: it could not be stored, and nothing of it was.
        """
        row = run_row(report) | self._artifacts_of(report, submission)
        row |= {
            "student": storable(hand_in.student),
            "key": hand_in.key,
            "assignment_sha256": hand_in.assignment_sha256,
            "harness": harness_version(),
            "submitted": microseconds(hand_in.submitted),
            "recorded": time.time_ns() // 1000,
        }
        with self.database.writing() as connection:
            self.database.alone(connection, f"adds to {hand_in.assignment} of {row['student']}")
            if not again and (recorded := _recorded(connection, row)) is not None:
                return recorded
            row["replaces"] = _replaced(connection, row)
            number = connection.execute(insert(RUNS).returning(RUNS.c.number), row).scalar_one()
            if report.run.epochs:
                connection.execute(insert(CURVES), {"run": number, **curve_row(report.run)})
            _add_score(connection, number, report, hand_in.scored_by)
        return report.run.run_id

    def earlier(self, hand_in: HandIn, submission: Submission) -> RowMapping | None:
        """The row of the newest run of the very same hand-in, which may be run again; None: there is none."""
        same = {
            "assignment": hand_in.assignment,
            "student": storable(hand_in.student),
            "submission_sha256": submission.sha256,
            "submitted": microseconds(hand_in.submitted),
        }
        with self.database.reading() as connection:
            number = _replaced(connection, same)
            return connection.execute(select(RUNS).where(RUNS.c.number == number)).mappings().first()

    def record_scores(self, reports: Mapping[int, Report], scored_by: str) -> None:
        """Add newer scores of runs, which count from now on: all of them or none.

        Args:
            reports: with their new scores, baselines and checks, by the numbers of the runs.
            scored_by: `harness.host.identity.score_digest`.

        Raises:
            StoreError: they could not be stored.
        """
        with self.database.writing() as connection:
            for number, report in reports.items():
                _add_score(connection, number, report, scored_by)

    def record_fault(self, assignment: str, student: str, submission: str, message: str, fix: str) -> None:
        """Keep why a submission could not be graded."""
        row = {
            "assignment": assignment,
            "student": storable(student),
            "submission": storable(submission),
            "happened": time.time_ns() // 1000,
            "message": storable(message),
            "fix": storable(fix),
        }
        with self.database.writing() as connection:
            connection.execute(insert(FAULTS), row)

    def choose(self, run_id: str) -> RowMapping:
        """Have a run count for its student, where boards and grades are made with ``--select chosen``.

        Returns:
            The row of `runs`.

        Raises:
            UsageError: there is no such run.
        """
        with self.database.writing() as connection:
            row = _run(connection, run_id)
            connection.execute(insert(CHOICES), {"run": row["number"], "chosen": time.time_ns() // 1000})
        return row

    def graded(self, assignment: str) -> Graded:
        """What an assignment's students have results for."""
        with self.database.reading() as connection:
            columns = (RUNS.c.student, RUNS.c.submitted, RUNS.c.key, RUNS.c.id)
            query = select(*columns).where(RUNS.c.assignment == assignment, is_current())
            return Graded(connection.execute(query.order_by(RUNS.c.number)))

    def read(self, run_id: str, *, private: bool) -> Stored:
        """One run with its newest score.

        Args:
            run_id: or the beginning of it that no other run has.
            private: whether the report tells of the private split; if not, nothing of that is read.

        Raises:
            UsageError: there is no such run, or several begin so.
        """
        with self.database.reading() as connection:
            row = _run(connection, run_id)
            curve = connection.execute(select(CURVES).where(CURVES.c.run == row["number"])).mappings().first()
            newest = select(SCORES).where(SCORES.c.run == row["number"]).order_by(SCORES.c.number.desc())
            score = connection.execute(newest.limit(1)).mappings().one()
            hidden = None
            if private:
                of_score = select(PRIVATE_SCORES).where(PRIVATE_SCORES.c.score == score["number"])
                hidden = connection.execute(of_score).mappings().one()
        return Stored(read_report(row, curve, score, hidden), row)

    def log_of(self, row: Mapping[Any, Any]) -> str:
        """All that a run's code printed, as far as its cap let it."""
        return self.artifacts.get(row["log"]).decode() if row["log"] else str(row["log_tail"])

    def _artifacts_of(self, report: Report, submission: Submission | None) -> dict[str, str | None]:
        """Write what a run was made of, and return the columns that name it."""
        run = report.run
        contents = {
            "content": pack_submission(submission) if submission is not None else b"",
            "log": run.log.encode("utf-8", "backslashreplace"),
            "weights": run.kept.weights if run.kept is not None else b"",
            "test_predictions": run.predictions.tobytes() if run.predictions is not None else b"",
            "valid_predictions": b"",
        }
        if run.kept is not None and run.kept.valid_predictions is not None:
            contents["valid_predictions"] = run.kept.valid_predictions.tobytes()
        columns = {
            name: self.artifacts.put(content) if content else None for name, content in contents.items()
        }
        config = config_digest(submission.config) if submission is not None else None
        return {**columns, "config_sha256": config}


def _add_score(connection: Connection, number: int, report: Report, scored_by: str) -> None:
    score, baselines, checks = report.run.score, report.run.baselines, report.checks
    row = {"run": number, "scored": time.time_ns() // 1000, **score_row(score, baselines, checks)}
    score_number = connection.execute(insert(SCORES).returning(SCORES.c.number), row).scalar_one()
    hidden = {"score": score_number, "scored_by": scored_by, **private_row(score, baselines, checks)}
    connection.execute(insert(PRIVATE_SCORES), hidden)


def _recorded(connection: Connection, row: Mapping[str, Any]) -> str | None:
    """The id of the run that is the result of the very same hand-in."""
    same = ("assignment", "student", "key", "submitted")
    query = select(RUNS.c.id).where(*(RUNS.c[name] == row[name] for name in same), is_current())
    found: str | None = connection.execute(query.order_by(RUNS.c.number.desc()).limit(1)).scalar()
    return found


def _replaced(connection: Connection, row: Mapping[str, Any]) -> int | None:
    """The number of the newest run of the same hand-in, which was run again since."""
    same = ("assignment", "student", "submission_sha256", "submitted")
    query = select(func.max(RUNS.c.number)).where(*(RUNS.c[name] == row[name] for name in same))
    number: int | None = connection.execute(query).scalar_one()
    return number


def _run(connection: Connection, run_id: str) -> RowMapping:
    prefix = run_id.strip().lower()
    if not (prefix.isalnum() and prefix.isascii() and len(prefix) >= _SHORTEST_PREFIX):
        raise UsageError(f"{run_id!r} is no run", "`harness runs` lists them with their ids")
    query = select(RUNS).where(func.substr(RUNS.c.id, 1, len(prefix)) == prefix).limit(2)
    found = list(connection.execute(query).mappings())
    if len(found) != 1:
        what = "several runs begin with" if found else "there is no run"
        raise UsageError(f"{what} {prefix}", "`harness runs` lists them with their ids")
    return found[0]
