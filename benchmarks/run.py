"""Times the harness against what its users would do without it, and shows ratios, each beside its bar.

The groups are

- processes: the lecture's loops in one plain script, and ``harness grade``, each a process that comes and
  goes;
- warm: ``harness grade --watch``, from an edit of the submission to the report;
- batch: ``harness batch`` over a class's submissions, against ``xargs`` with the plain script;
- loops: the training loops alone, in one process, on the processor and on a GPU where there is one;
- board: the leaderboard and the grades of 10,000 students with 20 attempts each, and 1,000 runs scored again;
- others: PyTorch Lightning's ``Trainer`` and otter-grader's ``otter run``, where they are installed;
- scaling: how times grow with rows, features, epochs and submissions (asked for by ``--only scaling``; its
  figures are written beside the others, into ``bench-scaling.json``).

All contestants of a workload take turns in every round, so that the machine's noise hits them alike. A first
round is not counted: it warms the page cache and leaves Python's bytecode behind. All processes are started
without Python's own variables, since PYTHONDONTWRITEBYTECODE, which shells and CI may set, would have the
plain script compile PyTorch at each start. The exit status is 1 where contestants came to other losses than
the plain script's, so that they did not do the same work, and 2 where one failed; what was measured until
then is written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import board
import lineup
import machine
import phases
import processes
import scaling
import workloads
from available import SANDBOXES
from bars import HELP_SECONDS, beside
from batch import race_batches
from contestants import Sample, script
from rich.console import Console
from summary import did_other_work, summarise
from tables import show
from timings import Timing, race

SCHEMA = "harness/bench/v2"
BATCH_WORKLOAD = LOOPS_WORKLOAD = "hw1-bikes-16"
PHASE_ROUNDS = BOARD_ROUNDS = 3
LINE = 110  # where nobody says how wide it may be
progress = Console(stderr=True)


def tell(text: str) -> None:
    """Show that it goes on."""
    progress.print(text, style="dim", highlight=False, markup=False)


def race_processes(name: str, names: list[str], rounds: int) -> list[dict[str, Any]]:
    """The figures of whole processes on a workload."""

    def told(number: int, contestant: str, one: Sample) -> None:
        tell(f"{name}, round {number}: {contestant} {one.wall_seconds:.2f} s")

    with lineup.on(workloads.find(name), names) as starts:
        return summarise(race(starts, rounds, told))


def time_help(rounds: int) -> dict[str, Any]:
    """How long the command takes to say what it can do, which is all that is not grading."""
    command = [processes.HARNESS, "grade", "--help"]
    taken = race({"help": lambda: processes.timed(command)}, rounds, lambda *_: None)
    wall = Timing(tuple(taken["help"]))
    return {"wall_seconds": wall.as_json(), **beside(wall.median, HELP_SECONDS)}


def race_loops(rounds: int, *, gpu: bool) -> list[dict[str, Any]]:
    """What ``loops.py`` measured: seconds an epoch of each way to train."""
    workload = workloads.find(LOOPS_WORKLOAD)
    where = ["--submission", str(workload.submission), "--data", str(workload.data)]
    command = [*script("loops.py"), *where, "--target", workload.target, "--rounds", str(rounds)]
    rows: list[dict[str, Any]] = []
    for device in ("cpu", "cuda") if gpu else ("cpu",):
        tell(f"loops alone on {device}")
        rows += json.loads(processes.run([*command, "--device", device]))
    return rows


def measure(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Run the groups that were asked for, and put the figures of each into `result` as they come.

    Raises:
        RuntimeError: a contestant failed.
    """
    groups, not_run = options.only, result["not_run"]
    if names := [name for name in lineup.racers(groups) if name not in not_run]:
        result["workloads"] = {}
        for workload in options.workload:
            result["workloads"][workload] = race_processes(workload, names, options.rounds)
    if lineup.PROCESSES in groups:
        sandboxes = [sandbox for sandbox in SANDBOXES if f"cold {sandbox}" not in not_run]
        result["phases"] = {}
        for workload in options.workload:
            tell(f"{workload}: phases")
            rounds = min(PHASE_ROUNDS, options.rounds)
            result["phases"][workload] = phases.measure(workloads.find(workload), sandboxes, rounds)
        result["help"] = time_help(options.rounds)
    if lineup.LOOPS in groups:
        result["loops"] = race_loops(options.rounds, gpu=result["machine"]["gpu"] is not None)
    if lineup.BOARD in groups and (names := [name for name in board.BOARDS if name not in not_run]):
        rounds = min(BOARD_ROUNDS, options.rounds)
        result["board"] = board.measure(names, rounds, tell, board.Size())
    if lineup.BATCH in groups and (names := [name for name in lineup.BATCHES if name not in not_run]):
        result["batches"] = []
        for workload in options.batch_workload:
            result["batches"].append(
                race_batches(
                    workloads.find(workload),
                    names,
                    options.batch_size,
                    options.batch_rounds,
                    tell,
                    options.jobs,
                )
            )


