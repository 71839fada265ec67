"""This assignment's own checks: hints worth no points, as an example of how checks are added.

A check takes the fixtures ``assignment``, ``submission``, ``run`` and ``score``; the marker ``points`` says
what passing it is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from harness.host.records import Run

MOST_BIKES = 10_000  # ten times what the system ever rented in an hour


@pytest.mark.points(0)
def test_counts_are_plausible(run: Run) -> None:
    """No predicted count is absurd, in either direction."""
    if run.predictions is None:
        pytest.skip("there are no predictions to look at")
    assert np.abs(run.predictions).max() <= MOST_BIKES, (
        f"a count is beyond {MOST_BIKES:,} bikes an hour: is the output on the scale of `count`?"
    )


@pytest.mark.points(0)
def test_predictions_vary(run: Run) -> None:
    """The model looks at its inputs: not every hour gets the same count."""
    if run.predictions is None:
        pytest.skip("there are no predictions to look at")
    assert np.ptp(run.predictions) > 1.0, (
        "every hour got about the same count: did the learning rate kill the hidden units?"
    )
