"""A small course made of random numbers, for tests of what a kit may tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.assignment import Assignment, load_assignment, reference_folder
from harness.host.data import Data, load_data
from harness.host.release.hidden import Hidden, read_hidden

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TRAINED, TESTED, FEATURES = 400, 300, 5
KEY = bytes(range(7, 39))
TASKS = {
    "regression": ("", "rmse", "min", "MSELoss"),
    "classification": ("classes = 6", "accuracy", "max", "CrossEntropyLoss"),
}


@dataclass(frozen=True)
class Planted:
    """An assignment with its answers at hand."""

    assignment: Assignment
    data: Data
    hidden: Hidden
    reference: Path

    @property
    def files(self) -> dict[str, bytes]:
        """What a kit has at least."""
        folder = self.assignment.folder
        return {
            name: (folder / name).read_bytes() for name in ("README.md", "data/train.csv", "data/test.csv")
        }

    @property
    def ids(self) -> list[str]:
        """Of the test rows."""
        return [str(each) for each in self.data.test_ids]

    @property
    def answers(self) -> NDArray[np.float64]:
        """In the order of the test file."""
        return self.hidden.answers.values


def targets_of(inputs: NDArray[np.float64], task: str, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts or classes that the first features say much of."""
    level = inputs[:, 0] + 0.5 * inputs[:, 1] + 0.4 * noise
    if task == "regression":
        return np.round(40 * np.exp(0.6 * level))
    return np.digitize(level, [-1.3, -0.7, 0.0, 0.5, 1.2]).astype(np.float64)


def plant(folder: Path, task: str, **changes: Any) -> Planted:
    """Write an assignment and its reference, and read them.

    Args:
        folder: of the course.
        task: ``regression`` or ``classification``.
        changes: ``test`` and ``ids`` are functions that are given the test inputs (M, F), the answers (M,)
            and a source of chance, and return what stands in their place in the file.
    """
    chance = np.random.default_rng(20220218)
    inputs = chance.normal(size=(TRAINED + TESTED, FEATURES)).round(3)
    targets = targets_of(inputs, task, chance.normal(size=len(inputs)))
    ids = (chance.permutation(len(inputs)) + 1).astype(str)
    test, answers = inputs[TRAINED:], targets[TRAINED:]
    test_ids = changes["ids"](test, answers, chance) if "ids" in changes else ids[TRAINED:]
    if "order" in changes:
        order = changes["order"](test, answers, chance)
        test, answers, test_ids = test[order], answers[order], test_ids[order]
    if "test" in changes:
        test = changes["test"](test, answers, chance)
    assignment, reference = folder / "assignments" / "planted", folder / "reference" / "planted"
    (assignment / "data").mkdir(parents=True)
    (reference / "solutions" / "best").mkdir(parents=True)
    names = [f"x{number}" for number in range(FEATURES)]
    write_table(
        assignment / "data" / "train.csv", ["id", *names, "y"], ids[:TRAINED], inputs[:TRAINED], targets
    )
    write_table(assignment / "data" / "test.csv", ["id", *names], test_ids, test)
    write_table(reference / "answers.csv", ["id", "y"], test_ids, np.empty((len(test), 0)), answers)
    (reference / "reference.toml").write_text(f'answers = "answers.csv"\nsplit_key = "{KEY.hex()}"\n')
    (reference / "solutions" / "best" / "model.py").write_text(SOLUTION)
    (assignment / "starter").mkdir()
    (assignment / "starter" / "model.py").write_text(STARTER)
    (assignment / "starter" / "config.toml").write_text(CONFIG)
    classes, metric, direction, loss = TASKS[task]
    (assignment / "assignment.toml").write_text(
        ASSIGNMENT.format(task=task, classes=classes, metric=metric, direction=direction, loss=loss)
    )
    (assignment / "README.md").write_text("# Planted\n\nPredict y, with 300 test rows; rmse or accuracy.\n")
    loaded = load_assignment(assignment)
    data = load_data(loaded)
    return Planted(loaded, data, read_hidden(loaded, data, reference_folder(loaded)), reference)


def write_table(
    path: Path,
    header: list[str],
    ids: NDArray[np.str_],
    inputs: NDArray[np.float64],
    targets: NDArray[np.float64] | None = None,
) -> None:
    """Write a CSV, whole numbers without a point."""
    cells = inputs if targets is None else np.column_stack([inputs, targets[: len(inputs)]])
    rows = [[identity, *(f"{cell:.6g}" for cell in row)] for identity, row in zip(ids, cells, strict=True)]
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")


ASSIGNMENT = """
id = "planted"
title = "Planted"
task = "{task}"
[data]
target = "y"
{classes}
[metric]
name = "{metric}"
direction = "{direction}"
[loss]
name = "{loss}"
[points]
contract = 1.0
finished = 1.0
finite = 1.0
runtime = 1.0
"""
STARTER = """from torch import nn


class MyModel(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(1)
"""
CONFIG = """assignment = "planted"
epochs = 2

[model]
features = 5

[optimizer]
name = "SGD"
lr = 0.01
"""
SOLUTION = '''"""The best that we know."""

from torch import Tensor, nn


class MyModel(nn.Module):
    def __init__(self, features: int, secret_width: int) -> None:
        super().__init__()
        self.wide = nn.Linear(features, secret_width)
        self.gate = nn.Sequential(nn.Tanh(), nn.Linear(secret_width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(self.wide(x)).squeeze(1)
'''
