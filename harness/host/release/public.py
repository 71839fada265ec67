"""The public part of ``assignment.toml``: what a copy without the answers needs, written anew key by key.

What an instructor wrote beside the keys, comments above all, does not get into it.
"""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any

from harness.host.assignment import AssignmentFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.host.assignment import Assignment

# Not named: split, which the kit cannot make; docker_runtime, which only the course's machines have.
KEYS = (
    *("id", "title", "task", "deadline", "attempts_per_day", "data", "metric", "loss", "limits", "points"),
    *("tiers", "ranges", "late"),
)
HEAD = """\
# Made from the course's own file. In a copy without the answers, a tier is reached on your validation rows,
# and gives the points of both halves of the test rows, so they stand here together.

"""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def public_toml(assignment: Assignment) -> str:
    """The file for students; read as an assignment, it grades validation rows as the course's own does."""
    keys = AssignmentFile.model_validate({key: getattr(assignment, key) for key in KEYS}).model_dump(
        mode="python", exclude_none=True, include=set(KEYS)
    )
    for tier in keys["tiers"]:
        tier["public_points"] += tier["private_points"]
        tier["private_points"] = 0.0
    text = HEAD + "\n".join(_lines({key: keys[key] for key in KEYS if keys.get(key)})) + "\n"
    AssignmentFile.model_validate(tomllib.loads(text))  # which would be a fault of this module
    return text


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    """A table's plain values, then a section for each table in it."""
    nested = {key: value for key, value in table.items() if isinstance(value, dict) or _is_tables(value)}
    for key, value in table.items():
        if key not in nested:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in nested.items():
        for head, section in (
            [(f"[{key}]", value)] if isinstance(value, dict) else [(f"[[{key}]]", e) for e in value]
        ):
            yield ""
            yield head
            yield from (f"{_key(name)} = {_value(each)}" for name, each in section.items())


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case date():
            return value.isoformat()
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False).replace(
                "\x7f", "\\u007f"
            )  # JSON's escapes are TOML's
