"""Who takes part in which group of the benchmark, and who starts what on a workload."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from available import (
    SANDBOXES,
    why_no_batch,
    why_no_module,
    why_no_reference,
    why_no_sandbox,
    why_no_xargs,
)
from batch import XARGS
from board import BOARDS, RESCORE
from contestants import LIGHTNING, OTTER, PLAIN, cold, lightning, otter, plain
from warm import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from contestants import Sample
    from workloads import Workload

PROCESSES, WARM, BATCH, LOOPS, OTHERS = "processes", "warm", "batch", "loops", "others"
BOARD, SCALING = "board", "scaling"
GROUPS = (PROCESSES, WARM, BATCH, LOOPS, OTHERS, BOARD, SCALING)
RACES = {
    PROCESSES: (PLAIN, "cold bubblewrap", "cold docker"),
    WARM: (PLAIN, "warm bubblewrap", "warm docker"),
    OTHERS: (PLAIN, LIGHTNING, OTTER),
}
BATCHES = (XARGS, "batch bubblewrap", "batch docker")
CURVES = (PLAIN, "cold bubblewrap", XARGS, "batch bubblewrap")
MODULES = {LIGHTNING: "pytorch_lightning", OTTER: "otter"}


def racers(groups: Sequence[str]) -> list[str]:
    """Those who run on each workload; the plain script is there whenever anyone is compared with it."""
    names = dict.fromkeys(name for group in groups for name in RACES.get(group, ()))
    return list(names)


def all_names(groups: Sequence[str]) -> list[str]:
    """Everyone in these groups who may turn out not to run here."""
    names = racers(groups)
    names += BATCHES if BATCH in groups else ()
    names += BOARDS if BOARD in groups else ()
    names += CURVES if SCALING in groups else ()
    return list(dict.fromkeys(names))


def why_not(name: str) -> str | None:
    """Why a contestant cannot run on this machine; None if it can."""
    if name == RESCORE:
        return why_no_reference()
    if name == PLAIN or name in BOARDS:
        return None
    if name == XARGS:
        return why_no_xargs()
    if name in MODULES:
        return why_no_module(MODULES[name])
    kind, sandbox = name.split()
    assert sandbox in SANDBOXES, name  # noqa: S101  a contestant is named after its sandbox
    return why_no_batch(sandbox) if kind == BATCH else why_no_sandbox(sandbox)


@contextmanager
def on(workload: Workload, names: Sequence[str]) -> Iterator[dict[str, Callable[[], Sample]]]:
    """What each named contestant does in a round; whoever stays between rounds is ended with the context."""
    alone: dict[str, Callable[[Workload], Sample]] = {PLAIN: plain, LIGHTNING: lightning, OTTER: otter}
    with ExitStack() as stack:
        starts: dict[str, Callable[[], Sample]] = {}
        for name in names:
            kind, _, sandbox = name.partition(" ")
            if kind == WARM:
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
                starts[name] = stack.enter_context(Watcher(workload, sandbox, folder)).sample
            elif sandbox:
                starts[name] = partial(cold, workload, sandbox)
            else:
                starts[name] = partial(alone[name], workload)
        yield starts
