"""Starts the timed processes, all in the same environment, and times them from outside.

No variable of Python's own reaches them. Where a shell or CI sets PYTHONDONTWRITEBYTECODE, Python compiles
what it finds no bytecode of at every start anew. For the plain script that is all of PyTorch, which doubles
its time and which no student's machine does. Without the variable the first, uncounted round leaves the
bytecode there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
HARNESS = str(Path(sys.executable).parent / "harness")
LINES_SHOWN = 15


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what changes how Python starts, imports or prints."""
    return {name: value for name, value in environment.items() if not name.startswith("PYTHON")}


def run(command: Sequence[str], *, folder: Path = ROOT, given: str = "") -> str:
    """Run a command in a folder, with `given` as its standard input; return what it printed.

    Raises:
        RuntimeError: it failed; the message has the end of what it wrote.
    """
    done = subprocess.run(
        command, cwd=folder, env=clean(os.environ), input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with status {done.returncode}:\n{last(done.stdout + done.stderr)}"
        )
    return done.stdout


def timed(command: Sequence[str], *, folder: Path = ROOT, given: str = "") -> float:
    """Run a command and return its wall time in seconds, from before its start until after its end.

    Raises:
        RuntimeError: it failed; the message has the end of what it wrote.
    """
    started = time.perf_counter()
    run(command, folder=folder, given=given)
    return time.perf_counter() - started


def last(output: str) -> str:
    """The last lines of a command's output."""
    return "\n".join(output.splitlines()[-LINES_SHOWN:])
