"""What each phase is given, and what comes of its bytes: the two jobs of a run.

The prediction phase gets the test inputs and the validation inputs together, under new ids and in a secret
order, so that a model cannot tell which rows count. It is done twice, each time in a sandbox of its own: the
second time in another order and in other batches, which an honest model does not notice
(docs/decisions/0008-predicted-twice.md). The orders are drawn from the reference's key and the submission's
digest: nobody without the key can foresee them, and the same submission meets the same ones, so its score is
the same to the last bit (docs/decisions/0003-secret-order.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host import data as tables
from harness.host.reference import load_reference
from harness.host.scoring import InvalidPredictionsError, parse_predictions
from harness.host.verdict import Job
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
    """Everything that the two phases and the scoring of one run are made from.

    Attributes:
        valid_rows: positions of the validation rows in the training data.
        predicted_inputs: test rows followed by validation rows, (M + V, F) float32.
        spelled: the same as text; None for a submission without a data set of its own, which needs no CSV.
        orders: of the first and the second prediction; for each row that the sandbox sees, its position
            in `predicted_inputs`.
    """

    assignment: Assignment
    submission: Submission
    config: TrainConfig
    device: str
    data: Data
    reference: Reference | None
    valid_rows: NDArray[np.int64]
    predicted_inputs: NDArray[np.float32]
    spelled: tables.SpelledRows | None
    orders: tuple[NDArray[np.int64], NDArray[np.int64]]

    @property
    def outputs(self) -> int:
        """Numbers that a prediction has for each row."""
        return self.assignment.outputs

    @property
    def valid_targets(self) -> NDArray[Any]:
        """Targets of the validation rows."""
        return self.data.train_targets[self.valid_rows]

    def training_job(self) -> Job:
        """The training rows with their targets, and which of them are for validation."""
        limits, config = self.assignment.limits, self.config
        fields = self._common_fields() | {
            "rows": len(self.data.train_targets),
            "epochs": config.epochs,
            "early_stop": config.early_stop,
            "grad_clip": config.grad_clip,
            "optimizer": _table(config.optimizer),
            "scheduler": _table(config.scheduler) if config.scheduler else None,
            "loss": _table(config.loss) if config.loss else {"name": self.assignment.loss.name},
        }
        blobs = self._code() | {
            "inputs": self.data.train_inputs.tobytes(),
            "targets": self.data.train_targets.tobytes(),
            "valid_rows": self.valid_rows.tobytes(),
        }
        if self.spelled is not None:
            blobs["csv"] = self.data.train_file
        return Job(
            Phase.TRAIN, fields, blobs, limits.train_seconds, limits.weights_mb << 20, limits.log_kb << 10
        )

    def prediction_job(self, weights: bytes, *, again: bool = False) -> Job:
        """The inputs to predict, under new ids.

        Args:
            weights: of the best epoch.
            again: for the second prediction, with its own order and batch size.
        """
        limits, order = self.assignment.limits, self.orders[again]
        inputs = self.predicted_inputs[order]
        blobs = self._code() | {
            "inputs": inputs.tobytes(),
            "weights": weights,
        }
        if self.spelled is not None:
            blobs["csv"] = self.spelled.csv(order)
        size = len(inputs) * self.outputs * FLOAT_BYTES
        fields = self._common_fields() | {"rows": len(inputs)}
        if again:
            fields["batch_size"] = other_batch_size(self.config.batch_size)
        # More than is right, so that rows too many are seen and named rather than refused as an overflow.
        return Job(Phase.PREDICT, fields, blobs, limits.predict_seconds, 2 * size + 1, limits.log_kb << 10)

    def read_predictions(
        self, result: PhaseResult, *, again: bool = False
    ) -> tuple[PhaseResult, Predictions]:
        """Check the bytes of a prediction phase and put the rows back into the assignment's order."""
        if result.outcome is not Outcome.OK:
            return result, Predictions()
        order = self.orders[again]
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

    def _common_fields(self) -> dict[str, Any]:
        files = [[name, len(content)] for name, content in self.submission.files.items()]
        return {
            "task": self.assignment.task,
            "outputs": self.outputs,
            "device": self.device,
            "threads": max(1, int(self.assignment.limits.cpus)),
            "seed": self.config.seed,
            "batch_size": self.config.batch_size,
            "model": self.config.model,
            "row_shape": list(self.data.train_inputs.shape[1:]),
            "files": files,
        }

    def _code(self) -> dict[str, bytes | memoryview]:
        return {"code": b"".join(self.submission.files.values())}


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


def _table(component: Component) -> dict[str, Any]:
    return {**component.arguments, "name": component.name}


def prepare(
    assignment: Assignment, submission: Submission, config: TrainConfig, reference: Path, device: str
) -> Material:
    """Read the data and the reference, and draw the validation rows and the secret order.

    Raises:
        UsageError: the assignment or the reference is broken.
    """
    data = tables.load_data(assignment)
    answers = load_reference(reference, assignment)
    valid_rows = tables.validation_rows(len(data.train_targets), config.valid_ratio, config.seed)
    key = answers.split_key if answers is not None else b"no reference"
    predicted = np.concatenate([data.test_inputs, data.train_inputs[valid_rows]])
    reads_csv = any(DATASET in content for content in submission.files.values())
    spelled = tables.SpelledRows(predicted, data.features, assignment.data.id) if reads_csv else None
    orders = (
        tables.prediction_order(len(predicted), key, submission.sha256),
        tables.prediction_order(len(predicted), key, f"{submission.sha256}:again"),
    )
    return Material(
        assignment, submission, config, device, data, answers, valid_rows, predicted, spelled, orders
    )
