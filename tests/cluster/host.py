"""Grades submissions of hw1-bikes on a cluster, as a command of its own: ``host.py ADDRESS SUBMISSION...``.

It writes a line for each note and each result.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.host.assignment import load_assignment
from harness.host.cluster import Cluster, Done, Task
from harness.host.grade import Order

ROOT = Path(__file__).parents[2]


def show(kind: str, *words: object) -> None:
    """Write a line."""
    print(kind, *words, flush=True)  # noqa: T201  what it is for


def show_result(done: Done) -> None:
    """The outcome and the score of one, or the fault."""
    run = done.graded[1] if done.graded else None
    private = run.score.private if run else None
    show("result", done.task.name, run.outcome if run else done.fault, private.value if private else "")


def main() -> None:
    """Grade all; Ctrl-C ends it."""
    address, *folders = sys.argv[1:]
    assignment = load_assignment(ROOT / "assignments" / "hw1-bikes")
    tasks = [
        Task(
            Path(folder).name,
            Order(assignment, Path(folder), ROOT / "reference" / "hw1-bikes", "cpu", ""),
            "bubblewrap",
        )
        for folder in folders
    ]
    try:
        with Cluster(address, lambda text: show("note", text)) as cluster:
            cluster.run(tasks, show_result)
    except KeyboardInterrupt:
        show("interrupted")


if __name__ == "__main__":
    main()
