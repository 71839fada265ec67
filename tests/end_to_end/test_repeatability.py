"""The same submission gives the same predictions, bit for bit, in every sandbox."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.host.assignment import load_assignment
from harness.host.backends import choose
from harness.host.grade import Order, grade
from harness.host.report.live import SilentProgress

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.host.records import Run

DROPOUT_MODEL = """
import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, 9), nn.BatchNorm1d(9), nn.Dropout(0.3), nn.Linear(9, 1))

    def forward(self, x):
        return self.net(x).squeeze(1) + 0 * torch.rand(len(x))
"""


def run_once(course: Path, submission: Path, sandbox: str) -> Run:
    """Grade by the function that the command calls."""
    assignment = load_assignment(course / "assignments" / "sum")
    order = Order(assignment, submission, course / "reference" / "sum", "cpu", "a test")
    with closing(choose(sandbox, "cpu", lambda _: None).backend) as backend:
        return grade(order, backend, SilentProgress())[1]


def bits(run: Run) -> NDArray[np.uint32]:
    """The predictions as bit patterns, (rows, 1)."""
    assert run.predictions is not None
    return run.predictions.view(np.uint32)


@pytest.mark.parametrize(
    "sandbox",
    [
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def test_twice_the_same_predictions(course: Path, submission: Path, sandbox: str) -> None:
    """Dropout, batch statistics and random numbers in forward() follow from the seed."""
    (submission / "model.py").write_text(DROPOUT_MODEL)
    first, second = (run_once(course, submission, sandbox) for _ in range(2))

    assert np.array_equal(bits(first), bits(second))
    assert [claim.valid_loss for claim in first.epochs] == [claim.valid_loss for claim in second.epochs]
    assert first.score == second.score


@pytest.mark.bubblewrap
@pytest.mark.docker
def test_both_sandboxes_give_the_same_predictions(course: Path, submission: Path) -> None:
    """The verdict does not depend on the backend."""
    (submission / "model.py").write_text(DROPOUT_MODEL)
    docker, bubblewrap = (run_once(course, submission, sandbox) for sandbox in ("docker", "bubblewrap"))

    assert np.array_equal(bits(docker), bits(bubblewrap))
    assert docker.score == bubblewrap.score


@pytest.mark.bubblewrap
def test_another_seed_gives_other_predictions(course: Path, submission: Path) -> None:
    """The comparisons above are not of constants."""
    (submission / "model.py").write_text(DROPOUT_MODEL)
    first = run_once(course, submission, "bubblewrap")
    config = (submission / "config.toml").read_text()
    (submission / "config.toml").write_text(config.replace("seed = 1", "seed = 2"))
    second = run_once(course, submission, "bubblewrap")

    assert not np.array_equal(bits(first), bits(second))
