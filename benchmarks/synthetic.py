"""A course of any size, generated, to see how times grow."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import workloads

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ID = "synthetic"
TEST_SHARE = 4  # a test row for every so many training rows
MODEL_OF = "hw1-bikes-256"
ASSIGNMENT = f"""
id = "{ID}"
title = "As many rows as wanted"
task = "regression"
[data]
target = "y"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[limits]
train_seconds = 600.0
predict_seconds = 600.0
memory_mb = 8192
[points]
contract = 1.0
finished = 1.0
finite = 1.0
runtime = 1.0
"""
CONFIG = """
assignment = "{id}"
seed = 42
epochs = 1
batch_size = 256
valid_ratio = 0.2

[model]
features = {features}
hidden = 40

[optimizer]
name = "Adam"
lr = 0.003
"""


def make(folder: Path, rows: int, features: int) -> workloads.Workload:
    """A course in `folder` and a submission to it that trains for one epoch in batches of 256.

    Args:
        folder: for ``assignments/`` and the submission.
        rows: of ``train.csv``; ``test.csv`` has a quarter of that.
        features: columns of inputs, each a digit, as long in the file as most of hw1-bikes's.
    """
    assignment = folder / "assignments" / ID
    submission = folder / "submission"
    for each in (assignment / "data", submission):
        each.mkdir(parents=True)
    (assignment / "assignment.toml").write_text(ASSIGNMENT)
    shutil.copy(workloads.FOLDER / MODEL_OF / "model.py", submission)
    (submission / "config.toml").write_text(CONFIG.format(id=ID, features=features))
    generator = np.random.default_rng(0)
    weights = generator.normal(size=features) / features
    for name, first, count in (("train", 0, rows), ("test", rows, rows // TEST_SHARE)):
        digits = generator.integers(0, 10, size=(count, features), dtype=np.uint8)
        targets = digits @ weights if name == "train" else None
        _write(assignment / "data" / f"{name}.csv", first, digits, targets)
    return workloads.of(submission, assignment)


def _write(path: Path, first: int, digits: NDArray[np.uint8], targets: NDArray[np.float64] | None) -> None:
    rows, features = digits.shape
    text = np.full((rows, 2 * features), ord(","), dtype=np.uint8)
    text[:, ::2] = digits + ord("0")
    text[:, -1] = ord("\n")
    head = ["id", *([] if targets is None else ["y"]), *(f"x{number}" for number in range(features))]
    with path.open("wb") as file:
        file.write((",".join(head) + "\n").encode())
        for number, line in enumerate(text):
            target = "" if targets is None else f"{targets[number]:.4f},"
            file.write(f"{first + number},{target}".encode() + line.tobytes())
