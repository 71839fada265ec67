"""What the phases of a run are made from, and what comes of their bytes.

The orders in which the test rows are met are drawn from the reference's key and the submission's digest:
nobody without the key can foresee them, and the same submission meets the same ones, so its score is the same
to the last bit (docs/decisions/0003-secret-order.md). The key itself and the answers go no further.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host import data as tables
from harness.host.reference import load_reference
from harness.host.scoring import InvalidPredictionsError, parse_predictions
from harness.host.verdict import Job
from harness.host.work import Draws, Plan, Rows
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment
    from harness.host.config import Component, TrainConfig
    from harness.host.data import Data
    from harness.host.records import PhaseResult, Submission
    from harness.host.reference import Reference

FLOAT_BYTES = 4
TOLERANCE = 1e-3
DATASET = b"MyDataset"  # a submission that does not name it gets no CSV, which may be larger than all else


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions in the assignment's own order, (rows, outputs) float32; None where there are none."""

    test: NDArray[np.float32] | None = None
    valid: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that the sandboxes and the scoring of one run are made from.

    Attributes:
        plan: what the sandboxes are given beside the rows.
    """

    assignment: Assignment
    config: TrainConfig
    data: Data
    reference: Reference | None
    plan: Plan

    @property
    def rows(self) -> Rows:
        """The assignment's rows, as sandboxes are given them."""
        data = self.data
        return Rows(
            data.features,
            self.assignment.data.id,
            data.train_inputs,
            data.train_targets,
            data.test_inputs,
            data.train_file,
        )

    @property
    def outputs(self) -> int:
        """Numbers that a prediction has for each row."""
        return self.assignment.outputs

    @property
    def valid_targets(self) -> NDArray[Any]:
        """Targets of the validation rows."""
        return self.data.train_targets[self.plan.valid_rows]

    def read_predictions(
        self, result: PhaseResult, *, again: bool = False
    ) -> tuple[PhaseResult, Predictions]:
        """Check the bytes of a prediction phase and put the rows back into the assignment's order."""
        if result.outcome is not Outcome.OK:
            return result, Predictions()
        order = self.plan.orders[again]
        try:
            permuted = parse_predictions(result.payload, len(order), self.outputs)
        except InvalidPredictionsError as error:
            failed = replace(
                result, outcome=Outcome.INVALID_PREDICTIONS, message=error.message, hint=error.hint
            )
            return failed, Predictions()
        predictions = np.empty_like(permuted)
        predictions[order] = permuted
        n_test = len(self.data.test_ids)
        return result, Predictions(predictions[:n_test], predictions[n_test:])

    def finding(self, first: Predictions, second: PhaseResult) -> str:
        """Say how the second prediction differs from the first; empty where they agree."""
        second, predictions = self.read_predictions(second, again=True)
        if predictions.test is None or first.test is None:
            return f"predicting again in another order and in other batches ended with {second.outcome}"
        changed = differing_rows(first.test, predictions.test)
        if not changed:
            return ""
        return (
            f"predictions depend on the batch: {changed} of {len(first.test)} test rows got another value in "
            "another order and in other batches. Usual causes: F.dropout without training=self.training, "
            "statistics over the batch (x.mean(0)), random numbers, or state kept between calls of forward()"
        )


def other_batch_size(batch_size: int) -> int:
    """A size for the second prediction: another one, not 1, and hardly larger, so that it fits in memory."""
    return batch_size + 1 if batch_size < 4 else batch_size // 2 + 1  # noqa: PLR2004  half of less would be 2 or 1


def differing_rows(first: NDArray[np.float32], second: NDArray[np.float32]) -> int:
    """How many rows differ by more than rounding does.

    A row's last bits may depend on its place in the batch. What counts is a difference of a thousandth of the
    value or of the spread of all values, far above rounding and below what a score would notice.

    Args:
        first: (rows, outputs).
        second: (rows, outputs), of the same rows.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    return int((np.abs(a - b) > TOLERANCE * (np.abs(a) + a.std())).any(axis=1).sum())


def prepare(
    assignment: Assignment, submission: Submission, config: TrainConfig, reference: Path | None, device: str
) -> Material:
    """Read the data and the reference, and draw the validation rows and the secret order.

    Args:
        assignment: names the files.
        submission: whose code goes into the sandboxes.
        config: its checked config.
        reference: the folder of the hidden answers, which need not exist; None: it is not looked for.
        device: ``cpu`` or ``cuda``.

    Raises:
        UsageError: the assignment or the reference is broken.
    """
    data = tables.load_data(assignment)
    answers = None if reference is None else load_reference(reference, assignment)
    return Material(
        assignment, config, data, answers, _plan(assignment, submission, config, data, answers, device)
    )


def _plan(
    assignment: Assignment,
    submission: Submission,
    config: TrainConfig,
    data: Data,
    reference: Reference | None,
    device: str,
) -> Plan:
    key = reference.split_key if reference is not None else b"no reference"
    seeds = (
        tables.order_seed(key, submission.sha256),
        tables.order_seed(key, f"{submission.sha256}:again"),
    )
    draws = Draws(config.seed, config.valid_ratio, seeds)
    valid_rows = draws.valid_rows(len(data.train_targets))
    met = len(data.test_ids) + len(valid_rows)
    fields = _common_fields(assignment, submission, config, data, device)
    code: dict[str, bytes | memoryview] = {"code": b"".join(submission.files.values())}
    return Plan(
        assignment.limits,
        _training(assignment, config, fields | {"rows": len(data.train_targets)}, code),
        _predictions(assignment, config, fields | {"rows": met}, code),
        draws,
        valid_rows,
        draws.orders(met),
        reads_csv=any(DATASET in content for content in submission.files.values()),
    )


def _common_fields(
    assignment: Assignment, submission: Submission, config: TrainConfig, data: Data, device: str
) -> dict[str, Any]:
    return {
        "task": assignment.task,
        "outputs": assignment.outputs,
        "device": device,
        "threads": max(1, int(assignment.limits.cpus)),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "model": config.model,
        "row_shape": list(data.train_inputs.shape[1:]),
        "files": [[name, len(content)] for name, content in submission.files.items()],
    }


def _training(
    assignment: Assignment, config: TrainConfig, fields: dict[str, Any], code: dict[str, bytes | memoryview]
) -> Job:
    limits = assignment.limits
    fields = fields | {
        "epochs": config.epochs,
        "early_stop": config.early_stop,
        "grad_clip": config.grad_clip,
        "optimizer": _table(config.optimizer),
        "scheduler": _table(config.scheduler) if config.scheduler else None,
        "loss": _table(config.loss) if config.loss else {"name": assignment.loss.name},
    }
    return Job(Phase.TRAIN, fields, code, limits.train_seconds, limits.weights_mb << 20, limits.log_kb << 10)


def _predictions(
    assignment: Assignment, config: TrainConfig, fields: dict[str, Any], code: dict[str, bytes | memoryview]
) -> tuple[Job, Job]:
    limits = assignment.limits
    size = fields["rows"] * assignment.outputs * FLOAT_BYTES
    # More than is right, so that rows too many are seen and named rather than refused as an overflow.
    most = 2 * size + 1
    first = Job(Phase.PREDICT, fields, code, limits.predict_seconds, most, limits.log_kb << 10)
    return first, replace(first, fields=fields | {"batch_size": other_batch_size(config.batch_size)})


def _table(component: Component) -> dict[str, Any]:
    return {**component.arguments, "name": component.name}
