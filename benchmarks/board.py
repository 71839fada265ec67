"""What is made of a whole class's results: its leaderboard, its grades, and new scores.

Each command is a process of its own; what counts is its processor time beside imports (see ``costed.py``).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processes
import stores
from bars import BOARD_MEGABYTES, BOARD_SECONDS, beside
from contestants import script
from timings import Timing, race

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CSV, HTML, GRADES, RESCORE = "leaderboard csv", "leaderboard html", "grades csv", "rescore"
BOARDS = (CSV, HTML, GRADES, RESCORE)
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is.

    Attributes:
        students: of the class that is ranked and graded.
        attempts: of each of them.
        rescored: runs that are scored again.
    """

    students: int = 10_000
    attempts: int = 20
    rescored: int = 1_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took; `process_seconds` are those beside the imports."""

    process_seconds: float
    import_seconds: float
    wall_seconds: float
    peak_memory_bytes: int


def measure(names: Sequence[str], rounds: int, tell: Callable[[str], None], size: Size) -> dict[str, Any]:
    """The figures of the named ones, in turns, over stores that are made for it.

    Raises:
        RuntimeError: a command failed.
    """

    def told(number: int, name: str, cost: Cost) -> None:
        megabytes = cost.peak_memory_bytes / MEGABYTE
        tell(f"board, round {number}: {name} {cost.process_seconds:.2f} s, {megabytes:.0f} MB")

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tell(f"a store of {size.students} x {size.attempts} runs")
        costs = race(_contestants(names, Path(folder), size), rounds, told)
    return {
        "students": size.students,
        "attempts": size.attempts,
        "rescored": size.rescored,
        "rows": summarise(costs),
    }


def summarise(costs: Mapping[str, Sequence[Cost]]) -> list[dict[str, Any]]:
    """Times with their bars, and the most memory of any round with its bar."""
    rows = []
    for name, each in costs.items():
        seconds = Timing(tuple(one.process_seconds for one in each))
        memory = max(one.peak_memory_bytes for one in each)
        rows.append(
            {
                "name": name,
                "process_seconds": seconds.as_json(),
                "import_seconds": Timing(tuple(one.import_seconds for one in each)).as_json(),
                "wall_seconds": Timing(tuple(one.wall_seconds for one in each)).as_json(),
                "peak_memory_bytes": memory,
                "time": beside(seconds.median, BOARD_SECONDS.get(name)),
                "memory": beside(memory / MEGABYTE, BOARD_MEGABYTES),
            }
        )
    return rows


def _contestants(names: Sequence[str], folder: Path, size: Size) -> dict[str, Callable[[], Cost]]:
    ranked, scored = folder / "class", folder / "scored"
    if any(name != RESCORE for name in names):
        ranked.mkdir()
        stores.fill_class(ranked, size.students, size.attempts)
    if RESCORE in names:
        scored.mkdir()
        stores.fill_scored(scored, size.rescored)
    of_class = [stores.ID, "--store", str(ranked / stores.FILE)]
    starts: dict[str, Callable[[], Cost]] = {RESCORE: partial(_rescore, scored)}
    for name in (CSV, HTML, GRADES):
        command, form = name.split()
        out = ["--format", form, "--out", str(folder / f"{command}.{form}")]
        starts[name] = partial(_cost, folder, [command, *of_class, *out])
    return {name: starts[name] for name in names}


def _rescore(scored: Path) -> Cost:
    """Score the runs in a copy of the store: once its new scores are in it, there is nothing left to do."""
    copy = scored / f"copy-{stores.FILE}"
    shutil.copy(scored / stores.FILE, copy)
    where = [
        "--store",
        str(copy),
        "--artifacts",
        str(scored / "artifacts"),
        "--reference",
        str(stores.REFERENCE),
    ]
    return _cost(scored, ["rescore", stores.ID, *where, "--yes"])


def _cost(folder: Path, arguments: Sequence[str]) -> Cost:
    file = folder / "cost.json"
    processes.run([*script("costed.py"), str(file), *arguments])
    return Cost(**json.loads(file.read_text()))
