"""Reads what a preflight says it has seen: JSON out of a sandbox, so every value of it is a claim."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.host.records import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 256 << 10
MOST_CLAIMS, MOST_NAMES, MOST_NUMBERS = 64, 12, 24
LONGEST_NAME, LONGEST_TEXT, LONGEST_CODE = 120, 600, 60
LARGEST = 1e30  # whatever is counted, timed or measured here is far below
LAST_LINE = 1 << 31


class NoClaimsError(Exception):
    """The bytes are not of the agreed form."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that was seen.

    Attributes:
        code: of its kind; whoever reads it may not know it.
        numbers: finite.
        names: of parameters or modules, as the student's code has them.
        place: the student's line.
        text: an operation's name, or an exception's text.
    """

    code: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    place: Place | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """All that a preflight said.

    Attributes:
        found: one of each kind.
        skipped: what was not looked at, and why: ``time`` or ``findings``.
        measured: by name; finite and not negative.
    """

    found: tuple[Claim, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)


def read_claims(payload: bytes) -> Claims:
    """Read a payload.

    Raises:
        NoClaimsError: it is not of the agreed form; what is no claim inside of it is left out.
    """
    if len(payload) > MOST_BYTES:
        raise NoClaimsError
    try:
        whole = json.loads(payload)
        found, skipped, measured = whole["findings"], whole["skipped"], whole["measured"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NoClaimsError from error
    if not (isinstance(found, list) and isinstance(skipped, list) and isinstance(measured, dict)):
        raise NoClaimsError
    claims = [_claim(each) for each in found[:MOST_CLAIMS] if isinstance(each, dict)]
    by_code = {claim.code: claim for claim in reversed(claims) if claim.code}
    reasons = [each for each in skipped[:MOST_CLAIMS] if isinstance(each, dict)]
    return Claims(
        tuple(claim for claim in claims if by_code.get(claim.code) is claim),
        {_text(each.get("code"), LONGEST_CODE): _text(each.get("why"), LONGEST_CODE) for each in reasons},
        {name: number for name, number in _numbers(measured).items() if number >= 0},
    )


def _claim(fields: dict[str, Any]) -> Claim:
    names = fields.get("names")
    return Claim(
        _text(fields.get("code"), LONGEST_CODE),
        _numbers(fields.get("numbers")),
        tuple(_text(name, LONGEST_NAME) for name in names[:MOST_NAMES]) if isinstance(names, list) else (),
        _place(fields.get("place")),
        _text(fields.get("text"), LONGEST_TEXT),
    )


def _text(value: object, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _numbers(value: object) -> dict[str, float]:
    pairs = list(value.items())[:MOST_NUMBERS] if isinstance(value, dict) else []
    return {name[:LONGEST_CODE]: float(number) for name, number in pairs if _is_number(number)}


def _is_number(value: object) -> bool:
    # Compared first: an integer of any size compares, but only a small one becomes a float.
    return isinstance(value, int | float) and -LARGEST < value < LARGEST and math.isfinite(value)


def _place(value: object) -> Place | None:
    match value:
        case [str(file), int(line)] if 0 < line < LAST_LINE:
            return Place(file[:255], line)
    return None
