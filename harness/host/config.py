"""Checks a student's ``config.toml`` against a closed schema, torch's names and the assignment's ranges."""

from __future__ import annotations

import keyword
import math
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.host.errors import InvalidSubmissionError
from harness.host.schema_errors import joined, problems_of, quoted, quoted_key, type_name, unknown
from harness.host.torch_names import (
    ALIASES,
    ARGUMENT_KINDS,
    OPTIMIZERS,
    REFUSED_LOSSES,
    REFUSED_OPTIMIZERS,
    REFUSED_SCHEDULERS,
    SCHEDULERS,
    ArgumentKind,
    Arguments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.host.assignment import Assignment

MAX_DEPTH = 4
MAX_VALUES = 1000
MAX_EPOCHS = 100_000  # each is reported to the host, which keeps them all
MAX_INTEGER = 2**63 - 1
HINT = "correct config.toml; the assignment's README and docs/reference/submission.md list its keys"

Value = Any  # bool, int, float, str, and arrays and tables of them, as `_plain` makes sure


def _plain(table: dict[str, Value]) -> dict[str, Value]:
    """Let through what can be handed to a constructor and sent as JSON."""
    for name in table:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"the key {quoted(name)} cannot be the name of an argument")
    for count, (key, value, depth) in enumerate(_walk(table, "", 1), start=1):
        if depth > MAX_DEPTH:
            raise ValueError(f"{key} is nested deeper than {MAX_DEPTH} levels")
        if count > MAX_VALUES:
            raise ValueError(f"there are more than {MAX_VALUES} values")
        if problem := _not_plain(value):
            raise ValueError(f"{key} is {quoted(value)}, {problem}")
    return table


def _walk(value: Value, key: str, depth: int) -> Iterator[tuple[str, Value, int]]:
    """Every value below `value`, down to one level more than is allowed, for the caller to refuse."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        path = f"{key}[{name}]" if isinstance(name, int) else f"{key}.{quoted_key(name)}".lstrip(".")
        yield path, each, depth
        if depth <= MAX_DEPTH:
            yield from _walk(each, path, depth + 1)


def _not_plain(value: Value) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return f"must be an integer between {-MAX_INTEGER} and {MAX_INTEGER}"
    if not isinstance(value, bool | int | float | str | list | dict):
        return "must be a number, text, true or false, an array or a table"
    return None


class Component(BaseModel):
    """A class of torch and the arguments that it is made with."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    arguments: Annotated[dict[str, Value], AfterValidator(_plain)] = Field(default_factory=dict)


class TrainConfig(BaseModel):
    """A checked ``config.toml``. After `parse_config` the loss is always there.

    Attributes:
        valid_ratio: share of the training rows kept for validation.
        early_stop: epochs without a better validation loss before training ends; 0: off.
        grad_clip: maximum norm of the gradients; None: off.
        model: keyword arguments of ``MyModel``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    assignment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0  # what numpy's legacy seeding takes; torch takes more
    epochs: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    batch_size: Annotated[int, Field(ge=1, le=MAX_INTEGER)] = 32
    valid_ratio: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.2
    early_stop: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 0
    grad_clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    model: Annotated[dict[str, Value], AfterValidator(_plain)] = Field(default_factory=dict)
    optimizer: Component
    scheduler: Component | None = None
    loss: Component | None = None


def parse_config(table: Mapping[str, Value], assignment: Assignment) -> TrainConfig:
    """Check a parsed ``config.toml``, and put in the assignment's loss where it names none.

    Args:
        table: what the TOML parser returned.
        assignment: names the task, the default loss and the allowed ranges.

    Raises:
        InvalidSubmissionError: something is unknown, missing, of the wrong type or out of range; the message
            names everything that was found, with what is allowed.
    """
    complete = {"loss": {"name": assignment.loss.name}, **table}
    problems = _schema_problems(complete)
    problems += _assignment_problems(table, assignment)
    problems += _component_problems(complete, assignment)
    problems += _range_problems(table, assignment, problems)
    if problems:
        raise InvalidSubmissionError("config.toml: " + joined(problems), HINT, file="config.toml")
    return TrainConfig.model_validate(_with_components(complete))


def _with_components(table: Mapping[str, Value]) -> dict[str, Value]:
    """The same table with each component's arguments apart from its name."""
    split = dict(table)
    for key in ("optimizer", "scheduler", "loss"):
        if isinstance(component := table.get(key), dict):
            arguments = {name: value for name, value in component.items() if name != "name"}
            named = {"name": component["name"]} if "name" in component else {}
            split[key] = {**named, "arguments": arguments}
    return split


