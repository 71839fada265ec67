"""Nothing of the private split is in what students get, nor in anything that was read to make it."""

from __future__ import annotations

import io
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import Engine, event, select
from typer.testing import CliRunner

from harness.host.cli import app
from harness.host.errors import StoreError
from harness.host.exports.counting import counting_runs
from harness.host.leaderboard.formats import WRITERS
from harness.host.report.document import write_feedback
from harness.host.store.tables import CHOICES, CURVES, METADATA, PRIVATE_SCORES, RUNS, SCORES
from tests.boards import assignment_in, board_of, reference_in
from tests.stored import Made, later, store_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.host.records import Report
    from harness.host.store.store import Store

ASSIGNMENT = "hw1-bikes"
# Figures of the private split, and what they would be rounded to; no public figure begins so.
PLANTED = {
    "score": ("31.23456789", "31.234", "31.23", "31.2"),
    "interval": ("30.23456789", "30.23", "32.23456789", "32.23", "32.2"),
    "points": ("1.3125", "1.312", "1.31"),
    "points in all": ("4.3125", "4.312", "4.31"),
    "message": ("planted hint",),
    "check": ("beats_planted",),
    "digest": ("c" * 64, "c" * 12),
}
FORMS = tuple(WRITERS)
PAGES = 4  # of the runs that none replaces
FEEDBACK = ("html", "md", "json")


def report_of(made: Made, score: float, points: float, message: str, *, beaten: bool) -> Report:
    """The report of a run with these things in its private half."""
    report = replace(made, private=score, hidden=points).report()
    checks = tuple(
        replace(check, name="beats_planted[private]", message=message) if check.private else check
        for check in report.checks
    )
    baselines = tuple(replace(tier, private=beaten) for tier in report.run.baselines)
    return replace(report, run=replace(report.run, baselines=baselines), checks=checks)


