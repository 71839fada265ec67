"""Reads an assignment's CSV files into arrays, and writes the CSV that a prediction sandbox gets."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.cache import Latest
from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.schema_errors import joined, quoted
from harness.host.table import HINT, Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment


@dataclass(frozen=True, eq=False, slots=True)
class Data:
    """The rows of an assignment; N for training, M for test, F features.

    Attributes:
        features: names of the F feature columns, in the order of the arrays.
        train_inputs: (N, F) float32, C-contiguous.
        train_targets: (N,) of the task's type: float32, or int64 class numbers.
        train_ids: (N,) as they are written.
        test_inputs: (M, F) float32, C-contiguous, in the file's order.
        test_ids: (M,) as they are written.
        train_file: the CSV of the training rows, byte for byte.
    """

    features: tuple[str, ...]
    train_inputs: NDArray[np.float32]
    train_targets: NDArray[Any]
    train_ids: NDArray[np.str_]
    test_inputs: NDArray[np.float32]
    test_ids: NDArray[np.str_]
    train_file: bytes


_latest: Latest[Data] = Latest()


def load_data(assignment: Assignment) -> Data:
    """Read the training rows and the test inputs, unless that was done for the same files just before.

    Raises:
        UsageError: a file is missing or unsound; the message names the file, the column and the line.
    """
    files = (assignment.train_path, assignment.test_path)
    return _latest.of(assignment, files, lambda: _load(assignment))


def _load(assignment: Assignment) -> Data:
    target = assignment.data.target
    train = read_table(assignment.train_path, assignment.data.id)
    test = read_table(assignment.test_path, assignment.data.id)
    if target not in train.columns:
        raise UsageError(f"{assignment.train_path}: there is no target column {quoted(target)}", HINT)
    if target in test.columns:
        raise UsageError(
            f"{assignment.test_path}: the target column {quoted(target)} is in it, so the answers are", HINT
        )
    features = tuple(name for name in train.columns if name != target)
    if features != test.columns:
        raise UsageError(f"{assignment.test_path}: {_difference(features, test.columns)}", HINT)
    target_at = train.columns.index(target)
    return Data(
        features=features,
        train_inputs=_fixed(_float32(train, without=target_at)),
        train_targets=_fixed(as_targets(train, assignment, assignment.kind.target_dtype)),
        train_ids=_fixed(train.ids),
        test_inputs=_fixed(_float32(test)),
        test_ids=_fixed(test.ids),
        train_file=assignment.train_path.read_bytes(),
    )


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    """An array that gradings can share."""
    array.flags.writeable = False
    return array


def as_targets(table: Table, assignment: Assignment, dtype: str) -> NDArray[Any]:
    """The target column (N,) of a table of N rows, checked and in a type that the task names.

    Raises:
        UsageError: a target is none of the task's.
    """
    targets = table.numbers[:, table.columns.index(assignment.data.target)]
    wrong, why = assignment.kind.fault(targets, assignment.data.classes)
    _refuse(table, wrong, why)
    return targets.astype(dtype)


def row_keys(inputs: NDArray[np.float32]) -> list[bytes]:
    """What tells rows (N, features) apart, one for each: equal where all their features are equal."""
    plain = np.ascontiguousarray(inputs + np.float32(0))  # -0.0 is 0.0
    return [row.tobytes() for row in plain]


def validation_rows(n_rows: int, valid_ratio: float, seed: int) -> NDArray[np.int64]:
    """Positions of the training rows that are kept for validation, drawn by the host.

    Raises:
        InvalidSubmissionError: the ratio leaves no row for validation, or none for training.
    """
    count = int(n_rows * valid_ratio)
    if not 0 < count < n_rows:
        raise InvalidSubmissionError(
            f"config.toml: valid_ratio is {valid_ratio:g}, which holds back {count} of {n_rows} rows",
            "choose a ratio that leaves rows for both training and validation, such as 0.2",
            file="config.toml",
        )
    rows: NDArray[np.int64] = np.random.default_rng(seed).permutation(n_rows)[:count]
    return rows


def prediction_order(n_rows: int, key: bytes, submission_sha256: str) -> NDArray[np.int64]:
    """The secret order in which a submission meets the test rows, the same at every grading.

    Args:
        n_rows: M, the number of test rows.
        key: known to the host only.
        submission_sha256: the submission's digest.

    Returns:
        (M,) row positions: ``test_inputs[order]`` is what the sandbox gets.
    """
    return drawn_order(n_rows, order_seed(key, submission_sha256))


def order_seed(key: bytes, submission_sha256: str) -> int:
    """What a prediction order is drawn with; it tells nothing of the key."""
    digest = hmac.digest(key, b"prediction order:" + submission_sha256.encode(), hashlib.sha256)
    return int.from_bytes(digest, "big")


def drawn_order(n_rows: int, seed: int) -> NDArray[np.int64]:
    """The order (M,) of so many rows that a seed stands for."""
    order: NDArray[np.int64] = np.random.default_rng(seed).permutation(n_rows)
    return order


class SpelledRows:
    """Inputs as rows of a CSV, to be written in any order.

    Each number is the shortest text that reads back as the same float32; whole numbers have no point, so that
    code which read them as integers in the training file can do so here.

    Args:
        inputs: (M, F) float32.
        features: the F column names.
        id_column: the id column's name.
    """

    def __init__(self, inputs: NDArray[np.float32], features: Sequence[str], id_column: str = "id") -> None:
        # One-hot and calendar columns have few different values: each is spelled out once. Compared as bits,
        # since -0.0 equals 0.0.
        bits, places = np.unique(
            np.ascontiguousarray(inputs, dtype=np.float32).view(np.uint32), return_inverse=True
        )
        spelled = np.array([_shortest(value) for value in bits.view(np.float32)], dtype=object)
        self._rows = [",".join(row) for row in spelled[places].reshape(inputs.shape)]
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow([id_column, *features])
        self._header = header.getvalue()

    def csv(self, order: NDArray[np.int64]) -> bytes:
        """The CSV that ``MyDataset`` gets: an id, counted from 0, then the features, and no target.

        Args:
            order: (M,) which row comes when.
        """
        lines = [f"{number},{self._rows[row]}\n" for number, row in enumerate(order)]
        return (self._header + "".join(lines)).encode()


def _shortest(value: np.float32) -> str:
    text = str(value)
    return text.removesuffix(".0") if text != "-0.0" else text


def _float32(table: Table, without: int | None = None) -> NDArray[np.float32]:
    """The columns, in which no number may be too large, but for the one `without`: (N, F), C-contiguous."""
    largest = float(np.finfo(np.float32).max)
    numbers = table.numbers
    cut = numbers.shape[1] if without is None else without
    parts = [numbers[:, :cut], numbers[:, cut + 1 :]]
    for part in parts:
        if part.size and max(part.max(), -part.min()) > largest:  # which spares all others the next line
            why = f"has a number over {largest:.3g}, too large for float32"
            _refuse(table, np.asarray((np.abs(part) > largest).any(axis=1)), why)
    columns = np.empty((len(numbers), sum(part.shape[1] for part in parts)), dtype=np.float32)
    columns[:, :cut], columns[:, cut:] = parts
    return columns


def _refuse(table: Table, wrong: NDArray[np.bool_], why: str) -> None:
    """Refuse a table where a row is `wrong` (N,); the message names the row by its id, and no number."""
    if wrong.any():
        raise UsageError(
            f"{table.path}: the row with the id {quoted(str(table.ids[wrong.argmax()]))} {why}", HINT
        )


def _difference(train: tuple[str, ...], test: tuple[str, ...]) -> str:
    missing = [
        f"there is no column {quoted(name)}, which the training file has"
        for name in train
        if name not in test
    ]
    more = [f"the column {quoted(name)} is not in the training file" for name in test if name not in train]
    return joined(missing + more) or "the columns are in another order than in the training file"
