"""Finds the operation of a forward pass at which something went wrong, and the student's line that called it.

PyTorch lets a mode see every call of its functions. So a NaN has an operation whose inputs were still finite,
and an output that should have been the same twice has a first operation at which it was not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.guest.findings import SUBMISSION_FOLDER, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

# What goes wrong with finite numbers. Others make infinities on purpose, such as the mask of an attention.
_ROOTS_AND_LOGARITHMS = (
    "log",
    "log2",
    "log10",
    "log1p",
    "logit",
    "sqrt",
    "rsqrt",
    "pow",
    "rpow",
    "norm",
    "std",
)
_DIVISIONS = ("div", "divide", "truediv", "rtruediv", "rdiv", "reciprocal", "normalize")
RISKY = frozenset({*_ROOTS_AND_LOGARITHMS, *_DIVISIONS, "exp", "expm1", "acos", "asin", "atanh"})
SAME = 1e-3  # of a value or of the spread of all: what the grading calls the same


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a PyTorch function.

    Attributes:
        name: of the function, such as ``log``.
        place: the innermost line of the submission that led to it, if one did.
        zeros: how many zeros were in what it was given; of a division, in the divisor.
        negatives: likewise.
        largest: the greatest magnitude in what it was given.
    """

    name: str
    place: Place | None
    zeros: int = 0
    negatives: int = 0
    largest: float = 0.0


def is_finite(value: object) -> bool:
    """Whether no floating point tensor in `value` has a NaN or an infinity."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors_in(value))


def tensors_in(value: object) -> Iterator[Tensor]:
    """The floating point tensors in a value, a list or a tuple."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and not value.is_sparse:
            yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors_in(each)


def first_non_finite(forward: Callable[[], object]) -> Operation | None:
    """The operation at which numbers stopped being finite; None if they did not, or where nobody can tell.

    Args:
        forward: does what went wrong, once more.
    """
    watch = _FiniteWatch()
    with watch:
        forward()
    risky = [operation for operation in watch.broke if operation.name in RISKY]
    return next(iter(risky or watch.broke), None)


def first_difference(one: Callable[[], object], other: Callable[[], object], rows: int) -> Operation | None:
    """The first operation whose results differ between two passes; None where the passes cannot be compared.

    Args:
        one: the first pass.
        other: the second one, of which a batch may have more rows before those of the first.
        rows: of the first pass's batch.
    """
    passes = []
    for forward in (one, other):
        watch = _ResultWatch()
        with watch:
            forward()
        passes.append(watch.results)
    for (name, place, first), (other_name, _, second) in zip(*passes, strict=False):
        if name != other_name:
            return None
        if first.shape != second.shape and len(second) >= rows:
            second = second[-rows:]  # noqa: PLW2901  the rows that both have
        if first.shape == second.shape and differ(first, second):
            return Operation(name, place)
    return None


def differ(first: Tensor, second: Tensor) -> bool:
    """Whether two results of one shape are further apart than rounding puts them."""
    a, b = first.double(), second.double()
    spread = a.std() if a.numel() > 1 else a.new_zeros(())
    return bool(((a - b).abs() > SAME * (a.abs() + spread)).any())


class _FiniteWatch(TorchFunctionMode):
    """Keeps the operations that made something infinite of what was not."""

    def __init__(self) -> None:
        super().__init__()
        self.broke: list[Operation] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401  PyTorch's
        del types
        given = [tensor.detach().clone() for tensor in tensors_in(args)]  # the function may write into them
        result = func(*args, **(kwargs or {}))
        if not is_finite(result) and is_finite(given):
            self.broke.append(_operation(_name(func), given))
        return result


class _ResultWatch(TorchFunctionMode):
    """Keeps the results of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[tuple[str, Place | None, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401  PyTorch's
        del types
        result = func(*args, **(kwargs or {}))
        for tensor in tensors_in(result):
            if tensor.dim():
                self.results.append((_name(func), _place(), tensor.detach().clone()))
        return result


def _operation(name: str, given: list[Tensor]) -> Operation:
    divisor = given[-1:] if name in {"div", "divide", "truediv"} else given[:1]
    return Operation(
        name,
        _place(),
        zeros=_count(tensor == 0 for tensor in divisor),
        negatives=_count(tensor < 0 for tensor in divisor),
        largest=max((float(tensor.abs().max()) for tensor in given if tensor.numel()), default=0.0),
    )


def _count(masks: Iterable[Tensor]) -> int:
    return sum(int(mask.sum()) for mask in masks)


def _name(func: Any) -> str:  # noqa: ANN401  a function, a method or a slot's wrapper
    return str(getattr(func, "__name__", "")).strip("_")


def _place() -> Place | None:
    """The innermost line of the submission that is being run."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  what the traceback module does, at a hundredth of its cost
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(SUBMISSION_FOLDER):
            return Place(name.removeprefix(SUBMISSION_FOLDER).lstrip("/"), frame.f_lineno)
        frame = frame.f_back
    return None
