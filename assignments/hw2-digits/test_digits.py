"""This assignment's own checks: hints at two common mistakes, worth no points.

A check takes the fixtures ``assignment``, ``submission``, ``run`` and ``score``; the marker ``points`` says
what passing it is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from harness.host.assignment import Assignment
    from harness.host.records import Run


@pytest.mark.points(0)
def test_scores_are_raw(run: Run) -> None:
    """The model leaves softmax to the loss."""
    if run.predictions is None:
        pytest.skip("there are no predictions to look at")
    shares = (run.predictions >= 0).all() and np.allclose(run.predictions.sum(axis=1), 1, atol=1e-3)
    assert not shares, (
        "the scores of each row sum to 1: CrossEntropyLoss has a softmax of its own, and a second one in the "
        "model keeps the gradients small"
    )


@pytest.mark.points(0)
def test_every_digit_is_predicted(run: Run, assignment: Assignment) -> None:
    """No digit is forgotten."""
    if run.predictions is None:
        pytest.skip("there are no predictions to look at")
    never = sorted(set(range(assignment.outputs)) - set(run.predictions.argmax(axis=1).tolist()))
    assert not never, (
        f"never predicted: {', '.join(map(str, never))}. Is the training loss below ln 10 = 2.3?"
    )
