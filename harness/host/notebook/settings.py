"""Reads ``config = {...}`` of a notebook in the place of ``config.toml``.

The course's notebooks name some things otherwise than a ``config.toml`` does: `RENAMED`, `OF_OPTIMIZER` and
`HYPERPARAMETERS` say how they are called here, `NOT_NEEDED` what the harness sees to by itself.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.host.errors import InvalidSubmissionError
from harness.host.notebook.cells import refuse
from harness.host.notebook.literals import Constants, NotPlainError, value_of
from harness.host.notebook.optimizer import found_optimizer
from harness.host.schema_errors import joined, quoted, quoted_key, unknown
from harness.host.torch_names import OPTIMIZERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.host.notebook.literals import Value
    from harness.host.notebook.optimizer import Optimizer
    from harness.host.notebook.statements import Statement

NAME = "config"
KEYS = (
    "assignment",
    "seed",
    "epochs",
    "batch_size",
    "valid_ratio",
    "early_stop",
    "grad_clip",
    "model",
    "optimizer",
    "scheduler",
    "loss",
)
NAMED = ("optimizer", "scheduler", "loss")  # tables that begin with a name, and may be the name alone
RENAMED = {"n_epochs": "epochs", "num_epochs": "epochs", "num_epoch": "epochs"}
OF_OPTIMIZER = {"learning_rate": "lr"} | {
    name: name for arguments in OPTIMIZERS.values() for name in arguments.names
}
HYPERPARAMETERS = "optim_hparas"  # the course's name for the optimizer's arguments
NOT_NEEDED = frozenset(
    {
        "ckpt_path",
        "data_path",
        "device",
        "log_dir",
        "model_path",
        "n_jobs",
        "num_workers",
        "pin_memory",
        "save_path",
        "select_all",
        "test_path",
        "train_path",
        "verbose",
    }
)
KNOWN = frozenset((*KEYS, *RENAMED, *OF_OPTIMIZER, HYPERPARAMETERS, *NOT_NEEDED))
USUAL_OPTIMIZER = "SGD"  # of the course's notebooks
WRITE_ONE = (
    'give a cell a dictionary of plain values, such as config = {"n_epochs": 60, "batch_size": 32, '
    '"optimizer": "SGD", "learning_rate": 1e-3, "model": {}}, or hand in a config.toml with the notebook'
)
PLAIN_VALUES = "write numbers, text in quotes, True or False, and lists and dictionaries of them"


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the dictionary.

    Attributes:
        problem: why it has no value; empty where it has.
    """

    key: str
    value: Value
    problem: str
    cell: int
    line: int


@dataclass(frozen=True, slots=True)
class Settings:
    """A config as it was read.

    Attributes:
        table: as in a ``config.toml``.
        cell: number of the cell that it stands in.
        remarks: what was taken for what.
    """

    table: dict[str, Value]
    cell: int
    remarks: tuple[str, ...]


def read_settings(
    statements: Sequence[Statement], trees: Sequence[tuple[int, ast.Module]], name: str
) -> Settings:
    """Read the dictionary `NAME`, whose last assignment at the top level of a cell counts.

    Args:
        statements: of the notebook.
        trees: number and code of each cell.
        name: of the notebook, as it is shown.

    Raises:
        InvalidSubmissionError: there is none, or it cannot be taken.
    """
    last = max((place for place, each in enumerate(statements) if _assigned(each)), default=None)
    if last is None:
        if other := next((each for each in statements if NAME in each.binds), None):
            refuse(name, other.cell, other.line, f"{NAME} is made in a way that is not read", WRITE_ONE)
        raise InvalidSubmissionError(
            f"{name} has no {NAME} = {{...}}, and there is no config.toml", WRITE_ONE
        )
    entries, constants, remarks = _entries(statements, last, name)
    _refuse_unknown(entries, name)
    for entry in entries.values():
        if entry.problem and entry.key not in NOT_NEEDED:
            refuse(name, entry.cell, entry.line, f"{quoted_key(entry.key)}: {entry.problem}", PLAIN_VALUES)
    table, arguments = _translated(entries, name)
    own = table.get("optimizer")
    if own is None:
        known = {**constants, NAME: {key: entry.value for key, entry in entries.items()}}
        own, remark = _optimizer(found_optimizer(trees, known, name), arguments, name)
        remarks.append(remark)
    elif isinstance(own, dict):
        own = {**own, **arguments}
    ordered = {key: own if key == "optimizer" else table[key] for key in KEYS if key in {*table, "optimizer"}}
    return Settings(ordered, statements[last].cell, (*_renamed(entries), *remarks))


def _assigned(statement: Statement) -> ast.expr | None:
    """What a statement assigns to `NAME`."""
    match statement.node:
        case ast.Assign(targets=targets, value=value):
            return value if any(isinstance(each, ast.Name) and each.id == NAME for each in targets) else None
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return value if name == NAME else None
    return None


