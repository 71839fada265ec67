"""Grades an honest submission alone and beside hostile ones, and compares its score and its time.

In every round the victim is graded once in each company; the neighbours are graded again and again, each by
commands of its own, until the victim is done. The honest neighbour is the control: what it costs is the price
of two submissions at a time on this machine, and no attack. Exit status 1 where the score differs, or where
the training beside hostile neighbours takes more than ``--bound`` times as long as alone.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timings import Timing, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "tests" / "gallery"
COURSE = GALLERY / "course"
HARNESS = Path(sys.prefix, "bin", "harness")
VICTIM = ROOT / "examples" / "hw1-bikes" / "medium"
ALONE, HONEST = "alone", "honest-good"
HOSTILE = ("process-fork_bomb", "memory-grows", "output-log_flood")
TOGETHER = "all of these"
COMPANIES = {ALONE: (), HONEST: (HONEST,), **{name: (name,) for name in HOSTILE}, TOGETHER: HOSTILE}
BOUND = 1.2


@dataclass(frozen=True, slots=True)
class Sample:
    """One grading of the victim: its training time, and all that must not depend on its company."""

    train_seconds: float
    result: str


def make_victim(folder: Path, epochs: int) -> Path:
    """A copy of the honest submission that trains for `epochs`."""
    victim: Path = shutil.copytree(VICTIM, folder / "victim")
    config = (victim / "config.toml").read_text()
    config = re.sub(r"(?m)^epochs = .*$", f"epochs = {epochs}", config)
    config = re.sub(r"(?m)^early_stop = .*$", "early_stop = 0", config)
    (victim / "config.toml").write_text(config)
    return victim


def command(submission: Path, sandbox: str) -> list[str]:
    """The command that grades."""
    return [str(HARNESS), "grade", str(submission), "--sandbox", sandbox, "--device", "cpu"]


@contextmanager
def beside(neighbours: tuple[str, ...], sandbox: str) -> Iterator[None]:
    """Grade `neighbours` over and over, all at once; those that run at the end are waited for."""
    stop, failures = threading.Event(), []

    def go_on(neighbour: str) -> None:
        while not stop.is_set():
            words = [*command(GALLERY / neighbour / "submission", sandbox), "--assignment", "toy"]
            done = subprocess.run(words, cwd=COURSE, capture_output=True, check=False)
            if done.returncode not in {0, 1}:  # it was not graded, so nobody was beside the victim
                failures.append(f"{neighbour}: {done.stderr.decode(errors='replace')}")
                return

    threads = [threading.Thread(target=go_on, args=(name,), name=name) for name in neighbours]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise RuntimeError(f"a neighbour could not be graded: {failures[0]}")


def sample(victim: Path, company: str, sandbox: str, folder: Path) -> Sample:
    """Grade the victim once in that company."""
    report = folder / "report.json"
    with beside(COMPANIES[company], sandbox):
        words = [*command(victim, sandbox), "--json", str(report)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the victim beside {company}: {done.stdout}{done.stderr}")
    document = json.loads(report.read_text())
    result = json.dumps([document[key] for key in ("outcome", "points", "metric", "loss")])
    return Sample(document["runtime"]["train_seconds"], result)


def summarise(samples: dict[str, list[Sample]]) -> list[dict[str, Any]]:
    """Training seconds of the victim in each company, and their ratios."""
    times = {name: Timing(tuple(one.train_seconds for one in each)) for name, each in samples.items()}
    expected = samples[ALONE][0].result
    return [
        {
            "beside": name,
            "train_seconds": times[name].as_json(),
            "ratio_to_alone": round(times[name].ratio_to(times[ALONE]), 3),
            "ratio_to_honest": round(times[name].ratio_to(times[HONEST]), 3),
            "same_result": all(one.result == expected for one in each),
        }
        for name, each in samples.items()
    ]


def main() -> None:
    """Read the options, take the samples, and print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sandbox", choices=["docker", "bubblewrap"], default="bubblewrap")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=150, help="of the victim: some seconds of training")
    parser.add_argument("--bound", type=float, default=BOUND)
    options = parser.parse_args()
    names = list(COMPANIES)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="victim-") as folder:
        victim = make_victim(Path(folder), options.epochs)
        for number, order in enumerate(turns(names, options.rounds), 1):
            for name in order:
                samples[name].append(sample(victim, name, options.sandbox, Path(folder)))
                line = f"round {number}, beside {name}: {samples[name][-1].train_seconds:.2f} s"
                print(line, file=sys.stderr, flush=True)
    figures = summarise(samples)
    print(json.dumps({"sandbox": options.sandbox, "victim": figures}, indent=2))
    hostile = [each for each in figures if each["beside"] not in {ALONE, HONEST}]
    slow = any(each["ratio_to_alone"] > options.bound for each in hostile)
    sys.exit(1 if slow or not all(each["same_result"] for each in figures) else 0)


if __name__ == "__main__":
    main()
