"""Runs one submission's sandboxes: training in one, prediction in two others, which warm up meanwhile.

Nothing here knows the reference, so it can happen on another machine than the scoring.
"""

from __future__ import annotations

import platform
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from harness.host.guest_code import guest_command
from harness.host.records import Environment
from harness.host.sandbox.base import SandboxSpec
from harness.host.warming import Warming
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from types import TracebackType

    from harness.host.assignment import Limits
    from harness.host.conversation import Conversation
    from harness.host.records import EpochClaim, PhaseResult
    from harness.host.report.live import Progress
    from harness.host.sandbox.base import Backend
    from harness.host.verdict import Job

MEBIBYTE = 1 << 20


class Jobs(Protocol):
    """What the sandboxes of one run are given, such as `harness.host.work.Work`."""

    def training_job(self) -> Job:
        """The first job."""

    def prediction_job(self, weights: bytes, *, again: bool = False) -> Job:
        """A job for the weights that came out of the training, the first or the second one."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What came out of the sandboxes; the last of `results` decides.

    Attributes:
        versions: of torch and Python inside.
        again: the second prediction, which is only compared with the first.
    """

    versions: dict[str, Any]
    results: tuple[PhaseResult, ...]
    again: PhaseResult | None = None


class Sandboxes:
    """The three sandboxes of one run; the first gets ready as soon as the context is entered.

    Args:
        backend: opens them.
        spec: of each.
    """

    def __init__(self, backend: Backend, spec: SandboxSpec) -> None:
        self._first = Warming(backend, spec, 1)
        waiting = replace(spec, low_priority=True)  # for a training that is being timed
        self._testing = Warming(backend, waiting, 2)
        self._opened = ExitStack()

    def run(self, jobs: Jobs, progress: Progress) -> Execution:
        """Train in one and predict in the two others, as far as it goes.

        Raises:
            MachineError: a sandbox could not be opened, did not get ready, or could not be ended.
        """
        training = self._first[0]
        versions = training.wait_until_ready()
        progress.phase(Phase.TRAIN)
        job = jobs.training_job()

        def on_epoch(claim: EpochClaim) -> None:
            self._testing.start()  # not before: most of what fails, fails before its first epoch
            progress.epoch(claim, job.fields["epochs"])

        trained = training.run(job, on_epoch)
        if trained.outcome is not Outcome.OK:
            return Execution(versions, (trained,))
        progress.phase(Phase.PREDICT)
        predicted = _predict(self._testing[0], jobs.prediction_job(trained.payload))
        if predicted.outcome is not Outcome.OK:
            return Execution(versions, (trained, predicted))
        again = _predict(self._testing[1], jobs.prediction_job(trained.payload, again=True))
        return Execution(versions, (trained, predicted), again)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for sandboxes in (self._first, self._testing):
                stack.enter_context(sandboxes)
            self._first.start()
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)


def _predict(testing: Conversation, job: Job) -> PhaseResult:
    testing.wait_until_ready()
    return testing.run(job, lambda _: None)


def sandbox_spec(limits: Limits, run_id: str, cores: frozenset[int], *, gpu: bool) -> SandboxSpec:
    """What the assignment's limits allow one sandbox."""
    return SandboxSpec(
        command=guest_command(),
        run_id=run_id,
        memory_bytes=limits.memory_mb * MEBIBYTE,
        cpus=limits.cpus,
        processes=limits.processes,
        scratch_bytes=limits.scratch_mb * MEBIBYTE,
        shared_memory_bytes=limits.shared_memory_mb * MEBIBYTE,
        gpu=gpu,
        cores=cores,
    )


def environment(backend: Backend, device: str, reason: str, versions: dict[str, Any]) -> Environment:
    """Where a run takes place, on this machine.

    Args:
        backend: opens its sandboxes.
        device: ``cpu`` or ``cuda``.
        reason: why the sandbox was chosen, for people.
        versions: of torch and Python inside; empty where nothing ran.
    """
    return Environment(
        sandbox=backend.name,
        isolated=backend.isolated,
        device=device,
        reason=f"{reason}; limits by {backend.limits_enforced_by}",
        device_name=_device_name(device),
        torch=versions.get("torch", ""),
        python=versions.get("python", ""),
        image=backend.image,
    )


def _device_name(device: str) -> str:
    """The processor's name from the kernel, or the GPU's from its driver."""
    if device == "cuda":
        names = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        lines = names[0].read_text().splitlines() if names else []
        found = [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
        return found[0] if found else "cuda"
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return found[0] if found else platform.machine()
