"""Finds stored runs that must be run again, and lays out what was handed in as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.errors import StoreError, UsageError
from harness.host.handed_in import HandedIn
from harness.host.identity import harness_version, run_digest
from harness.host.packing import unpack_submission
from harness.host.store.hand_ins import moment
from harness.host.store.listing import current_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sqlalchemy import RowMapping

    from harness.host.assignment import Assignment
    from harness.host.store.store import Store


def to_run_again(
    store: Store, assignment: Assignment, named: Sequence[str], *, everything: bool
) -> list[RowMapping]:
    """The rows of the runs to run again.

    Args:
        store: where they are.
        assignment: as it is now.
        named: ids of runs, or beginnings of them; empty: those of other data, limits or harness, where there
            is something to run.
        everything: all, whatever made them.

    Raises:
        UsageError: there is no such run, or it is of another assignment.
    """
    if named:
        found = (store.read(each, private=False).row for each in named)
        rows = list({row["number"]: row for row in found}.values())
        if other := next((row for row in rows if row["assignment"] != assignment.id), None):
            raise UsageError(
                f"run {other['id']} is of {other['assignment']}, not of {assignment.id}",
                f"harness regrade {other['assignment']} --run {other['id']}",
            )
        return rows
    now = (run_digest(assignment), harness_version())
    rows = [rows.run for rows in current_runs(store, assignment.id, private=False)]
    if everything:
        return rows
    outdated = (row for row in rows if (row["assignment_sha256"], row["harness"]) != now)
    return [row for row in outdated if row["content"] is not None]


def lay_out(
    store: Store, rows: Iterable[RowMapping], folder: Path
) -> tuple[list[HandedIn], list[StoreError]]:
    """Write what was handed in into a folder each, under its own name.

    Of a submission that could not be read nothing was kept, so it cannot be run again; it is left out.

    Args:
        store: has the files.
        rows: of the runs.
        folder: an empty one.

    Returns:
        What there is to run, and why the others cannot be: their files are gone.
    """
    handed_in, lost = [], []
    for row in rows:
        if row["content"] is None:
            continue
        try:
            files, _ = unpack_submission(store.artifacts.get(row["content"]))
        except StoreError as error:
            lost.append(error)
            continue
        home = folder / row["id"] / _safe(row["submission"])
        for path, content in files.items():
            file = home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        name = f"{row['student']} ({row['id']})"
        handed_in.append(HandedIn(name, row["student"], home, moment(row["submitted"])))
    return handed_in, lost


def _safe(name: str) -> str:
    """A submission's name as the name of a folder."""
    plain = name.replace("/", "_").replace("\0", "_").strip(".")
    return plain.encode()[:200].decode(errors="ignore") or "submission"
