"""The statements at the top level of a notebook's cells: what each defines, needs and changes."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.notebook.changes import (
    DEFINITIONS,
    base_of,
    changed_as_arguments,
    changed_at_once,
    changed_in_call,
    changed_later,
    changes_arguments,
)
from harness.host.notebook.harmless import called, why_not
from harness.host.notebook.scopes import look_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.host.notebook.changes import Object
    from harness.host.notebook.harmless import Names
    from harness.host.notebook.magics import Code, Magic
    from harness.host.notebook.scopes import Needs

_IMPORTS = (ast.Import, ast.ImportFrom)
_CONDITIONAL = (ast.If, ast.Try)
_NAMES = {
    ast.For: "a loop",
    ast.AsyncFor: "a loop",
    ast.While: "a loop",
    ast.With: "a with block",
    ast.AsyncWith: "a with block",
    ast.Assert: "an assert",
    ast.Delete: "a del",
    ast.Raise: "a raise",
    ast.If: "an if that does more than define",
    ast.Try: "a try that does more than define",
    ast.Match: "a match",
}


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement at the top level of a cell.

    Attributes:
        cell: number of its cell.
        line: of its first decorator or first word, in the cell, from 1.
        last_line: the line that it ends in.
        text: its source, without what stands before and behind it.
        binds: names that it gives a value.
        changes: names whose value it changes in place.
        changed: the objects that these names may stand for.
        objects: what each name that it binds may stand for after it.
        changes_later: names whose value may be changed when what it defines is called.
        why_left_out: why it is not kept, as a noun; empty where it can be kept.
        magic: a line of IPython's own inside it.
    """

    node: ast.stmt
    cell: int
    line: int
    last_line: int
    text: str
    binds: frozenset[str]
    needs: Needs
    changes: frozenset[str]
    changed: frozenset[Object]
    objects: Mapping[str, frozenset[Object]]
    changes_later: frozenset[str]
    why_left_out: str
    magic: Magic | None

    @property
    def where(self) -> str:
        """Its place, to be shown."""
        return f"cell {self.cell}, line {self.line}"

    @property
    def is_definition(self) -> bool:
        """Whether it is a class or a function."""
        return isinstance(self.node, DEFINITIONS)

    @property
    def is_new_name(self) -> bool:
        """Whether it gives something one more name, and calls nothing."""
        return isinstance(self.node, ast.Assign) and isinstance(self.node.value, ast.Name)

    @property
    def is_conditional(self) -> bool:
        """Whether it may bind its names or not."""
        return isinstance(self.node, _CONDITIONAL)

    @property
    def imports_all(self) -> bool:
        """Whether it binds names that it does not tell."""
        return isinstance(self.node, ast.ImportFrom) and self.node.names[0].name == "*"


def statements_of(cell: int, code: Code, names: Names, *, annotations_later: bool) -> Iterator[Statement]:
    """The statements of a cell; `names` follows what they bind.

    Args:
        cell: its number.
        code: its Python.
        names: what the cells before have bound.
        annotations_later: whether annotations are never looked up.

    Raises:
        SyntaxError: one is no Python after all, such as an argument that is there twice.
        RecursionError: one is nested too deep.
    """
    lines = code.text.split("\n")
    magics = {magic.line: magic for magic in code.magics}
    for node in code.tree.body:
        for part in _single_imports(node):
            line = _first_line(part)
            last_line = part.end_lineno or line
            magic = next((magics[each] for each in range(line, last_line + 1) if each in magics), None)
            if magic is not None and isinstance(part, ast.Pass):
                continue
            text = _segment(lines, part, line) if part is node else ast.unparse(part)
            binds, needs = look_up(part, text, line, annotations_later=annotations_later)
            why = _why_left_out(part, names)
            if magic is not None and (
                isinstance(part, ast.Assign) or not (why or isinstance(part, DEFINITIONS))
            ):
                why = magic.text
            changes = frozenset(
                name
                for name in (*changed_at_once(part), *changed_as_arguments(part, names.changing))
                if not names.is_imported(name)
            )
            before = names.objects.of(changes)
            objects = names.objects.follow(part, binds)
            in_calls = frozenset(changed_later(part))
            yield Statement(
                node=part,
                cell=cell,
                line=line,
                last_line=last_line,
                text=text,
                binds=binds,
                needs=needs,
                changes=changes,
                changed=before | names.objects.of(changes),  # a name may be given to an object and change it
                objects=objects,
                changes_later=frozenset(
                    name for name in needs.sets | (needs.later & in_calls) if not names.is_imported(name)
                ),
                why_left_out=why,
                magic=magic,
            )
            _follow(part, binds, names)
            if in_calls and changes_arguments(part, in_calls):
                names.changing |= binds