def _entries(
    statements: Sequence[Statement], last: int, name: str
) -> tuple[dict[str, Entry], Constants, list[str]]:
    """The keys of the dictionary with what is changed in it later, and the names that have plain values."""
    entries: dict[str, Entry] = {}
    constants, remarks = Constants(), list[str]()
    unsure = frozenset[str]().union(*(statement.changes_later for statement in statements))
    for place, statement in enumerate(statements):
        pairs = _pairs(statement, name) if place == last else []
        if place > last and (NAME in statement.binds or statement.changed & statements[last].objects[NAME]):
            pairs = _changed_pairs(statement)
            if not pairs:
                remarks.append(f"{statement.where} changes {NAME} in a way that is not read")
        if NAME in statement.changes_later:
            remarks.append(f"{statement.where} changes {NAME} when it is called, which is not read")
        for key, node in pairs:
            entries[key] = _entry(key, node, constants, statement)
        constants.follow(statement.node, statement.binds)
        for each in statement.binds & unsure:
            constants.pop(each, None)
    return entries, constants, remarks


def _pairs(statement: Statement, name: str) -> list[tuple[str, ast.expr]]:
    match _assigned(statement):
        case ast.Dict(keys=keys, values=values):
            pairs = [
                (key.value if isinstance(key, ast.Constant) else None, value)
                for key, value in zip(keys, values, strict=True)
            ]
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            pairs = [(keyword.arg, keyword.value) for keyword in keywords]
        case _:
            refuse(
                name,
                statement.cell,
                statement.line,
                f"{NAME} is no dictionary that is spelled out",
                WRITE_ONE,
            )
    found = [(key, value) for key, value in pairs if isinstance(key, str)]
    if len(found) < len(pairs):
        refuse(
            name, statement.cell, statement.line, f"the keys of {NAME} are not all text in quotes", WRITE_ONE
        )
    return found


def _changed_pairs(statement: Statement) -> list[tuple[str, ast.expr]]:
    """The key and value of ``config["lr"] = 0.1``; nothing for any other change."""
    match statement.node:
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))], value=value
        ) if name == NAME:
            return [(key, value)]
    return []


def _entry(key: str, node: ast.expr, constants: Constants, statement: Statement) -> Entry:
    value, problem = None, ""
    try:
        value = value_of(node, constants)
    except NotPlainError as error:
        problem = str(error)
    return Entry(key, value, problem, statement.cell, node.lineno)


def _refuse_unknown(entries: Mapping[str, Entry], name: str) -> None:
    strange = [entry for entry in entries.values() if entry.key not in KNOWN]
    if strange:
        problems = [
            f"{quoted_key(each.key)} is not a known key; {unknown(each.key, KNOWN)}" for each in strange
        ]
        refuse(
            name,
            strange[0].cell,
            strange[0].line,
            f"{NAME}: {joined(problems)}",
            'correct the key or leave it out; what MyModel takes goes under "model": {...}',
        )


def _translated(entries: Mapping[str, Entry], name: str) -> tuple[dict[str, Value], dict[str, Value]]:
    """The table as a ``config.toml`` has it, and the optimizer's arguments that stand beside it."""
    table: dict[str, Value] = {}
    arguments: dict[str, Value] = {}
    own = entries["optimizer"].value if "optimizer" in entries else None
    said = set(own) if isinstance(own, dict) else set()
    for entry in entries.values():
        if entry.value is None or entry.key in NOT_NEEDED:
            continue
        target, found = table, {RENAMED.get(entry.key, entry.key): entry.value}
        if entry.key in OF_OPTIMIZER:
            target, found = arguments, {OF_OPTIMIZER[entry.key]: entry.value}
        elif entry.key == HYPERPARAMETERS:
            target, found = arguments, entry.value if isinstance(entry.value, dict) else {}
        elif entry.key in NAMED and isinstance(entry.value, str):
            found = {entry.key: {"name": entry.value}}
        twice = [key for key in found if key in target or (target is arguments and key in said)]
        if twice:
            refuse(
                name,
                entry.cell,
                entry.line,
                f"{NAME} says {quoted_key(twice[0])} twice, here as {quoted_key(entry.key)}",
                "leave out one of them",
            )
        target |= found
    return table, arguments


def _optimizer(
    found: Optimizer | None, arguments: Mapping[str, Value], name: str
) -> tuple[dict[str, Value], str]:
    """The optimizer of a config that names none, and where it is from."""
    if found is None:
        return {"name": USUAL_OPTIMIZER, **arguments}, (
            f"nothing names an optimizer: {USUAL_OPTIMIZER}, as in the course's notebooks"
        )
    for argument, why in found.unread.items():
        if argument not in arguments:
            refuse(
                name,
                found.cell,
                found.line,
                f"{argument} of {found.name} cannot be read: {why}",
                f'add "optimizer": "{found.name}" to {NAME}, and its arguments with their values',
            )
    own = {"name": found.name, **found.arguments, **arguments}
    said = ", ".join(f"{key} = {quoted(value)}" for key, value in own.items() if key != "name")
    return own, f"the optimizer is that of cell {found.cell}, line {found.line}: {found.name}, {said}"


def _renamed(entries: Mapping[str, Entry]) -> Iterator[str]:
    """What is called otherwise here, and what is not needed."""
    renamed = {key: RENAMED[key] for key in entries if key in RENAMED}
    renamed |= {key: f"optimizer.{OF_OPTIMIZER[key]}" for key in entries if key in OF_OPTIMIZER}
    if renamed:
        yield ", ".join(f"{key} as {here}" for key, here in renamed.items())
    if others := [key for key in entries if key in NOT_NEEDED]:
        yield f"without {', '.join(others)}"
