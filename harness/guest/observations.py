"""What a preflight has seen of a submission: codes and numbers, which the host turns into words."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.guest.findings import Place
    from harness.guest.tracing import Operation

NOTHING: Mapping[str, float] = MappingProxyType({})
MOST_NAMES, LONGEST_NAME, LONGEST_TEXT = 12, 120, 600


class Observations:
    """Collects what was seen, what was not looked at, and what was measured."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Any]] = {}
        self._skipped: dict[str, str] = {}
        self._measured: dict[str, float] = {}

    def add(
        self,
        code: str,
        numbers: Mapping[str, float] = NOTHING,
        *,
        names: Sequence[str] = (),
        place: Place | None = None,
        text: str = "",
    ) -> None:
        """Note a finding; the first of a kind is the one that is told.

        Args:
            code: of its kind.
            numbers: for the host's words; those that are not finite are left out.
            names: of parameters or modules, without end: the first ones are kept, and their number.
            place: the line of the submission, if it is known.
            text: an operation's name, or an exception's text.
        """
        numbers = {"count": len(names), **numbers}
        self._found.setdefault(
            code,
            {
                "code": code,
                "names": [name[:LONGEST_NAME] for name in names[:MOST_NAMES]],
                "place": [place.file, place.line] if place else None,
                "text": text[:LONGEST_TEXT],
                "numbers": {key: each for key, each in numbers.items() if math.isfinite(each)},
            },
        )

    def add_operation(
        self, code: str, operation: Operation | None, numbers: Mapping[str, float] = NOTHING
    ) -> None:
        """Note a finding that an operation leads to, where it is known."""
        if operation is None:
            self.add(code, numbers)
            return
        seen = {"zeros": operation.zeros, "negatives": operation.negatives}
        self.add(code, {**seen, **numbers}, place=operation.place, text=operation.name)

    def skip(self, why: str, *codes: str) -> None:
        """Note that some things were not looked at; ``time`` or ``findings`` say why."""
        for code in codes:
            self._skipped.setdefault(code, why)

    def measure(self, **numbers: float) -> None:
        """Note measurements."""
        self._measured |= {key: each for key, each in numbers.items() if math.isfinite(each)}

    def any_of(self, codes: frozenset[str]) -> bool:
        """Whether one of these kinds was found."""
        return not codes.isdisjoint(self._found)

    def payload(self) -> bytes:
        """All of it as JSON."""
        skipped = [{"code": code, "why": why} for code, why in self._skipped.items()]
        whole = {"findings": list(self._found.values()), "skipped": skipped, "measured": self._measured}
        return json.dumps(whole, allow_nan=False).encode("utf-8", "backslashreplace")
