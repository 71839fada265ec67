"""One preflight on this machine: the assignment, the sandbox and the cores for it, and their end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.assignment import load_assignment
from harness.host.errors import InterruptedGradingError
from harness.host.grading import allowed_device
from harness.host.machine import Machine
from harness.host.preflight.run import CheckOrder, check
from harness.host.session import assignment_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.preflight.records import Checked


@dataclass(frozen=True, slots=True)
class CheckMeans:
    """What a command checks with.

    Attributes:
        sandbox: ``auto``, ``docker``, ``bubblewrap`` or ``none``.
        device: ``auto``, ``cpu`` or ``cuda``.
        runtime: of the Docker engine; None: the engine's own.
        assignment: its id; None: the one that the submission's config names.
    """

    sandbox: str
    device: str
    runtime: str | None = None
    assignment: str | None = None


def check_submission(submission: Path, means: CheckMeans, note: Callable[[str], None]) -> Checked:
    """Look one submission over.

    Args:
        submission: a folder or archive.
        means: what to check with.
        note: is told which sandbox was chosen, and of what takes long.

    Raises:
        HarnessError: the command, the assignment or the machine is at fault.
    """
    assignment = load_assignment(assignment_folder(submission, means.assignment))
    try:
        with Machine(note) as machine:
            device = allowed_device(assignment, means.device)
            choice = machine.choose(means.sandbox, device, means.runtime)
            choice.backend.sweep()
            note(f"sandbox: {choice.backend.name} ({choice.reason})")
            cores = machine.cores.reserve(assignment.limits.cpus)
            order = CheckOrder(assignment, submission, choice.device, choice.reason, cores)
            return check(order, choice.backend)
    except KeyboardInterrupt:
        raise InterruptedGradingError("interrupted; nothing was checked") from None
