"""Finds the optimizer that a notebook's own training code makes, as in ``torch.optim.SGD(..., lr=0.1)``."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.notebook.cells import refuse
from harness.host.notebook.harmless import Names
from harness.host.notebook.literals import NotPlainError, value_of
from harness.host.torch_names import OPTIMIZERS, REFUSED_OPTIMIZERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.host.notebook.literals import Value

MODULE = "torch.optim."
PASSED_ON = "config"  # a function's argument of this name is the notebook's own
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A call that makes an optimizer.

    Attributes:
        name: of its class in torch.optim.
        arguments: those that are plain values, without the parameters to optimize.
        unread: why each of the others is none.
        cell: number of the cell.
        line: in the cell, from 1.
    """

    name: str
    arguments: dict[str, Value]
    unread: dict[str, str]
    cell: int
    line: int


def found_optimizer(
    trees: Iterable[tuple[int, ast.Module]], known: Mapping[str, Value], name: str
) -> Optimizer | None:
    """The one optimizer that the code of a notebook makes; None where it makes none.

    Args:
        trees: number and code of each cell.
        known: what names stand for at the top level.
        name: of the notebook, as it is shown.

    Raises:
        InvalidSubmissionError: it makes several that differ.
    """
    trees = tuple(trees)
    names = Names()
    for _, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.follow_import(node)
    found = [
        _read(call, names, known, own, cell) for cell, tree in trees for call, own in _calls(tree, names)
    ]
    if not found:
        return None
    first, *others = found
    for other in others:
        if (other.name, other.arguments, other.unread) != (first.name, first.arguments, first.unread):
            refuse(
                name,
                other.cell,
                other.line,
                f"here an optimizer is made, {other.name}, and another one in cell {first.cell}, "
                f"line {first.line}, {first.name}",
                f'say which one counts: add "optimizer": "{other.name}" with its arguments to config',
            )
    return first


def _calls(tree: ast.Module, names: Names) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """Each call of a class of torch.optim, with the names that are a function's own there."""
    waiting: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        node, own = waiting.pop()
        if isinstance(node, _FUNCTIONS):
            own |= _own_names(node)
        if isinstance(node, ast.Call):
            module, _, name = names.origin(node.func).rpartition(".")
            if f"{module}." == MODULE and (name in OPTIMIZERS or name in REFUSED_OPTIMIZERS):
                yield node, own
        waiting.extend((child, own) for child in reversed(list(ast.iter_child_nodes(node))))


def _own_names(function: ast.AST) -> frozenset[str]:
    """The arguments of a function, and all that is bound anywhere in it."""
    nodes = list(ast.walk(function))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    return frozenset(bound | {node.arg for node in nodes if isinstance(node, ast.arg)}) - {PASSED_ON}


def _read(
    call: ast.Call, names: Names, known: Mapping[str, Value], own: frozenset[str], cell: int
) -> Optimizer:
    known = {name: value for name, value in known.items() if name not in own}
    arguments: dict[str, Value] = {}
    unread: dict[str, str] = {}
    given = [(keyword.arg or "**", keyword.value) for keyword in call.keywords]
    given += [("lr" if place == 0 else "*", value) for place, value in enumerate(call.args[1:])]
    for argument, value in given:
        if argument == "params":
            continue
        try:
            found = value_of(value, known)
        except NotPlainError as error:
            unread[argument] = str(error)
            continue
        if argument == "**" and isinstance(found, dict):
            arguments |= found
        elif argument in {"*", "**"}:
            unread[argument] = "it has no name"
        else:
            arguments[argument] = found
    name = names.origin(call.func).removeprefix(MODULE)
    return Optimizer(name, arguments, unread, cell, call.lineno)
