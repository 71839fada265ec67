"""The names that a statement binds and looks up, by Python's own rules of scopes."""

from __future__ import annotations

import ast
import symtable
import warnings
from dataclasses import dataclass, replace

ANNOTATIONS_LATER = "from __future__ import annotations\n"
_RUN_AT_ONCE = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """Names that a statement looks up.

    Attributes:
        now: when it is run, such as base classes, decorators and default values.
        later: when what it defines is called.
        maybe: looked up now, unless the class whose body it is has them.
        sets: given new values when what it defines is called, by ``global``.
    """

    now: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()


def look_up(node: ast.stmt, text: str, line: int, *, annotations_later: bool) -> tuple[frozenset[str], Needs]:
    """What a statement at the top level binds, and what it needs.

    Args:
        node: the statement.
        text: its source.
        line: that it begins in, for errors.
        annotations_later: whether annotations are never looked up.

    Raises:
        SyntaxError: it is no Python after all, such as an argument that is there twice.
        RecursionError: it is nested too deep.
    """
    before = ANNOTATIONS_LATER if annotations_later else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = symtable.symtable(before + text, "?", "exec")
        except SyntaxError as error:
            error.lineno = (error.lineno or 1) - before.count("\n") + line - 1
            raise
    bound = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    if before:
        bound.discard("annotations")
    bound |= _bound_in_comprehensions(table)
    needs = _needs(table)
    # What the table does not tell: `x += 1` needs an x, and neither `del x` nor `x: int` gives one.
    match node:
        case ast.AugAssign(target=ast.Name(id=name)):
            needs = replace(needs, now=needs.now | {name})
        case ast.Delete() | ast.AnnAssign(value=None):
            bound = set()
    return frozenset(bound), needs


def _bound_in_comprehensions(table: symtable.SymbolTable) -> set[str]:
    """The names that ``:=`` gives values inside of comprehensions that are run at once."""
    found, waiting = set[str](), [table]
    while waiting:
        for inner in waiting.pop().get_children():
            if inner.get_type() == "function" and inner.get_name() in _RUN_AT_ONCE:
                waiting.append(inner)
                found.update(
                    each.get_name()
                    for each in inner.get_symbols()
                    if each.is_assigned() and each.is_declared_global()
                )
    return found


def _needs(table: symtable.SymbolTable) -> Needs:
    now, later, maybe, sets = set[str](), set[str](), set[str](), set[str]()
    waiting = [(table, False)]
    while waiting:
        scope, is_later = waiting.pop()
        kind = str(scope.get_type())
        is_later = is_later or (kind == "function" and scope.get_name() not in _RUN_AT_ONCE)
        for symbol in scope.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                sets.add(symbol.get_name())
            if not symbol.is_referenced():
                continue
            if symbol.is_global() or scope is table:
                (later if is_later else now).add(symbol.get_name())
            elif kind == "class" and symbol.is_assigned():
                maybe.add(symbol.get_name())
        waiting.extend((inner, is_later) for inner in scope.get_children())
    return Needs(frozenset(now), frozenset(later), frozenset(maybe), frozenset(sets))
