"""The metrics against scikit-learn's, and the losses against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from sklearn.dummy import DummyClassifier, DummyRegressor

from harness.host.metrics import LOSSES, METRICS
from harness.host.tasks import METRIC_DIRECTIONS, TASKS

ROWS = 500


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("rmse", sklearn_metrics.root_mean_squared_error), ("mae", sklearn_metrics.mean_absolute_error)],
)
def test_regression_metrics_are_those_of_scikit_learn(name: str, theirs: object) -> None:
    """The value over all rows is the library's, computed in float64."""
    generator = np.random.default_rng(0)
    answers = generator.normal(200, 100, ROWS)
    predictions = (answers + generator.normal(0, 30, ROWS)).astype(np.float32)
    assert callable(theirs)
    assert METRICS[name](predictions[:, None], answers) == pytest.approx(
        theirs(answers, predictions.astype(np.float64)), rel=1e-12
    )


def test_accuracy_is_that_of_scikit_learn() -> None:
    """The class is the column with the largest value, the first of them in a tie."""
    generator = np.random.default_rng(1)
    logits = generator.integers(0, 4, (ROWS, 5)).astype(np.float32)
    answers = generator.integers(0, 5, ROWS)
    theirs = sklearn_metrics.accuracy_score(answers, logits.argmax(axis=1))
    assert METRICS["accuracy"](logits, answers) == pytest.approx(theirs, rel=1e-12)


def test_metrics_are_perfect_on_the_answers_themselves() -> None:
    """No error, and every row right."""
    answers = np.array([0, 2, 1])
    assert METRICS["rmse"](answers.astype(np.float32)[:, None], answers) == 0.0
    assert METRICS["mae"](answers.astype(np.float32)[:, None], answers) == 0.0
    assert METRICS["accuracy"](np.eye(3, dtype=np.float32)[answers], answers) == 1.0


def test_the_largest_float32_does_not_overflow() -> None:
    """Finite predictions have a finite metric and loss, so that a report is valid JSON."""
    largest = np.full((2, 1), np.finfo(np.float32).max)
    assert np.isfinite(METRICS["rmse"](largest, np.array([-1e38, 0.0])))
    logits = np.array([[1, -1], [-1, 1]], dtype=np.float32) * np.finfo(np.float32).max
    assert np.isfinite(LOSSES["cross_entropy"](logits, np.array([1, 1])))


def test_losses_are_those_of_torch() -> None:
    """The test loss is the mean of MSELoss or CrossEntropyLoss over all rows."""
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 5, (ROWS, 7)).astype(np.float32)
    classes = generator.integers(0, 7, ROWS)
    expected = torch.nn.CrossEntropyLoss()(torch.from_numpy(logits).double(), torch.from_numpy(classes))
    assert LOSSES["cross_entropy"](logits, classes) == pytest.approx(expected.item(), rel=1e-12)
    targets = generator.normal(size=ROWS)
    expected = torch.nn.MSELoss()(torch.from_numpy(logits[:, 0]).double(), torch.from_numpy(targets))
    assert LOSSES["squared_error"](logits[:, :1], targets) == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("rmse", 1.0, True),
        ("rmse", 0.9, True),
        ("rmse", 1.1, False),
        ("accuracy", 1.0, True),
        ("accuracy", 0.9, False),
    ],
)
def test_reaching_a_threshold_counts(name: str, value: float, good: bool) -> None:  # noqa: FBT001 - a table's column
    """At least as good, in the metric's direction."""
    assert METRICS[name].at_least_as_good(value, 1.0) is good


def test_directions_are_the_assignment_s() -> None:
    """The schema and the metrics cannot disagree on which way is better."""
    assert {name: metric.direction for name, metric in METRICS.items()} == METRIC_DIRECTIONS


def test_chance_is_the_best_prediction_that_is_the_same_for_all_rows() -> None:
    """The mean, the median and the most frequent class: scikit-learn's dummies have the same scores."""
    answers = np.random.default_rng(6).poisson(3.0, ROWS)
    nothing = np.zeros((ROWS, 1))
    mean = DummyRegressor(strategy="mean").fit(nothing, answers).predict(nothing)
    median = DummyRegressor(strategy="median").fit(nothing, answers).predict(nothing)
    frequent = DummyClassifier(strategy="most_frequent").fit(nothing, answers).predict(nothing)
    assert METRICS["rmse"].chance_level(answers, 1) == pytest.approx(
        sklearn_metrics.root_mean_squared_error(answers, mean), rel=1e-6
    )
    assert METRICS["mae"].chance_level(answers, 1) == pytest.approx(
        sklearn_metrics.mean_absolute_error(answers, median)
    )
    assert METRICS["accuracy"].chance_level(answers, 12) == pytest.approx(
        sklearn_metrics.accuracy_score(answers, frequent)
    )


def test_every_task_names_formulas_that_exist() -> None:
    """A task's metrics and its test loss are in the tables."""
    assert {name for task in TASKS.values() for name in task.metrics} == set(METRICS)
    assert {task.test_loss for task in TASKS.values()} == set(LOSSES)
