"""Says in a few lines what was kept of a notebook, what was left out, and why."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from harness.host.notebook.selection import MODEL_CLASS
from harness.host.notebook.settings import NAME as CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.host.notebook.cells import Contents
    from harness.host.notebook.magics import Magic
    from harness.host.notebook.selection import Selection, Unmet
    from harness.host.notebook.settings import Settings
    from harness.host.notebook.statements import Statement

MAX_NOTES = 40
MAX_NAMES = 8
MAX_REASONS = 4
LONGEST_NAME = 40


def notes_of(
    contents: Contents,
    statements: Sequence[Statement],
    magics: Sequence[tuple[int, Magic]],
    selection: Selection,
    settings: Settings | None,
) -> tuple[str, ...]:
    """What became of a notebook: what to look out for, then a line for each cell with code.

    Args:
        contents: its cells.
        statements: of all cells.
        magics: what was taken out, with the number of the cell.
        selection: what is kept of them.
        settings: its config; None where a ``config.toml`` is taken.
    """
    kept: defaultdict[int, list[Statement]] = defaultdict(list)
    others: defaultdict[int, list[Statement]] = defaultdict(list)
    chosen = {id(statement) for statement in selection.kept}
    for statement in statements:
        (kept if id(statement) in chosen else others)[statement.cell].append(statement)
    commands: defaultdict[int, list[Magic]] = defaultdict(list)
    for number, magic in magics:
        commands[number].append(magic)
    missed = {id(unmet.left_out) for unmet in selection.unmet}
    used = kept.keys() | ({settings.cell} if settings else set())
    notes = [f"{contents.name}: {len(used)} of {len(contents.cells)} cells with code are used"]
    notes += [_warning(unmet) for unmet in selection.unmet]
    notes += [warning for each in statements if id(each) not in chosen for warning in _any_name(each)]
    for cell in contents.cells:
        config = settings if settings is not None and settings.cell == cell.number else None
        parts = [f"kept {_listed(kept[cell.number])}"] if kept[cell.number] else []
        if config is not None:
            parts.append("; ".join((f"{CONFIG} is read", *config.remarks)))
        spared = [each for each in others[cell.number] if not each.why_left_out and id(each) not in missed]
        unneeded = [each for each in spared if not (config and CONFIG in each.binds | each.changes)]
        if any(_names(each) for each in unneeded):
            parts.append(f"not needed: {_listed(unneeded)}")
        if reasons := _reasons(others[cell.number], commands[cell.number]):
            parts.append(f"left out: {reasons}")
        if parts:
            notes.append(f"cell {cell.number}: {'; '.join(parts)}")
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES - 1 :] = [f"and {len(notes) - MAX_NOTES + 1} more lines like these"]
    return tuple(notes)


def _any_name(statement: Statement) -> Iterator[str]:
    """What is said of a statement left out that may bind names which it does not tell."""
    for each in ast.walk(statement.node):
        match each:
            case ast.Call(func=ast.Name(id=("exec" | "globals" | "locals") as function)):
                yield f"{statement.where} may give any name another value by {function}, which is left out"
                return


def _reasons(statements: Sequence[Statement], magics: Sequence[Magic]) -> str:
    """Why statements and lines of a cell are left out, in their order."""
    reasons = {magic.line: magic.text for magic in magics}
    for each in statements:
        if each.why_left_out and (each.magic is None or each.why_left_out != each.magic.text):
            reasons[each.line] = each.why_left_out
    shown = [f"{reasons[line]} (line {line})" for line in sorted(reasons)]
    more = [f"and {len(shown) - MAX_REASONS} more"] if len(shown) > MAX_REASONS else []
    return ", ".join((*shown[:MAX_REASONS], *more))


def _names(statement: Statement) -> list[str]:
    """What a statement defines, as a student would name it."""
    match statement.node:
        case ast.ClassDef(name=name):
            return [f"class {_cut(name)}"]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [f"def {_cut(name)}"]
        case ast.Assign() | ast.AugAssign() | ast.Expr() if not statement.binds and statement.changes:
            return [f"a change of {_cut(name)}" for name in sorted(statement.changes)]
    return [_cut(name) for name in sorted(statement.binds)] or (["*"] if statement.imports_all else [])


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def _listed(statements: Iterable[Statement]) -> str:
    names = list(dict.fromkeys(name for statement in statements for name in _names(statement)))
    more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return ", ".join((*names[:MAX_NAMES], *more))


def _warning(unmet: Unmet) -> str:
    other, name = unmet.left_out, _cut(unmet.name)
    if other is not None and unmet.kept is not None:
        does = "makes it" if unmet.how.startswith("of ") else "changes it"
        return f"{name} is as {unmet.kept.where} has it: {other.where} {does} {unmet.how}, which is left out"
    user = (
        f"{', '.join(_names(unmet.user)) or 'what stands'} in cell {unmet.user.cell}"
        if unmet.user
        else MODEL_CLASS
    )
    if other is None:
        return f"{user} uses {name}, which no cell defines"
    return f"{user} uses {name}, which {other.where} makes {unmet.how}: that is left out"
