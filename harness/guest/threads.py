"""Chooses how many threads a model gets of those that the assignment allows.

Threads that wait for each other cost more than they bring in a small model. What counts is the arithmetic of
a batch: around ten million floating point operations forwards, two threads begin to be faster than one
(docs/explanation/performance.md). The number is taken from the first batch and not from a clock, since
another number of threads can change the last bits of a sum: the same submission has to come to the same
score again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

OPERATIONS_WORTH_THREADS = 10_000_000


def fit_to_first_batch(model: nn.Module, most: int) -> None:
    """Run the model's first call with `most` threads and count, and all else with as many as it is worth.

    Args:
        model: that is called with batches of the size that most batches have.
        most: threads that the assignment allows.
    """
    torch.set_num_threads(most)
    if most == 1:
        return
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415  only where there is a choice

    counter = FlopCounterMode(display=False)
    hooks: list[Any] = []

    def begin(*_: object) -> None:
        counter.__enter__()

    def end(*_: object) -> None:
        counter.__exit__(None, None, None)
        for hook in hooks:
            hook.remove()
        is_small = counter.get_total_flops() < OPERATIONS_WORTH_THREADS
        if is_small and torch.get_num_threads() == most:  # else the student has chosen
            torch.set_num_threads(1)

    hooks += [
        model.register_forward_pre_hook(begin),
        model.register_forward_hook(end, always_call=True),
    ]
