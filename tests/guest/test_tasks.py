"""What each task takes of a model, and what it tells a student whose model gives something else."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.guest.findings import Finding, explain
from harness.guest.tasks import TASKS, task_of
from harness.host import tasks as host_tasks
from harness.protocol import Outcome

ROWS, CLASSES = 4, 10
SCORES = torch.randn(ROWS, CLASSES, generator=torch.Generator().manual_seed(3))
LABELS = torch.tensor([7, 0, 9, 7])
DIGITS = task_of("classification", CLASSES)
COUNTS = task_of("regression", 1)


def test_both_sides_know_the_same_tasks() -> None:
    """A task has an entry on each side, and its targets have one type."""
    assert set(TASKS) == set(host_tasks.TASKS)
    for name, task in TASKS.items():
        expected = torch.from_numpy(np.zeros(1, host_tasks.TASKS[name].target_dtype)).dtype
        assert task.target_dtype == expected


def test_no_other_module_asks_for_a_tasks_name() -> None:
    """What depends on the kind of task stands in the two ``tasks.py``, so that a third changes no flow."""
    package = Path(harness.__file__).parent
    named = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in TASKS
    }

    assert named == {"guest/tasks.py", "host/tasks.py"}


@pytest.mark.parametrize(
    "targets",
    [LABELS, LABELS.to(torch.uint8), torch.eye(CLASSES)[LABELS]],
    ids=["numbers", "bytes", "shares of classes"],
)
def test_what_the_loss_takes_is_let_through(targets: torch.Tensor) -> None:
    """Scores for every class, and targets as PyTorch's own loss takes them."""
    DIGITS.check_training_output(SCORES, targets)
    assert torch.isfinite(DIGITS.criterion({"name": "CrossEntropyLoss"})(SCORES, targets))


@pytest.mark.parametrize(
    ("pred", "said", "hint"),
    [
        (SCORES[:, :9], "the shape (4, 9) where (4, 10) is needed", "the last layer needs 10 outputs"),
        (SCORES[:, 0], "the shape (4,) where (4, 10) is needed", "the last layer needs 10 outputs"),
        (SCORES.argmax(1), "the shape (4,) where (4, 10) is needed", "without argmax()"),
        (SCORES[:, :, None, None], "the shape (4, 10, 1, 1) where (4, 10) is needed", ".flatten(1)"),
        (SCORES.round().long(), "numbers of type int64 where scores of float32", "have no gradient"),
        (SCORES > 0, "numbers of type bool where scores of float32", "have no gradient"),
        (SCORES.tolist(), "returned list, not a tensor", "end forward() with `return`"),
    ],
    ids=[
        "a class less",
        "one number",
        "class numbers",
        "an image",
        "whole numbers",
        "truth values",
        "a list",
    ],
)
def test_scores_of_another_form_are_a_broken_contract(pred: torch.Tensor, said: str, hint: str) -> None:
    """The message names what came and what is needed, the hint what to change."""
    with pytest.raises(Finding) as caught:
        DIGITS.check_training_output(pred, LABELS)

    assert caught.value.outcome is Outcome.CONTRACT_ERROR
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "targets",
    [LABELS.float(), LABELS.int(), LABELS[:, None], torch.eye(CLASSES)[LABELS].long()],
    ids=["float32", "int32", "a column", "whole numbers in every column"],
)
def test_targets_of_another_form_are_told_to_a_student_with_a_data_set(targets: torch.Tensor) -> None:
    """A ``MyDataset`` whose classes the loss would refuse is told so in the words of the contract."""
    with pytest.raises(Finding) as caught:
        DIGITS.check_training_output(SCORES, targets)

    assert f"targets of shape {tuple(targets.shape)} and type" in caught.value.message
    assert "class numbers of shape (4,) and type int64 are needed" in caught.value.message
    assert "int(...)" in caught.value.hint


def test_a_column_for_numbers_is_told_to_squeeze() -> None:
    """Of regression's mistakes it is the one that PyTorch lets through."""
    with pytest.raises(Finding, match=r"\(4, 1\) where \(4,\) is needed") as caught:
        COUNTS.check_training_output(SCORES[:, :1], LABELS.float())

    assert ".squeeze(1)" in caught.value.hint


@pytest.mark.parametrize("columns", [1, 9, 11])
def test_predictions_need_a_score_for_every_class(columns: int) -> None:
    """Testing has the same contract as training."""
    pred = torch.zeros(ROWS, columns)
    with pytest.raises(Finding, match=r"where \(4, 10\) is needed"):
        DIGITS.check_prediction(pred, ROWS)
    assert DIGITS.check_prediction(SCORES, ROWS) is not None


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
def test_predictions_of_numbers_become_a_column(shape: tuple[int, ...]) -> None:
    """The bytes are the same either way."""
    assert COUNTS.check_prediction(torch.zeros(shape), ROWS).shape == (ROWS, 1)


@pytest.mark.parametrize(
    ("pred", "targets", "hint"),
    [
        (SCORES.argmax(1), LABELS, "the same shape in training and in testing"),
        (SCORES, LABELS + 5, "12 is no class"),
    ],
    ids=["other shape in eval()", "no such class"],
)
def test_what_the_loss_itself_refuses_has_a_hint(
    pred: torch.Tensor, targets: torch.Tensor, hint: str
) -> None:
    """After the first batch nothing is checked before the loss, whose own words are no help."""
    with pytest.raises((RuntimeError, IndexError)) as caught:
        DIGITS.criterion({"name": "CrossEntropyLoss"})(pred, targets)

    assert hint in explain(caught.value).hint
