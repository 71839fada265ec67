"""Whether a row's prediction is its own: the same twice, and the same beside other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.guest.tracing import Operation, differ, first_difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.guest.observations import Observations

ROWS = 8


def judge_steadiness(model: nn.Module, x: Tensor, seen: Observations) -> None:
    """Predict some rows twice, and again beside others.

    Args:
        model: is put into evaluation mode, as for validation and testing.
        x: inputs of more than `ROWS` rows; of fewer, only chance is looked for.
        seen: takes what was found.
    """
    model.eval()
    # The last rows of the batch: a sum over the rows before would leave the first ones as they are.
    few = x[-ROWS:]
    with torch.no_grad():
        first, again, beside = model(few), model(few), model(x)[-len(few) :]
        if differ(first, again):
            operation = _traced(lambda: model(few), lambda: model(few), len(few))
            _add(seen, "random_in_eval", operation, _differing(first, again), len(few))
        elif len(x) > len(few) and differ(first, beside):
            operation = _traced(lambda: model(few), lambda: model(x), len(few))
            _add(seen, "batch_dependent_in_eval", operation, _differing(first, beside), len(few))


def judge_statistics(model: nn.Module, first: dict[str, Tensor], seen: Observations) -> None:
    """Look whether running statistics have moved in training.

    Args:
        model: after some steps.
        first: its buffers before these, among others.
        seen: takes what was found.
    """
    still = [
        name
        for name, module in model.named_modules()
        if getattr(module, "track_running_stats", False) and _is_still(module, name, first)
    ]
    if still:
        seen.add("statistics_not_updated", names=still)


def _is_still(module: nn.Module, name: str, first: dict[str, Tensor]) -> bool:
    buffers: dict[str, Any] = dict(module.named_buffers(recurse=False))
    if "num_batches_tracked" in buffers and not int(buffers["num_batches_tracked"]):
        return False  # it was never called
    running = [
        (buffer, first.get(f"{name}.{key}".lstrip(".")))
        for key, buffer in buffers.items()
        if key.startswith("running_")
    ]
    return bool(running) and all(before is not None and torch.equal(before, now) for now, before in running)


def _traced(one: Callable[[], object], other: Callable[[], object], rows: int) -> Operation | None:
    try:
        return first_difference(one, other, rows)
    except Exception:  # noqa: BLE001  it worked without the watch: the place is then not known
        return None


def _differing(first: Tensor, second: Tensor) -> int:
    return sum(differ(a.reshape(-1), b.reshape(-1)) for a, b in zip(first, second, strict=True))


def _add(seen: Observations, code: str, operation: Operation | None, rows: int, of: int) -> None:
    place, text = (operation.place, operation.name) if operation else (None, "")
    seen.add(code, {"rows": rows, "of": of}, place=place, text=text)
