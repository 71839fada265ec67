"""Finds what statements change in place: classes that go on in a later cell, tables that are filled."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_OBJECTS = 50  # that one name may stand for; beyond, they are not told apart
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
TARGETS = (ast.Attribute, ast.Subscript)
_LATER = (*FUNCTIONS, ast.Lambda)
_BINDING = (ast.Assign, ast.AnnAssign, ast.For, ast.AsyncFor, ast.NamedExpr)
_SURE = (
    ast.Assign,
    ast.AnnAssign,
    ast.Import,
    ast.ImportFrom,
    ast.ClassDef,
    *FUNCTIONS,
)  # to bind their names
_CHANGING = frozenset(
    {
        "add",
        "append",
        "clear",
        "discard",
        "extend",
        "insert",
        "move_to_end",
        "pop",
        "popitem",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "update",
    }
)

Object = tuple[int, str]


def changed_at_once(node: ast.stmt) -> Iterator[str]:
    """The names whose values a statement changes in place when it is run."""
    parts: list[ast.AST] = [node]
    if isinstance(node, DEFINITIONS):
        yield from (name for decorator in node.decorator_list for name in _changed_by_decorator(decorator))
    if isinstance(node, FUNCTIONS):
        arguments = node.args
        parts = [*node.decorator_list, *arguments.defaults, *(each for each in arguments.kw_defaults if each)]
    yield from (name for part in parts for each in _walked(part, (), _LATER) if (name := changed_by(each)))


def _changed_by_decorator(decorator: ast.expr) -> Iterator[str]:
    """As ``@add_to_class(MyModel)`` adds a function to the class, and ``@MODELS.register`` one to a table."""
    function = decorator
    if isinstance(decorator, ast.Call):
        function = decorator.func
        given = (*decorator.args, *(keyword.value for keyword in decorator.keywords))
        yield from (each.id for each in given if isinstance(each, ast.Name))
    if isinstance(function, ast.Attribute) and (name := base_of(function)):
        yield name


def changed_as_arguments(node: ast.stmt, functions: Collection[str]) -> Iterator[str]:
    """The names that a statement gives, when it is run, to functions that change their arguments."""
    for call in _walked(node, (ast.Call,), _LATER) if functions else ():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in functions:
            given = (*call.args, *(keyword.value for keyword in call.keywords))
            yield from (each.id for each in given if isinstance(each, ast.Name))


def changed_later(node: ast.stmt) -> Iterator[str]:
    """The names whose values may be changed in place when what a statement defines is called."""
    for function in ast.walk(node):
        if isinstance(function, _LATER):
            yield from (name for each in ast.walk(function) if (name := changed_by(each)))


def changes_arguments(node: ast.stmt, changed: frozenset[str]) -> bool:
    """Whether a statement defines a function with an argument that is among the names `changed` in it."""
    if not isinstance(node, (*FUNCTIONS, ast.Assign)):
        return False
    arguments = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    return not arguments.isdisjoint(changed - {"self"})


def changed_by(node: ast.AST) -> str:
    """The name whose value a single node changes: ``x.a = 1``, ``x[0] = 1``, ``x += y``, ``x.append(1)``."""
    if isinstance(node, TARGETS) and not isinstance(node.ctx, ast.Load):
        return base_of(node)
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return base_of(changed) if isinstance(node, ast.Call) and (changed := changed_in_call(node)) else ""


def changed_in_call(node: ast.Call) -> ast.expr | None:
    """What a call changes by its name: what `setattr` is given, or what a method such as `append` is of."""
    if isinstance(node.func, ast.Name):
        return node.args[0] if node.func.id == "setattr" and node.args else None
    return node.func if isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING else None


def base_of(node: ast.expr) -> str:
    """The name that ``name.a[0].b`` begins with; empty where it begins with something else."""
    while isinstance(node, TARGETS):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _walked(
    node: ast.AST, found: tuple[type[ast.AST], ...], without: tuple[type[ast.AST], ...]
) -> Iterator[ast.AST]:
    """The nodes of some kinds below and with `node`, or all, apart from those inside of others."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, without):
            continue
        if not found or isinstance(each, found):
            yield each
        waiting.extend(ast.iter_child_nodes(each))


class Objects:
    """Which objects names may stand for, so that a change by one name is seen by the others of the object.

    An object is told apart by the statement and the name that it got first.
    """

    def __init__(self) -> None:
        self._of: dict[str, frozenset[Object]] = {}
        self._statements = 0

    def of(self, names: Iterable[str]) -> frozenset[Object]:
        """The objects that names may stand for now."""
        return frozenset[Object]().union(*(self._of.get(name, ()) for name in names))

    def follow(self, node: ast.stmt, binds: Iterable[str]) -> dict[str, frozenset[Object]]:
        """Go over a statement.

        Returns:
            What each name that it binds may stand for after it.
        """
        self._statements += 1
        given: dict[str, frozenset[Object]] = {}
        for each in _walked(node, _BINDING, (*_LATER, ast.ClassDef)):
            for names, sources in _same(each):
                objects = self.of(sources) or frozenset({(self._statements, names[0])})
                given |= {name: objects | given.get(name, frozenset()) for name in names}
        bound = {}
        for name in binds:
            objects = given.get(name, frozenset({(self._statements, name)}))
            if not isinstance(node, _SURE):
                objects |= self._of.get(name, frozenset()) | {(self._statements, name)}
            bound[name] = objects if len(objects) <= MAX_OBJECTS else frozenset({(self._statements, name)})
        self._of |= bound
        return bound


def _same(node: ast.AST) -> Iterator[tuple[list[str], list[str]]]:
    """Groups of names that an assignment gives one object, each with the names that this may have had."""
    pairs: list[tuple[list[ast.expr], ast.expr]] = []
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs.append((targets, value))
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.NamedExpr(target=target, value=value)
            | ast.For(target=target, iter=value)
            | ast.AsyncFor(target=target, iter=value)
        ):
            pairs.append(([target], value))
    while pairs:
        targets, value = pairs.pop()
        if names := [target.id for target in targets if isinstance(target, ast.Name)]:
            yield names, list(_identities(value))
        for target in targets:
            if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
                pairs += (([inner], each) for inner, each in zip(target.elts, value.elts, strict=False))


def _identities(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Name(id=name):
            yield name
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
            for each in parts:  # what is taken out of them later may be one of these
                yield from _identities(each)
        case ast.Subscript(value=inner) | ast.Starred(value=inner):
            yield from _identities(inner)
        case ast.IfExp(body=body, orelse=other):
            yield from _identities(body)
            yield from _identities(other)
        case ast.BoolOp(values=values):
            for each in values:
                yield from _identities(each)