def fill(store: Store, score: float, points: float, message: str, *, beaten: bool) -> None:
    """Three students: one who got better within a week and chose, one run again, and one without a score."""
    for number, made in enumerate(
        (
            Made("s001", public=55.5, submitted=later(-9), model="a"),
            Made("s001", public=50.0, submitted=later(-1), model="b"),
            Made("s002", public=60.0, submitted=later(-2)),
            Made("s003", public=None, submitted=later(-3)),
        ),
    ):
        named = replace(made, run_id=f"{number:016x}")
        report = report_of(named, score + number * 1e-9, points, message, beaten=beaten)
        named.into(store, report=report, scored_by="c" * 64)
    again = Made("s002", public=61.0, submitted=later(-2), run_id=f"{9:016x}")
    report = report_of(again, score, points, message, beaten=beaten)
    again.into(store, report=report, scored_by="c" * 64, again=True)
    store.choose(f"{0:016x}")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course's folder with a store in which the private half is planted; the commands work in it."""
    assignment_in(tmp_path)
    reference_in(tmp_path)
    (tmp_path / "results").mkdir()
    fill(store_in(tmp_path / "results"), 31.23456789, 1.3125, "planted hint", beaten=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def harness(*arguments: str) -> str:
    """What a command printed; it went well."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def public_exports(folder: Path) -> dict[str, bytes]:
    """What the public commands print and write: boards in every form, under names and aliases, and pages."""
    out = folder / "out"
    out.mkdir()
    board = ("leaderboard", ASSIGNMENT, "--split", "public", "--as-of", "2030-03-01T12:00+00:00")
    printed = {}
    for selected, names in (("best", "real"), ("last", "real"), ("chosen", "real"), ("best", "aliases")):
        options = ("--select", selected, "--names", names, "--reference", "reference")
        printed[f"{selected} {names} table"] = harness(*board, *options)
        for form in FORMS:
            file = out / f"{selected}-{names}.{form}"
            harness(*board, *options, "--format", form, "--out", str(file))
    printed["pages"] = harness("pages", ASSIGNMENT, "--out", str(out / "pages")).replace(str(folder), "")
    printed["runs"] = harness("runs", ASSIGNMENT)
    printed["log"] = harness("log", f"{1:016x}")
    store = store_in(folder / "results")
    for form in FEEDBACK:  # as `show --feedback` does, which shows its staff the private half on the terminal
        write_feedback(store.read(f"{1:016x}", private=False).report, out / f"feedback.{form}")
    files = {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }
    return {**files, **{name: text.encode() for name, text in printed.items()}}


def found_in(data: bytes | str, name: str = "") -> list[str]:
    """What of the planted is in some data; a table of columns is read, since it is packed."""
    content = data.encode() if isinstance(data, str) else data
    if name.endswith(".parquet"):
        content += pd.read_parquet(io.BytesIO(content)).to_csv().encode()
    return [each for kind in PLANTED.values() for each in kind if each.encode() in content]


@contextmanager
def connections(prepare: Callable[[sqlite3.Connection], None]) -> Iterator[None]:
    """Prepare each connection that is opened meanwhile, whoever opens it."""

    def connected(connection: sqlite3.Connection, _: object) -> None:
        prepare(connection)

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


def deny_private_scores(connection: sqlite3.Connection) -> None:
    """Have SQLite refuse to read any column of the private scores."""

    def allowed(action: int, table: str | None, *_: str | None) -> int:
        private = action == sqlite3.SQLITE_READ and table == PRIVATE_SCORES.name
        return sqlite3.SQLITE_DENY if private else sqlite3.SQLITE_OK

    connection.set_authorizer(allowed)


def test_no_public_export_has_anything_of_the_private_split(course: Path) -> None:
    """Not in full precision, not rounded, and no check, point, message or digest of it."""
    exports = public_exports(course)
    assert {name: found_in(data, name) for name, data in exports.items() if found_in(data, name)} == {}
    files = [name for name in exports if "." in name]
    assert len(files) == 4 * len(FORMS) + PAGES + 1 + len(FEEDBACK)
    assert all(b"s001" in data for name, data in exports.items() if "real" in name and "parquet" not in name)


def test_public_exports_are_the_same_whatever_the_private_split_says(course: Path, tmp_path: Path) -> None:
    """Byte for byte, with other private scores, points, messages and verdicts: so nothing of them shows."""
    exports = public_exports(course)
    (course / "results").rename(course / "before")
    (course / "out").rename(course / "out-before")
    (course / "results").mkdir()
    fill(store_in(tmp_path / "results"), 77.7, 0.5, "another", beaten=True)
    assert public_exports(course) == exports


def test_public_exports_work_where_the_private_scores_cannot_be_read(course: Path) -> None:
    """SQLite itself refuses to read a column of them, and all comes out the same."""
    exports = public_exports(course)
    (course / "out").rename(course / "out-before")
    with connections(deny_private_scores):
        assert public_exports(course) == exports


def test_what_is_for_staff_cannot_be_made_without_the_private_scores(course: Path) -> None:
    """The control: reading is refused indeed, and these do read them."""
    assignment = assignment_in(course / "other")
    with connections(deny_private_scores):
        store = store_in(course / "results")
        for read in (
            lambda: board_of(store, assignment, split="private"),
            lambda: counting_runs(store, assignment, "best", None),
            lambda: store.read(f"{1:016x}", private=True),
        ):
            with pytest.raises(StoreError, match=r"private_scores\..* is prohibited"):
                read()


def test_what_is_for_staff_has_the_private_split(course: Path) -> None:
    """The control: what is planted is found by the search, rounded on a board and whole in a report."""
    private = ("leaderboard", ASSIGNMENT, "--split", "private")
    assert found_in(harness(*private)) == ["31.23", "31.2"]
    for form in FORMS:
        harness(*private, "--format", form, "--out", f"board.{form}")
        assert "31.23" in found_in((course / f"board.{form}").read_bytes(), f"board.{form}")
        assert "31.234" not in found_in((course / f"board.{form}").read_bytes(), f"board.{form}")
    shown = harness("show", f"{0:016x}", "--json", "staff.json", "--feedback", "student.json")
    assert {"31.23", "30.23", "4.31", "beats_planted"} <= set(found_in(shown))
    staff = (course / "staff.json").read_text()
    assert {"31.23456789", "1.3125", "4.3125", "planted hint", "beats_planted"} <= set(found_in(staff))
    assert found_in((course / "student.json").read_bytes()) == []


def test_no_row_that_is_read_for_students_tells_of_the_private_split(course: Path) -> None:
    """Every row that any connection fetches meanwhile is looked at."""
    rows: list[tuple[Any, ...]] = []

    def record(connection: sqlite3.Connection) -> None:
        def fetched(_: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
            rows.append(row)
            return row

        connection.row_factory = fetched

    with connections(record):
        public_exports(course)
        assert len(rows) > 100
        assert found_in(repr(rows)) == []
        rows.clear()
        harness("leaderboard", ASSIGNMENT, "--split", "private")
    assert found_in(repr(rows)) == ["31.23456789", "31.234", "31.23", "31.2"]


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_only_one_table_tells_of_the_private_split(course: Path, table: Any) -> None:
    """No other has a figure, a name, a message or a digest of it; also no sum that it is in."""
    store = store_in(course / "results")
    store.record_fault(ASSIGNMENT, "s009", "s009", "it is gone", "")
    with store.database.reading() as connection:
        rows = [tuple(row) for row in connection.execute(select(table))]
    assert rows
    found = {kind for kind, texts in PLANTED.items() if set(texts) & set(found_in(repr(rows)))}
    if table is PRIVATE_SCORES:
        assert found == set(PLANTED) - {"points in all"}
    else:
        assert found == set()


def test_the_columns_for_students_have_other_names() -> None:
    """A figure of the private split would need a column, and there is none for it."""
    names = {column.name for table in (RUNS, CURVES, SCORES, CHOICES) for column in table.columns}
    own = {"private", "private_low", "private_high", "private_rows", "test_loss", "scored_by"}
    assert own <= {column.name for column in PRIVATE_SCORES.columns}
    assert not own & names
