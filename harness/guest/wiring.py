"""Which of a model's parameters the training will reach, and which it will not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LOOKED_AT = 10_000
DEEPEST = 4
OWN_ATTRIBUTES = frozenset(vars(nn.Module()))


def unregistered(model: nn.Module) -> list[str]:
    """Paths of trainable tensors that the model holds, and `parameters()` does not give.

    A plain list, tuple or dictionary of layers hides them: no optimizer moves them, and they are not saved.
    """
    known = {id(parameter) for parameter in model.parameters()}
    found: dict[int, str] = {}
    looked_at = 0
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name in OWN_ATTRIBUTES:
                continue
            for place, tensor in _tensors(value, f"{path}.{name}".lstrip("."), DEEPEST):
                looked_at += 1
                if looked_at > MOST_LOOKED_AT:
                    return list(found.values())
                if tensor.requires_grad and tensor.is_leaf and id(tensor) not in known:
                    found.setdefault(id(tensor), place)
    return list(found.values())


def _tensors(value: Any, place: str, depth: int) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401  whatever a student keeps
    """Tensors in a value that is no registered module, and where they are."""
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, nn.Module):
        yield from ((f"{place}.{name}", parameter) for name, parameter in value.named_parameters())
    elif depth and isinstance(value, Mapping):
        for key, each in list(itertools.islice(value.items(), MOST_LOOKED_AT)):
            yield from _tensors(each, f"{place}[{key!r:.40}]", depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for position, each in enumerate(itertools.islice(value, MOST_LOOKED_AT)):
            yield from _tensors(each, f"{place}[{position}]", depth - 1)


def frozen(model: nn.Module) -> list[str]:
    """Names of the parameters that ask for no gradient."""
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


class Reached:
    """Notes which parameters got a gradient, and which modules were called.

    Args:
        model: is looked at from now on until `close`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._with_gradient: set[str] = set()
        self._called: set[str] = set()
        self._hooks = [
            module.register_forward_pre_hook(lambda *_, name=name: self._called.add(name))
            for name, module in model.named_modules()
        ]

    def look(self) -> None:
        """Note the gradients that there are."""
        self._with_gradient |= {
            name for name, parameter in self._model.named_parameters() if parameter.grad is not None
        }

    def compare(self, before: Mapping[str, Tensor]) -> None:
        """Note the parameters that a training has moved: some batches may leave a layer out on purpose."""
        self._with_gradient |= {
            name
            for name, parameter in self._model.named_parameters()
            if name in before and not torch.equal(parameter.detach(), before[name])
        }

    def without_gradient(self) -> tuple[list[str], list[str]]:
        """Names of trainable parameters that never got one: of modules that were called, and of others."""
        missed = [
            name
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad and name not in self._with_gradient
        ]
        called = [name for name in missed if name.rpartition(".")[0] in self._called]
        return called, [name for name in missed if name not in called]

    def close(self) -> None:
        """Leave the model as it was; gradients can still be looked at."""
        for hook in self._hooks:
            hook.remove()
