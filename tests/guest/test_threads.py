"""How many threads a model gets follows from the arithmetic of its first batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from harness.guest.threads import OPERATIONS_WORTH_THREADS, fit_to_first_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, MOST = 32, 2
WIDTH = 64
SMALL = OPERATIONS_WORTH_THREADS // (2 * ROWS * WIDTH) - 1  # outputs that keep one layer just below the bound


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("outputs", "threads"), [(SMALL, 1), (SMALL + 2, MOST)])
def test_small_model_gets_one_thread_and_a_large_one_all(outputs: int, threads: int) -> None:
    """A matrix product counts two operations for each pair of numbers."""
    model = nn.Linear(WIDTH, outputs, bias=False)

    fit_to_first_batch(model, MOST)
    model(torch.randn(ROWS, WIDTH))

    assert torch.get_num_threads() == threads


def test_first_call_decides_and_leaves_no_hook() -> None:
    """A last batch with fewer rows changes nothing."""
    model = nn.Linear(WIDTH, SMALL + 2, bias=False)
    fit_to_first_batch(model, MOST)

    model(torch.randn(ROWS, WIDTH))
    model(torch.randn(1, WIDTH))

    assert torch.get_num_threads() == MOST
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_student_that_sets_threads_keeps_them() -> None:
    """The model asked for three in its forward()."""

    class Model(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.set_num_threads(3)
            return super().forward(x)

    model = Model(WIDTH, 1)
    fit_to_first_batch(model, MOST)
    model(torch.randn(ROWS, WIDTH))

    assert torch.get_num_threads() == 3


def test_one_thread_is_not_counted() -> None:
    """Where there is no choice, nothing stands in the model's way."""
    model = nn.Linear(WIDTH, 1)

    fit_to_first_batch(model, 1)

    assert torch.get_num_threads() == 1
    assert not model._forward_hooks


def test_counting_changes_no_bit() -> None:
    """The first call's output and gradients are those of a call that nobody counts."""

    def outcome(*, counted: bool) -> Any:
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Dropout(0.2), nn.LazyLinear(2)
        )
        x = torch.randn(ROWS, 1, WIDTH)
        if counted:
            fit_to_first_batch(model, MOST)
        out = model(x)
        torch.set_num_threads(MOST)  # the model is small, so it would go on with one
        out.square().sum().backward()
        return [out, *(parameter.grad for parameter in model.parameters())]

    torch.set_num_threads(MOST)
    plain = outcome(counted=False)
    counted = outcome(counted=True)

    assert all(torch.equal(a, b) for a, b in zip(plain, counted, strict=True))


def test_failing_model_leaves_nothing_behind() -> None:
    """An error in forward() comes out as it is, and later models are not counted."""
    model = nn.Linear(WIDTH, 1)
    fit_to_first_batch(model, MOST)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model(torch.randn(ROWS, WIDTH + 1))
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None
