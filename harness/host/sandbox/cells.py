"""Sandboxes of a backend as cells of one warmed parent, as long as such can be made here; see `nest`."""

from __future__ import annotations

import secrets
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.host.errors import SandboxError
from harness.host.guest_code import guest_command
from harness.host.sandbox import cgroup
from harness.host.sandbox.base import ALL_WALLS, OPEN_FILES
from harness.host.sandbox.nest import Nest

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import SandboxSpec
    from harness.host.sandbox.nest import Cell, CellSettings, Parent

# Settings of kernels that let nobody but root make user namespaces, each with the value that says so.
FORBIDDING = {
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
    "user/max_user_namespaces": "0",
}
PARENT_MEMORY_BYTES, PARENT_PROCESSES, PARENT_SCRATCH_BYTES = 2 << 30, 128, 64 << 20


class Cells:
    """The cells of one backend. The first one that is opened starts the parent; a lost parent is replaced.

    Args:
        start_parent: starts one in a sandbox of the backend.
        settings: of the cells.
        note: is told if no cells can be made after all.
        wanted: whether to try; without control groups it is not.
    """

    def __init__(
        self,
        start_parent: Callable[[SandboxSpec], Parent],
        settings: CellSettings,
        note: Callable[[str], None],
        *,
        wanted: bool,
    ) -> None:
        self._start_parent = start_parent
        self._settings = settings
        self._note = note
        self._wanted = wanted and bool(cgroup.parents())
        self._nest: Nest | None = None
        self._nest_works = False
        self._starting = threading.Lock()

    def open(self, spec: SandboxSpec) -> Cell | None:
        """Make a cell; None where a sandbox has to stand alone.

        Raises:
            SandboxError: it could not be made, though others could.
        """
        if not self._wanted or spec.walls != ALL_WALLS or spec.gpu:
            return None
        nest = None
        try:
            nest = self._started_nest(spec)
            cell = nest.open(spec)
        except SandboxError as error:
            if nest is not None and nest.lost and self._nest_works:
                self._give_up(nest)
                return self._started_nest(spec).open(spec)
            if self._nest_works:
                raise
            self.close()
            self._wanted = False
            self._note(f"each sandbox imports torch by itself: {error.message}")
            return None
        self._nest_works = True
        return cell

    def close(self) -> None:
        """End the parent; a second call does nothing."""
        with self._starting:
            nest, self._nest = self._nest, None
            if nest is not None:
                nest.close()

    def _give_up(self, lost: Nest) -> None:
        """Forget a parent that has ended, unless another thread did so already."""
        with self._starting:
            if self._nest is lost:
                self._nest = None
        lost.close()

    def _started_nest(self, spec: SandboxSpec) -> Nest:
        with self._starting:
            if self._nest is None:
                self._nest = Nest(self._start_parent(spec), self._settings)
            return self._nest


def namespaces_are_allowed(settings: Path = Path("/proc/sys")) -> bool:
    """Whether this kernel says nothing against user namespaces of an unprivileged process.

    Args:
        settings: the folder of the kernel's settings.
    """
    return not any(_setting(settings / name) == value for name, value in FORBIDDING.items())


def _setting(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # this kernel does not have it
        return ""


def parent_spec(spec: SandboxSpec, control: str) -> SandboxSpec:
    """What a parent of cells may use, and what it runs.

    Args:
        spec: of the first cell.
        control: where it takes requests: a descriptor that it has, or the path of a socket that it makes.
    """
    changes: dict[str, Any] = {
        "command": (*guest_command(), "nest", control),
        "run_id": f"nest{secrets.token_hex(4)}",
        "memory_bytes": PARENT_MEMORY_BYTES,
        "processes": PARENT_PROCESSES,
        "scratch_bytes": PARENT_SCRATCH_BYTES,
        "open_files": max(spec.open_files, OPEN_FILES),  # a cell can lower that, and not raise it
        "low_priority": False,
        "cores": frozenset(),  # it outlives the run that it is started for
    }
    return replace(spec, **changes)
