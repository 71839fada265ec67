"""The benchmark of boards and new scores: its made-up stores, and what it counts as cost."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.assignment import load_assignment
from harness.host.leaderboard.board import Wanted, make_board
from harness.host.rescoring import Rescorer
from harness.host.store.listing import current_runs
from harness.host.store.place import place_of
from harness.host.store.rows import read_report
from harness.host.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
BURN = """
import time

def burn():
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass

"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a module of ``benchmarks/`` as its scripts do, and forgets all of them afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_time_and_memory_of_a_board_stand_beside_their_bars(script: Callable[[str], Any]) -> None:
    """The median of the times, and the most memory of any round."""
    board = script("board")
    costs = [
        board.Cost(seconds, 0.7, 3.0, size) for seconds, size in ((1.0, 100), (2.0, 600_000_000), (9.0, 5))
    ]
    csv, grades = board.summarise({"leaderboard csv": costs, "grades csv": costs[:1]})
    assert (csv["process_seconds"]["median"], csv["peak_memory_bytes"]) == (2.0, 600_000_000)
    assert csv["time"] == {"bar": "<= 2.00", "bar_kept": True}
    assert csv["memory"] == {"bar": "<= 500.00", "bar_kept": False}
    assert (grades["time"]["bar"], grades["memory"]["bar_kept"]) == (None, True)


def test_a_generated_class_has_as_many_runs_as_was_asked_for(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    """On both splits, with all attempts, failed ones among them, over as many days."""
    script("stores").fill_class(tmp_path, students=12, attempts=5)
    assignment = load_assignment(FOLDER.parent / "assignments" / "hw1-bikes")
    store = Store(place_of(str(tmp_path / "runs.sqlite"), None, tmp_path))
    for split in ("public", "private"):
        board = make_board(store, assignment, tmp_path, Wanted(split=split), lambda _: None)
        students = board.rows[board.rows["kind"] == "submission"]
        assert (len(students), int(students["attempts"].sum())) == (12, 60)
        assert 0 < (~board.runs["finished"]).sum() < 30
        assert len(board.history()) == 5
    for rows in current_runs(store, assignment.id, private=True):
        report = read_report(rows.run, rows.curve, rows.score, rows.private)
        assert (report.points == report.max_points) == (report.run.outcome == "ok")


def test_generated_runs_are_scored_again_by_the_answers(script: Callable[[str], Any], tmp_path: Path) -> None:
    """Their predictions are the answers and noise, so the score is the noise's spread, which grows."""
    stores = script("stores")
    stores.fill_scored(tmp_path, runs=3)
    assignment = load_assignment(FOLDER.parent / "assignments" / "hw1-bikes")
    store = Store(place_of(str(tmp_path / "runs.sqlite"), None, tmp_path))
    rescoring = Rescorer(store, assignment, stores.REFERENCE).run()
    assert (rescoring.up_to_date, rescoring.other_data) == (0, 0)
    scores = [change.after.run.score for change in rescoring.changes]
    for spread, score in zip((30, 40, 50), scores, strict=True):
        for part in (score.validation, score.public, score.private):
            assert part is not None
            assert part.value == pytest.approx(spread, rel=0.1)


def test_what_a_command_costs_is_counted_beside_its_imports(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    """The command does its work, and most of its time on a tiny store is that of imports."""
    script("stores").fill_class(tmp_path, students=3, attempts=2)
    out = tmp_path / "board.csv"
    where = ["--store", str(tmp_path / "runs.sqlite"), "--format", "csv", "--out", str(out)]
    command = [*script("contestants").script("costed.py"), str(tmp_path / "cost.json")]
    script("processes").run([*command, "leaderboard", "hw1-bikes", *where])
    cost = script("board").Cost(**json.loads((tmp_path / "cost.json").read_text()))
    assert out.read_text().count("submission") == 3
    assert 0 < cost.process_seconds < cost.import_seconds
    assert 20_000_000 < cost.peak_memory_bytes < 1_000_000_000


def test_an_import_within_another_is_counted_once(
    script: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All processor time of modules is that of imports, and no time of what is called afterwards."""
    (tmp_path / "costly_inner.py").write_text(f"{BURN}burn()\n")
    (tmp_path / "costly_outer.py").write_text("import costly_inner\ncostly_inner.burn()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    imports = script("costed").CountedImports()
    monkeypatch.setattr(sys, "meta_path", [imports, *sys.meta_path])
    outer = importlib.import_module("costly_outer")
    assert 0.2 <= imports.seconds < 0.3
    outer.costly_inner.burn()
    assert imports.seconds < 0.3
    for name in ("costly_inner", "costly_outer"):
        monkeypatch.delitem(sys.modules, name)