def _single_imports(node: ast.stmt) -> Sequence[ast.stmt]:
    """An import of several things as one for each: some may be needed, and others not even be installed."""
    if not isinstance(node, _IMPORTS) or len(node.names) == 1:
        return (node,)
    return [ast.copy_location(_import_of(node, alias), alias) for alias in node.names]


def _import_of(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    if isinstance(node, ast.ImportFrom):
        return ast.ImportFrom(module=node.module, names=[alias], level=node.level)
    return ast.Import(names=[alias])


def _first_line(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, DEFINITIONS) else []
    return min([node.lineno, *(each.lineno for each in decorators)])


def _segment(lines: list[str], node: ast.stmt, line: int) -> str:
    """A statement's source; columns count bytes of UTF-8."""
    taken = lines[line - 1 : node.end_lineno]
    taken[-1] = taken[-1].encode()[: node.end_col_offset].decode()
    if not isinstance(node, DEFINITIONS):  # these begin their line, with their decorators
        taken[0] = taken[0].encode()[node.col_offset :].decode()
    return "\n".join(taken)


def _why_left_out(node: ast.stmt, names: Names) -> str:
    match node:
        case (
            ast.FunctionDef()
            | ast.AsyncFunctionDef()
            | ast.ClassDef()
            | ast.Import()
            | ast.ImportFrom()
            | ast.Pass()
        ):
            return ""
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            return _why_no_constant(node, names)
        case ast.Expr(value=value):
            return _why_no_change(value, names)
        case ast.If(test=test, body=body, orelse=other):
            why = f"an if that {found}" if (found := why_not(test, names)) else ""
            return why or (_NAMES[ast.If] if _any_left_out([*body, *other], names) else "")
        case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=final):
            inner = [*body, *other, *final, *(each for handler in handlers for each in handler.body)]
            return _NAMES[ast.Try] if _any_left_out(inner, names) else ""
    return _NAMES.get(type(node), "code that runs")


def _any_left_out(nodes: Iterable[ast.stmt], names: Names) -> bool:
    return any(_why_left_out(node, names) for node in nodes)


def _why_no_constant(node: ast.Assign | ast.AnnAssign | ast.AugAssign, names: Names) -> str:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    parts = [*targets, *([node.value] if node.value is not None else [])]
    why = next((why for part in parts if (why := why_not(part, names))), "")
    if why:
        return f"a value that {why}"
    base = next((name for name in changed_at_once(node) if names.is_imported(name)), "")
    return f"a change of {base}, which is imported" if base else ""


def _why_no_change(value: ast.expr, names: Names) -> str:
    """Why a bare expression is left out, unless it changes something that may be kept."""
    if isinstance(value, ast.Constant):
        return ""
    if not isinstance(value, ast.Call):
        return "a value that is shown"
    changed = changed_in_call(value)
    name = base_of(changed) if changed is not None else ""
    parts = [*value.args, *(keyword.value for keyword in value.keywords)]
    if name and not names.is_imported(name) and not any(why_not(part, names) for part in parts):
        return ""
    return f"a call of {called(value.func)}"


def _follow(node: ast.stmt, binds: frozenset[str], names: Names) -> None:
    """Tell `names` what a statement has bound."""
    if isinstance(node, DEFINITIONS):
        names.bound(binds)
        names.defined(node.name)
        return
    value = node.value if isinstance(node, ast.Assign) else None
    origin = names.origin(value) if isinstance(value, ast.Name | ast.Attribute) else ""
    is_own = isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and names.is_own(value.id))
    names.bound(binds)
    for name in binds:
        if origin:
            names.imported(name, origin)
        elif is_own:
            names.defined(name)
    for each in _imports_in(node):
        names.follow_import(each)


def _imports_in(node: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(node, _IMPORTS):
        yield node
    elif isinstance(node, _CONDITIONAL):
        yield from (each for each in ast.walk(node) if isinstance(each, _IMPORTS))
