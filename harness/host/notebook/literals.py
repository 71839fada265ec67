"""Works out the plain values that a notebook spells out, without running it."""

from __future__ import annotations

import ast
import math
import operator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_INTEGER = 2**63 - 1
MAX_EXPONENT = 64
MAX_KNOWN_TEXT = 200  # of a name's: a name is short, and can be written often
NO_VALUE = "it is no number, text, list or dictionary that the notebook spells out"

Value = Any  # None, bool, int, float, str, and lists and dictionaries of them
Number = int | float

_OPERATORS: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class NotPlainError(ValueError):
    """The expression is no plain value; its text says what it is instead."""


def value_of(node: ast.expr, known: Mapping[str, Value]) -> Value:
    """The value of an expression of literals, arithmetic, names and keys; tuples become lists.

    Args:
        node: the expression.
        known: the values of names.

    Raises:
        NotPlainError: it is anything else, or a number that is too large.
        RecursionError: it is nested too deep.
    """
    match node:
        case ast.Constant(value=value):
            return _constant(value)
        case ast.Name() | ast.Subscript():
            return _looked_up(node, known)
        case ast.UnaryOp() | ast.BinOp():
            return _worked_out(node, known)
    return _container(node, known)


def _constant(value: object) -> Value:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return _bounded(value)
    if isinstance(value, str):
        return _encodable(value)
    raise NotPlainError(NO_VALUE)


def _looked_up(node: ast.Name | ast.Subscript, known: Mapping[str, Value]) -> Value:
    if isinstance(node, ast.Subscript):
        table, key = value_of(node.value, known), value_of(node.slice, known)
        try:
            return table[key]
        except (LookupError, TypeError):
            raise NotPlainError("it names a key that is not there") from None
    if node.id not in known:
        raise NotPlainError(f"{node.id} is no number or text that the notebook spells out")
    return known[node.id]


def _worked_out(node: ast.UnaryOp | ast.BinOp, known: Mapping[str, Value]) -> Number:
    if isinstance(node, ast.UnaryOp):
        operand = _number(value_of(node.operand, known))
        if isinstance(node.op, ast.UAdd | ast.USub):
            return -operand if isinstance(node.op, ast.USub) else operand
    elif type(node.op) in _OPERATORS:
        return _computed(node.op, _number(value_of(node.left, known)), _number(value_of(node.right, known)))
    raise NotPlainError(NO_VALUE)


def _container(node: ast.expr, known: Mapping[str, Value]) -> Value:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [value_of(item, known) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key, known): value_of(value, known) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return {_argument(keyword): value_of(keyword.value, known) for keyword in keywords}
    raise NotPlainError(NO_VALUE)


class Constants(dict[str, Value]):
    """The names that a notebook gives a number or a text, as far as it was read."""

    def follow(self, node: ast.stmt, binds: Iterable[str]) -> None:
        """Go over a statement that binds some names."""
        value = None
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            with suppress(NotPlainError):
                value = value_of(node.value, self)
        is_plain = isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_KNOWN_TEXT)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        deleted = node.targets if isinstance(node, ast.Delete) else []
        for name in (*binds, *(each.id for each in deleted if isinstance(each, ast.Name))):
            self.pop(name, None)
        if is_plain:
            self.update((target.id, value) for target in targets if isinstance(target, ast.Name))


def _key(node: ast.expr | None, known: Mapping[str, Value]) -> str:
    key = value_of(node, known) if node is not None else None
    if not isinstance(key, str):
        raise NotPlainError("its keys are not all text")
    return key


def _argument(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise NotPlainError("its keys are not all text")
    return keyword.arg


def _number(value: Value) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotPlainError("it computes with what is no number")
    return value


def _computed(op: ast.operator, left: Number, right: Number) -> Number:
    if isinstance(op, ast.Pow) and abs(right) > MAX_EXPONENT:
        raise NotPlainError("it has a power that is too high")
    try:
        value = _OPERATORS[type(op)](left, right)
    except (ArithmeticError, ValueError) as error:
        raise NotPlainError(f"it cannot be worked out: {error}") from None
    if isinstance(value, complex):
        raise NotPlainError("it is no real number")
    return _bounded(value)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotPlainError("it is text that is not valid Unicode") from None
    return text


def _bounded(value: Number) -> Number:
    if abs(value) > MAX_INTEGER and (isinstance(value, int) or math.isinf(value)):
        raise NotPlainError("it is a number that is too large")
    return value
