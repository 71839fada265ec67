"""Runs the harness's command and writes how long each phase of it took.

    python clocked.py PHASES.json STARTED grade SUBMISSION ...

STARTED is the time of `time.monotonic` at which this process was started. Phases follow each other: what
overlaps, such as reading the data while the guest imports PyTorch, belongs to the one that ends later. A
phase that a sandbox does not have is left out, and its time belongs to the next. Nothing is imported earlier
than the command does.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# In the order in which they end: what ends a phase, and whether that is a function's first call, its first
# return or its last one.
CALL, RETURN, LAST_RETURN = "call", "return", "last return"
ENDS: dict[str, tuple[str, str, str]] = {
    "start": ("harness.host.session", "grade_submission", CALL),
    "session": ("harness.host.grading", "Grading.execute", CALL),
    "choose": ("harness.host.machine", "Machine.choose", RETURN),
    "spawn": ("harness.host.sandbox.nest", "Nest.__init__", RETURN),
    "imports": ("harness.host.sandbox.nest", "Nest._wait_until_ready", RETURN),
    "ready": ("harness.host.conversation", "Conversation.wait_until_ready", RETURN),
    "train": ("harness.host.conversation", "Conversation.run", RETURN),
    "predict": ("harness.host.conversation", "Conversation.run", LAST_RETURN),
    "score": ("harness.host.grade", "scored", RETURN),
    "checks": ("harness.host.session", "grade_submission", RETURN),
    "report": ("harness.host.report.document", "write_json", RETURN),
}
ended: dict[str, float] = {}


class ClockOnImport(importlib.abc.MetaPathFinder):
    """Puts the clock on functions of a module when the command imports it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module as ever, and see to it that its functions are clocked once they are there."""
        if all(fullname != module for module, _, _ in ENDS.values()):
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                clock(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader
        return spec


def clock(module: ModuleType) -> None:
    """Have a module's functions note when phases end."""
    for name in dict.fromkeys(name for where, name, _ in ENDS.values() if where == module.__name__):
        owner: Any = module
        *owners, function = name.split(".")
        for each in owners:
            owner = getattr(owner, each)
        where = module.__name__, name
        phases = [(phase, when) for phase, (*its, when) in ENDS.items() if tuple(its) == where]
        setattr(owner, function, clocked(getattr(owner, function), phases))


def clocked(function: Callable[..., Any], phases: Sequence[tuple[str, str]]) -> Callable[..., Any]:
    """The function, noting when it is called and returns."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever the function takes and gives
        for phase, when in phases:
            if when == CALL:
                ended.setdefault(phase, time.monotonic())
        try:
            return function(*args, **kwargs)
        finally:
            for phase, when in phases:
                if when == LAST_RETURN:
                    ended[phase] = time.monotonic()
                elif when == RETURN:
                    ended.setdefault(phase, time.monotonic())

    return wrapper


def main() -> None:
    """Run the command that follows."""
    file, started = Path(sys.argv[1]), float(sys.argv[2])
    sys.argv[:] = ["harness", *sys.argv[3:]]
    sys.meta_path.insert(0, ClockOnImport())
    from harness.host.cli import app  # noqa: PLC0415  part of what is clocked

    try:
        app()
    finally:
        file.write_text(json.dumps(lengths(started, ended)))


def lengths(started: float, times: dict[str, float]) -> dict[str, float]:
    """Seconds of each phase, from the times at which they ended."""
    found: dict[str, float] = {}
    before = started
    for phase in ENDS:
        if phase in times and times[phase] >= before:
            found[phase] = times[phase] - before
            before = times[phase]
    return found


if __name__ == "__main__":
    main()