def _schema_problems(table: Mapping[str, Value]) -> list[str]:
    try:
        TrainConfig.model_validate(_with_components(table))
    except ValidationError as error:
        return [problem.replace(".arguments", "", 1) for problem in problems_of(error, TrainConfig)]
    return []


def _assignment_problems(table: Mapping[str, Value], assignment: Assignment) -> list[str]:
    named = table.get("assignment")
    if isinstance(named, str) and named != assignment.id:
        return [f"assignment is {quoted(named)}, but what is graded is {assignment.id}"]
    return []


def _component_problems(table: Mapping[str, Value], assignment: Assignment) -> list[str]:
    choices = (
        ("optimizer", "torch.optim", OPTIMIZERS, REFUSED_OPTIMIZERS),
        ("scheduler", "torch.optim.lr_scheduler", SCHEDULERS, REFUSED_SCHEDULERS),
        ("loss", f"torch.nn for {assignment.task}", assignment.kind.losses, REFUSED_LOSSES),
    )
    problems: list[str] = []
    for key, place, allowed, refused in choices:
        component = table.get(key)
        if not isinstance(component, dict) or not isinstance(name := component.get("name"), str):
            continue  # the schema has said so
        if name in allowed:
            problems += _argument_problems(key, component, allowed[name])
        elif name in refused:
            problems.append(f"{key}.name is {name}, which cannot be used here: {refused[name]}")
        else:
            problems.append(
                f"{key}.name is {quoted(name)}, which is no class of {place}; {unknown(name, allowed)}"
            )
    return problems


def _argument_problems(key: str, component: Mapping[str, Value], takes: Arguments) -> list[str]:
    name = component["name"]
    problems = [
        f"{key}.{missing} is missing; {name} needs it" for missing in sorted(takes.required - set(component))
    ]
    for argument, value in component.items():
        if argument == "name":
            continue
        if argument not in takes.names:
            alias = ALIASES.get(argument, "")
            near = f"use {alias}" if alias in takes.names else unknown(argument, takes.names)
            near = near if takes.names else "it takes none here"
            problems.append(f"{key}.{quoted_key(argument)} is not an argument of {name}; {near}")
        elif _not_plain(value) is None and not _KINDS[ARGUMENT_KINDS[argument]](value):
            wanted = _KIND_NAMES[ARGUMENT_KINDS[argument]]
            problems.append(f"{key}.{argument} is {quoted(value)} ({type_name(value)}), must be {wanted}")
    return problems


def _is_integer(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Value) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_array(value: Value, of: Callable[[Value], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(of(each) for each in value)


_KINDS: Mapping[ArgumentKind, Callable[[Value], bool]] = {
    "number": _is_number,
    "non-negative": lambda value: _is_number(value) and value >= 0,
    "integer": _is_integer,
    "flag": lambda value: isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "numbers": lambda value: _is_array(value, _is_number),
    "integers": lambda value: _is_array(value, _is_integer),
    "number or numbers": lambda value: _is_number(value) or _is_array(value, _is_number),
}
_KIND_NAMES: Mapping[ArgumentKind, str] = {
    "number": "a number",
    "non-negative": "a number of at least 0",
    "integer": "an integer",
    "flag": "true or false",
    "text": "text in quotes",
    "numbers": "an array of numbers",
    "integers": "an array of integers",
    "number or numbers": "a number or an array of numbers",
}


def _range_problems(table: Mapping[str, Value], assignment: Assignment, told: list[str]) -> list[str]:
    """What the assignment's ranges refuse, apart from the values that `told` already speaks of."""
    low, high = assignment.ranges.get("epochs", (1, MAX_EPOCHS))
    ranges = {**assignment.ranges, "epochs": (low, min(high, MAX_EPOCHS))}
    return [
        f"{key} is {quoted(value)}, must be between {low:g} and {high:g}"
        for key, (low, high) in ranges.items()
        if not any(problem.startswith(f"{key} is ") for problem in told)
        for value in _numbers_at(table, key)
        if not low <= value <= high
    ]


def _numbers_at(table: Mapping[str, Value], key: str) -> list[float]:
    """The numbers under a dotted key; none where it is missing or something else."""
    found: Value = table
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return [value for value in (found if isinstance(found, list) else [found]) if _is_number(value)]
