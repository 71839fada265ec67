"""What the sandboxes of one run are given: made from the assignment's rows and a plan, without the reference.

The prediction phase gets the test inputs and the validation inputs together, under new ids and in a secret
order, so that a model cannot tell which rows count. It is done twice, each time in a sandbox of its own: the
second time in another order and in other batches, which an honest model does not notice
(docs/decisions/0008-predicted-twice.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.data import SpelledRows, drawn_order, validation_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.host.assignment import Limits
    from harness.host.verdict import Job


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """An assignment's rows without their ids, the same for all submissions; N for training, M for test.

    Attributes:
        features: names of the F feature columns.
        id_column: the id column's name.
        train_inputs: (N, F) float32, C-contiguous.
        train_targets: (N,) of the task's type: float32, or int64 class numbers.
        test_inputs: (M, F) float32, C-contiguous.
        train_file: the CSV of the training rows, byte for byte.
    """

    features: tuple[str, ...]
    id_column: str
    train_inputs: NDArray[np.float32]
    train_targets: NDArray[Any]
    test_inputs: NDArray[np.float32]
    train_file: bytes


@dataclass(frozen=True, slots=True)
class Draws:
    """What decides which rows are for validation, and in which orders a submission meets the test rows.

    Attributes:
        seed: of the config.
        valid_ratio: of the config.
        order_seeds: of the first and the second prediction; see `harness.host.data.order_seed`.
    """

    seed: int
    valid_ratio: float
    order_seeds: tuple[int, int]

    def valid_rows(self, n_rows: int) -> NDArray[np.int64]:
        """See `harness.host.data.validation_rows`."""
        return validation_rows(n_rows, self.valid_ratio, self.seed)

    def orders(self, n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of the first and the second prediction, each (n_rows,)."""
        first, second = self.order_seeds
        return drawn_order(n_rows, first), drawn_order(n_rows, second)


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """What is one submission's own: with the rows, all that its sandboxes need.

    Attributes:
        limits: what each sandbox may use.
        training: the job but for the rows.
        predictions: the first and the second job, but for the rows and the weights.
        draws: what the following were drawn with.
        valid_rows: (V,) positions of the validation rows in the training data.
        orders: of the first and the second prediction; for each row that the sandbox sees, its position
            among the test rows followed by the validation rows.
        reads_csv: whether the submission has a data set of its own, which reads the CSV.
    """

    limits: Limits
    training: Job
    predictions: tuple[Job, Job]
    draws: Draws
    valid_rows: NDArray[np.int64]
    orders: tuple[NDArray[np.int64], NDArray[np.int64]]
    reads_csv: bool


class Work:
    """The jobs of one run.

    Args:
        plan: the submission's.
        rows: the assignment's.
    """

    def __init__(self, plan: Plan, rows: Rows) -> None:
        self._plan, self._rows = plan, rows
        self._predicted = np.concatenate([rows.test_inputs, rows.train_inputs[plan.valid_rows]])
        self._spelled = (
            SpelledRows(self._predicted, rows.features, rows.id_column) if plan.reads_csv else None
        )

    def training_job(self) -> Job:
        """The training rows with their targets, and which of them are for validation."""
        job = self._plan.training
        blobs = dict(job.blobs) | {
            "inputs": self._rows.train_inputs.tobytes(),
            "targets": self._rows.train_targets.tobytes(),
            "valid_rows": self._plan.valid_rows.tobytes(),
        }
        if self._plan.reads_csv:
            blobs["csv"] = self._rows.train_file
        return replace(job, blobs=blobs)

    def prediction_job(self, weights: bytes, *, again: bool = False) -> Job:
        """The inputs to predict, under new ids.

        Args:
            weights: of the best epoch.
            again: for the second prediction, with its own order and batch size.
        """
        job, order = self._plan.predictions[again], self._plan.orders[again]
        blobs = dict(job.blobs) | {"inputs": self._predicted[order].tobytes(), "weights": weights}
        if self._spelled is not None:
            blobs["csv"] = self._spelled.csv(order)
        return replace(job, blobs=blobs)
