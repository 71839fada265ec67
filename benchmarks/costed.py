"""Runs the harness's command, and writes what that cost beside its imports.

    python costed.py COST.json leaderboard hw1-bikes --format csv ...

The cost is processor time, user and system, of all threads, without that of finding, loading and executing
modules, whenever that happens; wall time with all of it; and the most memory that was in use at once.
"""

from __future__ import annotations

import importlib.abc
import json
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_STATUS = Path("/proc/self/status")
_KIBI = 1024


class CountedImports(importlib.abc.MetaPathFinder):
    """Adds up what imports cost; one within another is a part of it.

    Attributes:
        seconds: of processor time, so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module as ever, and see to it that its loading is counted."""
        with self._counted():
            others = (finder for finder in sys.meta_path if finder is not self)
            spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None and not isinstance(loader, type):  # a class stands for all modules of its kind
            for name in ("create_module", "exec_module"):
                setattr(loader, name, self._counting(getattr(loader, name)))
        return spec

    def _counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any) -> Any:  # noqa: ANN401  whatever the loader takes and gives
            with self._counted():
                return function(*args)

        return counting

    @contextmanager
    def _counted(self) -> Iterator[None]:
        before = time.process_time()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds += time.process_time() - before


def peak_memory() -> int:
    """The most bytes that this program had in memory; what it was started by does not count."""
    if _STATUS.exists():
        high = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(high.split()[1]) * _KIBI
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def main() -> None:
    """Run the command that follows."""
    file = Path(sys.argv[1])
    sys.argv[:] = ["harness", *sys.argv[2:]]
    imports = CountedImports()
    sys.meta_path.insert(0, imports)
    wall, processor = time.perf_counter(), time.process_time()
    from harness.host.cli import app  # noqa: PLC0415  its imports are counted

    try:
        app()
    finally:
        cost = {
            "process_seconds": time.process_time() - processor - imports.seconds,
            "import_seconds": imports.seconds,
            "wall_seconds": time.perf_counter() - wall,
            "peak_memory_bytes": peak_memory(),
        }
        file.write_text(json.dumps(cost))


if __name__ == "__main__":
    main()