def measure_scaling(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Put the curves into `result` as they come.

    Raises:
        RuntimeError: a contestant failed.
    """
    result["scaling"] = []
    rows = scaling.measure(options.curve, result["not_run"], options.batch_rounds, options.jobs, tell)
    for row in rows:
        result["scaling"].append(row)


def write(result: dict[str, Any], path: Path) -> None:
    """Write the figures as JSON, and show them."""
    result["load_average"] = os.getloadavg()[1]  # over the last five minutes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, allow_nan=False, indent=2) + "\n")
    console = Console()
    show(result, console if console.is_terminal else Console(width=LINE))
    tell(f"written to {path}")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options; wrong ones end the program with status 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    by_default = [group for group in lineup.GROUPS if group != lineup.SCALING]
    again = "may be repeated"
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--only", action="append", choices=lineup.GROUPS, help=again)
    parser.add_argument("--workload", action="append", choices=workloads.NAMES, help=f"{again} (default all)")
    parser.add_argument(
        "--batch-workload",
        action="append",
        choices=workloads.NAMES,
        help=f"{again} (default {BATCH_WORKLOAD})",
    )
    parser.add_argument("--batch-size", type=int, default=40, help="submissions of a batch (default 40)")
    parser.add_argument("--batch-rounds", type=int, default=3, help="of batches and of scaling (default 3)")
    parser.add_argument(
        "--jobs", type=int, default=machine.usable_cores(), help="at once (default: the cores)"
    )
    parser.add_argument("--curve", action="append", choices=list(scaling.CURVES), help=f"of scaling; {again}")
    parser.add_argument("--out", type=Path, default=processes.ROOT / "build" / "bench.json", metavar="FILE")
    options = parser.parse_args(arguments)
    for name in ("rounds", "batch_size", "batch_rounds", "jobs"):
        if (value := getattr(options, name)) < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}, must be at least 1")
    options.only = options.only or by_default
    options.workload = options.workload or list(workloads.NAMES)
    options.batch_workload = options.batch_workload or [BATCH_WORKLOAD]
    options.curve = options.curve or list(scaling.CURVES)
    return options


def blank(options: argparse.Namespace, groups: list[str]) -> dict[str, Any]:
    """What a result says before anything is measured."""
    reasons = {name: lineup.why_not(name) for name in lineup.all_names(groups)}
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(),
        "rounds": options.rounds,
        "batch_rounds": options.batch_rounds,
        "not_run": {name: reason for name, reason in reasons.items() if reason is not None},
    }


def main() -> int:
    """Measure, write and show; the status is 1 if the contestants did not do the same work.

    Raises:
        RuntimeError: a contestant failed.
    """
    options = parse_arguments()
    wrong: list[str] = []
    if groups := [group for group in options.only if group != lineup.SCALING]:
        result = blank(options, groups)
        try:
            measure(options, result)
        finally:
            write(result, options.out)
        rows = [row for each in result.get("workloads", {}).values() for row in each]
        batches = [row for each in result.get("batches", []) for row in each["rows"]]
        wrong = did_other_work(rows) + [row["name"] for row in batches if row["same_losses"] is False]
    if lineup.SCALING in options.only:
        result = blank(options, [lineup.SCALING])
        try:
            measure_scaling(options, result)
        finally:
            write(result, options.out.with_stem(f"{options.out.stem}-scaling"))
    if wrong:
        print(f"other losses than the plain script's: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as failed:
        print(f"error: {failed}", file=sys.stderr)
        sys.exit(2)
