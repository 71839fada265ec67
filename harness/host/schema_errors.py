"""Turns what a closed schema refuses into sentences: the key, what was found, what is allowed.

Used for ``assignment.toml`` (an instructor's) and ``config.toml`` (a student's), so everything that is quoted
is cut short and escaped.
"""

from __future__ import annotations

import difflib
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

MAX_PROBLEMS = 8
QUOTE_LENGTH = 60
LISTED_VALUES = 4
LISTED_NAMES = 24
NEAR = 0.6
LONGEST_SPELLED_INTEGER = 10**20

_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "text"),
    ((list, tuple), "an array"),
    (dict, "a table"),
    ((datetime, date, time), "a date or time"),
)
_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "tuple_type": "an array",
    "list_type": "an array",
    "datetime_type": "a date and time",
    "timezone_aware": "a time with its offset, as in 2030-03-01T23:59:00+08:00",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("over", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("under", "lt"),
    "less_than_equal": ("at most", "le"),
}


def quoted(value: object, limit: int = QUOTE_LENGTH) -> str:
    """Show a value from a file on one line: escaped, and cut to about `limit` characters."""
    if isinstance(value, list | tuple | dict):
        return _quoted_container(value, limit)
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else repr(value[:limit]) + "..."
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= LONGEST_SPELLED_INTEGER:
        return f"an integer of {value.bit_length()} bits"  # str() of a longer one is slow, or refused
    text = str(value)
    return text if len(text) <= limit else text[:limit] + "..."


def _quoted_container(value: list[object] | tuple[object, ...] | dict[object, object], limit: int) -> str:
    if isinstance(value, dict):
        return f"a table of {len(value)} keys"
    if len(value) <= LISTED_VALUES and not any(isinstance(each, list | tuple | dict) for each in value):
        return "[" + ", ".join(quoted(each, limit // LISTED_VALUES) for each in value) + "]"
    return f"an array of {len(value)} values"


def type_name(value: object) -> str:
    """Name a TOML value's type as a student would."""
    return next((name for kinds, name in _TYPES if isinstance(value, kinds)), type(value).__name__)


def quoted_key(name: object) -> str:
    """Show a key plainly where it is a plain word, else quoted."""
    return (
        str(name)
        if isinstance(name, str) and name.isidentifier() and len(name) < QUOTE_LENGTH
        else quoted(name)
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None; case does not count."""
    spellings = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name[:QUOTE_LENGTH].casefold(), spellings, n=1, cutoff=NEAR)
    return spellings[found[0]] if found else None


def unknown(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or all of them."""
    if near := nearest(name, known):
        return f"the nearest known name is {near}"
    listed = sorted(known)
    more = f" and {len(listed) - LISTED_NAMES} more" if len(listed) > LISTED_NAMES else ""
    return "known are " + ", ".join(listed[:LISTED_NAMES]) + more


def problems_of(error: ValidationError, schema: type[BaseModel]) -> list[str]:
    """One sentence for each thing that `schema` refused, in the schema's order."""
    return [_problem(item, schema) for item in error.errors(include_url=False)]


def joined(problems: Sequence[str]) -> str:
    """All problems in one line, the first `MAX_PROBLEMS` of them spelled out."""
    more = len(problems) - MAX_PROBLEMS
    shown = list(problems[:MAX_PROBLEMS]) + ([f"and {more} more"] if more > 0 else [])
    return "; ".join(shown)


def _problem(item: ErrorDetails, schema: type[BaseModel]) -> str:
    kind, location, found = item["type"], item["loc"], item.get("input")
    context: Mapping[str, Any] = item.get("ctx", {})
    key = _dotted(location)
    if kind == "extra_forbidden":
        return f"{key} is not a known key; {unknown(str(location[-1]), _keys_at(schema, location[:-1]))}"
    if kind == "missing":
        return f"{key} is missing"
    if kind == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])
    shown = _typed(found) if kind in _EXPECTED else quoted(found)
    return f"{key} is {shown}, must be {_expected(kind, context, item['msg'])}"


def _typed(value: object) -> str:
    shown, name = quoted(value), type_name(value)
    return shown if shown.startswith(("a ", "an ")) else f"{shown} ({name})"


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {context[bound]}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return f"of the form {context['pattern']}"
    return _EXPECTED.get(kind) or message[:1].lower() + message[1:]


def _dotted(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + quoted_key(part)
    return text


def _keys_at(schema: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, ...]:
    model: type[BaseModel] | None = schema
    for part in location:
        if model is None:
            return ()
        if isinstance(part, str):
            field = model.model_fields.get(part)
            model = _model_in(field.annotation) if field else None
    return (
        ()
        if model is None
        else tuple(name for name, field in model.model_fields.items() if not field.exclude)
    )


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for each in get_args(annotation) if (model := _model_in(each))), None)
