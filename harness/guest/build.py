"""Criterion, optimizer and scheduler from their names in the config. The host has checked the names."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from harness.guest.findings import Finding
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


# On a processor PyTorch's default for these is one parameter at a time. All at once is the same arithmetic in
# the same order, without the detour between: 10 to 20 % of a step (docs/explanation/performance.md).
FASTER_AT_ONCE = frozenset({"Adadelta", "Adam", "Adamax", "AdamW", "RMSprop"})
KINDS_OF_STEP = frozenset({"foreach", "fused", "differentiable", "capturable"})


def build_criterion(table: Mapping[str, Any]) -> nn.Module:
    """A loss of `torch.nn`."""
    return _build("loss", getattr(torch.nn, table["name"]), (), table)  # type: ignore[no-any-return]


def build_optimizer(table: Mapping[str, Any], model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer of `torch.optim` over all parameters of the model."""
    optimizer_class = getattr(torch.optim, table["name"])
    if table["name"] in FASTER_AT_ONCE and not KINDS_OF_STEP & table.keys() and _are_plain(model):
        table = {**table, "foreach": True}
    return _build("optimizer", optimizer_class, (model.parameters(),), table)  # type: ignore[no-any-return]


def _are_plain(model: nn.Module) -> bool:
    """Whether all parameters are of PyTorch's own type; a student's may not go with lists."""
    return all(type(parameter) is torch.nn.Parameter for parameter in model.parameters())


def build_scheduler(table: Mapping[str, Any] | None, optimizer: torch.optim.Optimizer) -> Any:  # noqa: ANN401
    """A scheduler of `torch.optim.lr_scheduler`, or None; it is stepped after each epoch."""
    if table is None:
        return None
    return _build("scheduler", getattr(torch.optim.lr_scheduler, table["name"]), (optimizer,), table)


def _build(section: str, made: Any, first: tuple[Any, ...], table: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Call `made` with the table's arguments.

    Raises:
        Finding: PyTorch does not take them.
    """
    arguments = {name: value for name, value in table.items() if name != "name"}
    parameters = list(inspect.signature(made).parameters)[len(first) :]
    unknown = sorted(arguments.keys() - set(parameters))
    if unknown:
        raise Finding(
            Outcome.INVALID_SUBMISSION,
            f"config.toml: [{section}] {table['name']} takes no argument {', '.join(unknown)}",
            f"it takes {', '.join(parameters)}",
        )
    try:
        return made(*first, **arguments)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise Finding(
            Outcome.INVALID_SUBMISSION,
            f"config.toml: [{section}] {table['name']}: {error}",
            "see the class's page in PyTorch's documentation for what its arguments may be",
        ) from error
