"""Writes the page of each run that its student may read; nothing of the private split is read for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from harness.host.errors import UsageError
from harness.host.report.cells import cell
from harness.host.report.document import write_feedback
from harness.host.report.files import write_atomically
from harness.host.store.listing import current_runs
from harness.host.store.rows import read_report

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.store.store import Store

INDEX = "index.csv"


def write_pages(store: Store, assignment: str, folder: Path) -> int:
    """Write ``RUN.html`` for each run of an assignment, and a table that says whose each is.

    Args:
        store: where the runs are.
        assignment: its id.
        folder: it is made.

    Returns:
        How many pages there are.

    Raises:
        UsageError: the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder {folder} cannot be made: {error.strerror}", "name another one"
        ) from error
    index = []
    for rows in current_runs(store, assignment, private=False):
        report = read_report(rows.run, rows.curve, rows.score, None)
        file = f"{report.run.run_id}.html"
        write_feedback(report, folder / file)
        index.append(
            (cell(rows.run["student"]), cell(rows.run["submission"]), report.run.outcome.value, file)
        )
    table = pd.DataFrame(index, columns=["student", "submission", "outcome", "page"])
    write_atomically(table.to_csv(index=False, lineterminator="\n"), folder / INDEX)
    return len(index)
