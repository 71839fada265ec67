"""The literals that the host uses instead of importing torch."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
import torch

from harness.host.tasks import TASKS
from harness.host.torch_names import (
    ALIASES,
    ARGUMENT_KINDS,
    OPTIMIZERS,
    REFUSED_LOSSES,
    REFUSED_OPTIMIZERS,
    REFUSED_SCHEDULERS,
    SCHEDULERS,
    Arguments,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

ALL_LOSSES = {name: arguments for task in TASKS.values() for name, arguments in task.losses.items()}
GIVEN_BY_THE_LOOPS = {"self", "params", "optimizer"}
NOT_FROM_TOML = {"last_epoch", "scale_fn", "reduction", "reduce", "size_average", "weight"}
EXCEPTIONS = {("Adafactor", "eps")}  # a pair whose first part is None by default; TOML has no None


def public_classes(module: ModuleType, base: type) -> set[str]:
    """The public names in `module` of `base` and the classes made from it."""
    return {
        name
        for name, each in vars(module).items()
        if inspect.isclass(each) and issubclass(each, base) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("module", "base", "allowed", "refused"),
    [
        (torch.optim, torch.optim.Optimizer, OPTIMIZERS, REFUSED_OPTIMIZERS),
        (torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler, SCHEDULERS, REFUSED_SCHEDULERS),
    ],
)
def test_every_optimizer_and_scheduler_of_torch_is_either_allowed_or_refused(
    module: ModuleType, base: type, allowed: Mapping[str, Arguments], refused: Mapping[str, str]
) -> None:
    """Each public class of the installed torch is in exactly one of the two tables, and no other name is."""
    assert not set(allowed) & set(refused)
    assert set(allowed) | set(refused) == public_classes(module, base)


def test_every_loss_of_torch_is_either_allowed_or_refused() -> None:
    """Each loss class of torch.nn is in exactly one of the tables, and no other name is."""
    of_torch = {name for name in public_classes(torch.nn, torch.nn.Module) if name.endswith("Loss")}
    assert not set(ALL_LOSSES) & set(REFUSED_LOSSES)
    assert set(ALL_LOSSES) | set(REFUSED_LOSSES) == of_torch | {"AdaptiveLogSoftmaxWithLoss"}


@pytest.mark.parametrize(
    ("module", "table"),
    [(torch.optim, OPTIMIZERS), (torch.optim.lr_scheduler, SCHEDULERS), (torch.nn, ALL_LOSSES)],
)
def test_arguments_are_those_of_torch(module: ModuleType, table: Mapping[str, Arguments]) -> None:
    """A class takes the arguments listed, and those that TOML cannot write; it needs the same ones."""
    for name, arguments in table.items():
        parameters = inspect.signature(getattr(module, name)).parameters
        expected = set(parameters) - GIVEN_BY_THE_LOOPS - NOT_FROM_TOML
        expected -= {argument for class_name, argument in EXCEPTIONS if class_name == name}
        needed = {each for each in expected if parameters[each].default is inspect.Parameter.empty}
        assert arguments.names == expected, name
        assert arguments.required == needed, name


def test_every_argument_has_a_kind() -> None:
    """No argument is let through unchecked, and no kind is left over."""
    listed = {
        each
        for table in (OPTIMIZERS, SCHEDULERS, ALL_LOSSES)
        for takes in table.values()
        for each in takes.names
    }
    assert set(ARGUMENT_KINDS) == listed
    assert set(ALIASES.values()) <= listed


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_defaults_of_torch_are_of_the_stated_kind(name: str) -> None:
    """What torch itself takes as an optimizer's default would be accepted from a config."""
    types: dict[str, set[type]] = {
        "number": {int, float},
        "non-negative": {int, float},
        "integer": {int},
        "flag": {bool},
        "numbers": {tuple},
        "text": {str},
    }
    parameters = inspect.signature(getattr(torch.optim, name)).parameters
    for argument in OPTIMIZERS[name].names:
        default = parameters[argument].default
        kind = ARGUMENT_KINDS[argument]
        assert default is None or type(default) in types[kind], argument
        assert kind != "non-negative" or default >= 0, argument
