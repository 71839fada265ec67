"""The main flow: a submission is read, trained in one sandbox, tested in two others, and scored here."""

from __future__ import annotations

import platform
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.config import parse_config
from harness.host.errors import InvalidSubmissionError
from harness.host.guest_code import guest_command
from harness.host.records import Environment, Kept, Place, Run, Runtime, Score
from harness.host.sandbox.base import SandboxSpec
from harness.host.submission import load_submission
from harness.host.warming import Warming
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from harness.host.assignment import Assignment
    from harness.host.config import TrainConfig
    from harness.host.conversation import Conversation
    from harness.host.phases import Material
    from harness.host.records import EpochClaim, PhaseResult, Submission
    from harness.host.report.live import Progress
    from harness.host.sandbox.base import Backend
    from harness.host.verdict import Job


@dataclass(frozen=True, slots=True)
class Order:
    """What to grade, and with what.

    Attributes:
        submission: a folder or archive.
        reference: the folder of the hidden answers; if it does not exist, the validation rows are scored.
        device: ``cpu`` or ``cuda``.
        reason: why the sandbox was chosen, for people.
        cores: the processors that are reserved for it; empty where none are.
    """

    assignment: Assignment
    submission: Path
    reference: Path
    device: str
    reason: str
    cores: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Phases:
    """What came out of the sandboxes; the last of `results` decides.

    Attributes:
        again: the second prediction, which is only compared with the first.
    """

    material: Material
    versions: dict[str, str]
    results: tuple[PhaseResult, ...]
    again: PhaseResult | None = None


def grade(order: Order, backend: Backend, progress: Progress) -> tuple[Submission | None, Run]:
    """Grade one submission.

    Returns:
        The submission, if it could be read, and its run; what a submission does wrong is an outcome of it.

    Raises:
        HarnessError: the command, the assignment or the machine is at fault, and nothing was graded.
    """
    started = time.monotonic()
    run_id, assignment, submission = secrets.token_hex(8), order.assignment, None
    try:
        submission = load_submission(order.submission, max_bytes=assignment.limits.submission_kb * 1024)
        config = parse_config(submission.config, assignment)
        phases = _train_and_predict(order, submission, config, backend, progress, run_id)
    except InvalidSubmissionError as error:
        return submission, _refused(order, backend, run_id, error)
    finally:
        progress.finish()
    return submission, _scored(order, backend, run_id, phases, started)


def _train_and_predict(
    order: Order,
    submission: Submission,
    config: TrainConfig,
    backend: Backend,
    progress: Progress,
    run_id: str,
) -> _Phases:
    """Train in one sandbox and predict in two others, which warm up while the first trains."""
    spec = sandbox_spec(order.assignment, run_id, order.cores, gpu=order.device == "cuda")
    waiting = replace(spec, low_priority=True)  # for a training that is being timed
    with Warming(backend, spec, 1) as first, Warming(backend, waiting, 2) as testing:
        first.start()
        from harness.host.phases import prepare  # noqa: PLC0415  NumPy loads while the guest does

        material = prepare(order.assignment, submission, config, order.reference, order.device)

        def on_epoch(claim: EpochClaim) -> None:
            testing.start()  # not before: most of what fails, fails before its first epoch
            progress.epoch(claim, config.epochs)

        training = first[0]
        versions = training.wait_until_ready()
        progress.phase(Phase.TRAIN)
        trained = training.run(material.training_job(), on_epoch)
        if trained.outcome is not Outcome.OK:
            return _Phases(material, versions, (trained,))
        progress.phase(Phase.PREDICT)
        predicted = _predict(testing[0], material.prediction_job(trained.payload))
        if predicted.outcome is not Outcome.OK:
            return _Phases(material, versions, (trained, predicted))
        again = _predict(testing[1], material.prediction_job(trained.payload, again=True))
        return _Phases(material, versions, (trained, predicted), again)


def _predict(testing: Conversation, job: Job) -> PhaseResult:
    testing.wait_until_ready()
    return testing.run(job, lambda _: None)


def _scored(order: Order, backend: Backend, run_id: str, phases: _Phases, started: float) -> Run:
    """Check the predictions, score them and put the run's record together."""
    from harness.host import scoring  # noqa: PLC0415  loaded already, while the guest did

    material, assignment = phases.material, order.assignment
    last, predictions = material.read_predictions(phases.results[-1])
    score = scoring.score(
        assignment,
        test_predictions=predictions.test,
        test_ids=material.data.test_ids,
        reference=material.reference,
        valid_predictions=predictions.valid,
        valid_targets=material.valid_targets,
    )
    score = replace(score, chance=scoring.chance_level(assignment, material.data.train_targets))
    trained = phases.results[0]
    finding = material.finding(predictions, phases.again) if phases.again is not None else ""
    return Run(
        run_id=run_id,
        outcome=last.outcome,
        phase=None if last.outcome is Outcome.OK else last.phase,
        message=last.message,
        hint=last.hint,
        place=last.place,
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        predictions=predictions.test,
        score=score,
        baselines=scoring.baselines(assignment, score),
        runtime=_runtime(phases.results, time.monotonic() - started),
        environment=_environment(order, backend, phases.versions),
        log="".join(result.log for result in phases.results),
        finding=finding,
        kept=Kept(material.config.seed, material.config.valid_ratio, predictions.valid, trained.payload),
    )


def _refused(order: Order, backend: Backend, run_id: str, error: InvalidSubmissionError) -> Run:
    """The run of a submission that never reached a sandbox."""
    metric = order.assignment.metric
    return Run(
        run_id=run_id,
        outcome=Outcome.INVALID_SUBMISSION,
        phase=Phase.SUBMISSION,
        message=error.message,
        hint=error.hint,
        place=Place(error.file, error.line) if error.file and error.line else None,
        epochs=(),
        best_epoch=None,
        predictions=None,
        score=Score(metric.name, metric.direction),
        baselines=(),
        runtime=Runtime(),
        environment=_environment(order, backend, {}),
        log="",
    )


def _runtime(results: tuple[PhaseResult, ...], total: float) -> Runtime:
    cpu = [result.usage.cpu_seconds for result in results if result.usage.cpu_seconds is not None]
    peaks = [
        result.usage.peak_memory_bytes for result in results if result.usage.peak_memory_bytes is not None
    ]
    seconds = {result.phase: result.seconds for result in results}
    return Runtime(
        train_seconds=seconds.get(Phase.TRAIN, 0.0),
        predict_seconds=seconds.get(Phase.PREDICT, 0.0),
        total_seconds=total,
        cpu_seconds=sum(cpu) if cpu else None,
        peak_memory_bytes=max(peaks) if peaks else None,
    )


def _environment(order: Order, backend: Backend, versions: dict[str, str]) -> Environment:
    return Environment(
        sandbox=backend.name,
        isolated=backend.isolated,
        device=order.device,
        reason=f"{order.reason}; limits by {backend.limits_enforced_by}",
        device_name=_device_name(order.device),
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


def sandbox_spec(assignment: Assignment, run_id: str, cores: frozenset[int], *, gpu: bool) -> SandboxSpec:
    """What the assignment's limits allow one sandbox."""
    limits, mebibyte = assignment.limits, 1 << 20
    return SandboxSpec(
        command=guest_command(),
        run_id=run_id,
        memory_bytes=limits.memory_mb * mebibyte,
        cpus=limits.cpus,
        processes=limits.processes,
        scratch_bytes=limits.scratch_mb * mebibyte,
        shared_memory_bytes=limits.shared_memory_mb * mebibyte,
        gpu=gpu,
        cores=cores,
    )
