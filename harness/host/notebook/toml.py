"""Writes plain values as TOML (https://toml.io/en/v1.0.0); tomllib, which reads it, has no counterpart."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DELETE = "\x7f"  # TOML wants it escaped, and JSON does not


def to_toml(table: Mapping[str, Any]) -> str:
    """A table as TOML, its plain values first and a section for each table in it.

    Args:
        table: of booleans, integers, floats, texts in valid Unicode, and lists and tables of them.
    """
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [
                "",
                f"[{_key(key)}]",
                *(f"{_key(name)} = {_value(each)}" for name, each in value.items()),
            ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _text(text: str) -> str:
    """A basic string: JSON's escapes are TOML's too."""
    return json.dumps(text, ensure_ascii=False).replace(_DELETE, "\\u007f")
