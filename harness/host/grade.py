"""The main flow: a submission is read, trained in one sandbox, tested in two others, and scored here."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.host.config import parse_config
from harness.host.errors import InvalidSubmissionError
from harness.host.execution import Sandboxes, environment, sandbox_spec
from harness.host.records import Kept, Place, Run, Runtime, Score
from harness.host.submission import load_submission
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.config import TrainConfig
    from harness.host.execution import Execution
    from harness.host.phases import Material
    from harness.host.records import Environment, PhaseResult, Submission
    from harness.host.report.live import Progress
    from harness.host.sandbox.base import Backend


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


def grade(order: Order, backend: Backend, progress: Progress) -> tuple[Submission | None, Run]:
    """Grade one submission.

    Returns:
        The submission, if it could be read, and its run; what a submission does wrong is an outcome of it.

    Raises:
        HarnessError: the command, the assignment or the machine is at fault, and nothing was graded.
    """
    started = time.monotonic()
    run_id, submission = secrets.token_hex(8), None
    try:
        submission = read(order)
        config = parse_config(submission.config, order.assignment)
        material, execution = _execute(order, submission, config, backend, progress, run_id)
    except InvalidSubmissionError as error:
        where = environment(backend, order.device, order.reason, {})
        return submission, refused(order.assignment, where, run_id, error)
    finally:
        progress.finish()
    where = environment(backend, order.device, order.reason, execution.versions)
    return submission, scored(material, execution, where, run_id, started)


def read(order: Order) -> Submission:
    """Read the submission that is to be graded.

    Raises:
        InvalidSubmissionError: it cannot be graded as it is.
        UsageError: nothing is there.
    """
    return load_submission(order.submission, max_bytes=order.assignment.limits.submission_kb * 1024)


def _execute(
    order: Order,
    submission: Submission,
    config: TrainConfig,
    backend: Backend,
    progress: Progress,
    run_id: str,
) -> tuple[Material, Execution]:
    """Run the sandboxes here, of which the first gets ready while the data are read."""
    spec = sandbox_spec(order.assignment.limits, run_id, order.cores, gpu=order.device == "cuda")
    with Sandboxes(backend, spec) as sandboxes:
        from harness.host.phases import prepare  # noqa: PLC0415  NumPy loads while the guest does
        from harness.host.work import Work  # noqa: PLC0415  likewise

        material = prepare(order.assignment, submission, config, order.reference, order.device)
        return material, sandboxes.run(Work(material.plan, material.rows), progress)


def scored(material: Material, execution: Execution, where: Environment, run_id: str, started: float) -> Run:
    """Check the predictions, score them and put the run's record together.

    Args:
        material: what the sandboxes' work was made from.
        execution: what came out of them.
        where: they ran.
        run_id: of the run.
        started: when the run began, by `time.monotonic`.
    """
    from harness.host import scoring  # noqa: PLC0415  loaded already, while the guest did

    assignment, results = material.assignment, execution.results
    last, predictions = material.read_predictions(results[-1])
    score = scoring.score(
        assignment,
        test_predictions=predictions.test,
        test_ids=material.data.test_ids,
        reference=material.reference,
        valid_predictions=predictions.valid,
        valid_targets=material.valid_targets,
    )
    score = replace(score, chance=scoring.chance_level(assignment, material.data.train_targets))
    trained, again = results[0], execution.again
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
        runtime=_runtime(results, time.monotonic() - started),
        environment=where,
        log="".join(result.log for result in results),
        finding=material.finding(predictions, again) if again is not None else "",
        kept=Kept(material.config.seed, material.config.valid_ratio, predictions.valid, trained.payload),
    )


def refused(assignment: Assignment, where: Environment, run_id: str, error: InvalidSubmissionError) -> Run:
    """The run of a submission that never reached a sandbox.

    Args:
        assignment: names the metric.
        where: it would have run.
        run_id: of the run.
        error: what is wrong with it.
    """
    metric = assignment.metric
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
        environment=where,
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
