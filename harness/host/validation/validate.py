"""Looks an assignment over: one part after the other, and the runs last, since they take the longest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.release.hidden import read_hidden
from harness.host.release.starter import STARTER
from harness.host.validation import answers, features, handout, rows, solutions, tiers
from harness.host.validation.findings import Finding, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.data import Data
    from harness.host.release.hidden import Hidden
    from harness.host.validation.solutions import Runner


def examine(assignment: Assignment, reference: Path, run: Runner | None) -> Iterator[Finding]:
    """Everything that a reviewer would look at.

    Args:
        assignment: the assignment.
        reference: the folder of its hidden answers.
        run: grades one submission; None: nothing is run.

    Raises:
        HarnessError: this machine could not run a solution.
    """
    try:
        data = load_data(assignment)
        hidden = read_hidden(assignment, data, reference)
    except UsageError as error:  # nothing can be said of the rest
        yield problem("data", error.message, error.fix)
        return
    yield from examine_data(assignment, data, hidden)
    yield from examine_what_students_get(assignment, data, hidden)
    yield from solutions.missing_solutions(assignment, reference)
    if run is not None:
        yield from solutions.check_starter_run(assignment, assignment.folder / STARTER, run)
        yield from solutions.check_solutions(assignment, reference, run)


def examine_data(assignment: Assignment, data: Data, hidden: Hidden) -> Iterator[Finding]:
    """Rows, features, answers, and the tiers that are measured by them."""
    known = hidden.answers.values
    yield from rows.find_twins(data, known)
    yield from rows.find_near_twins(assignment, data, known)
    yield from features.find_idle_features(data)
    yield from features.find_target_leaks(assignment, data)
    yield from features.find_shift(assignment, data, known)
    yield from answers.check_answers(assignment, data, hidden)
    yield from answers.check_order(data, hidden)
    yield from answers.check_split(assignment, hidden)
    yield from tiers.check_tiers(assignment, data, hidden)
    yield from tiers.check_points(assignment)


def examine_what_students_get(assignment: Assignment, data: Data, hidden: Hidden) -> Iterator[Finding]:
    """Handout, starter and kit."""
    yield from handout.check_handout(assignment, data)
    yield from handout.check_starter(assignment)
    yield from handout.check_kit(assignment, data, hidden)
