"""Chooses what of a notebook becomes ``model.py``: what its classes need, and what those things need in turn.

Cells count from top to bottom, as if all of them had been run once: what is looked up at once finds what the
statements before it have bound, what is looked up later finds what was bound last.
"""

from __future__ import annotations

import builtins
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.host.notebook.statements import Statement

MODEL_CLASS = "MyModel"
WANTED = (MODEL_CLASS, "MyDataset")  # what the guest looks for in model.py
_EVERYWHERE = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__builtins__", "__class__"}


@dataclass(frozen=True, slots=True)
class Unmet:
    """A name that is not there, or not as the notebook has it.

    Attributes:
        user: the statement that looks it up; None: the harness does.
        left_out: the statement that would have bound or changed it; None: there is none.
        how: that does it, such as "by a loop", which is why it is left out.
        kept: the earlier statement that gives the name a value all the same; None: it has none.
    """

    name: str
    user: Statement | None
    left_out: Statement | None
    how: str = ""
    kept: Statement | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What is kept, in the notebook's order.

    Attributes:
        found: which of `WANTED` are kept.
        lost: which of them are in the notebook and cannot be kept.
        unmet: what may be missed when what is kept is called.
    """

    kept: tuple[Statement, ...]
    found: frozenset[str]
    lost: tuple[Unmet, ...]
    unmet: tuple[Unmet, ...]


def select(statements: Sequence[Statement]) -> Selection:
    """Choose the statements that `WANTED` are made of."""
    return _Selecting(statements).run()


class _Selecting:
    def __init__(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._bound: defaultdict[str, list[int]] = defaultdict(list)
        self._changed: defaultdict[str, list[int]] = defaultdict(list)
        self._stars: list[int] = []
        for position, statement in enumerate(statements):
            for name in statement.binds:
                self._bound[name].append(position)
            for name in statement.changes:
                self._changed[name].append(position)
            if statement.imports_all:
                self._stars.append(position)
        self._usable: defaultdict[str, list[int]] = defaultdict(list)
        self._how: list[str] = []  # each that cannot be kept does its work; empty for those that can
        self._sort_out()
        self._kept: set[int] = set()
        self._kept_for: set[tuple[str, int]] = set()
        self._waiting: list[int] = []
        self._unmet: dict[tuple[str, int | None], Unmet] = {}

    def run(self) -> Selection:
        end = len(self._statements)
        found, lost = set(), []
        for name in WANTED:
            position = self._keep_binding(name, end)
            last = _last(self._bound[name], end)
            if position is not None:
                found.add(name)
                self._tell_if_bound_again(name, position, end, self._statements[position])
            elif last is not None:
                lost.append(Unmet(name, None, self._statements[last], self._how[last]))
        while self._waiting:
            self._meet_needs(self._waiting.pop())
        kept = tuple(self._statements[position] for position in sorted(self._kept))
        return Selection(kept, frozenset(found), tuple(lost), tuple(self._unmet.values()))

    def _sort_out(self) -> None:
        """Find the statements that can be kept: all that they need at once is there too."""
        causes: dict[int, str] = {}
        for position, statement in enumerate(self._statements):
            how = f"by {statement.why_left_out}" if statement.why_left_out else ""
            if not how:
                missing = next(
                    (each for each in sorted(statement.needs.now) if not self._is_there(each, position)), ""
                )
                if missing:
                    causes[position] = self._cause(missing, position, causes)
                    how = f"of {causes[position]}"
            self._how.append(how)
            for name in statement.binds if not how else ():
                self._usable[name].append(position)

    def _is_there(self, name: str, before: int) -> bool:
        if _last(self._usable[name], before) is not None or name in _EVERYWHERE:
            return True
        return _last(self._stars, before) is not None

    def _cause(self, missing: str, position: int, causes: Mapping[int, str]) -> str:
        """Why a name is missing at a place, from the statement that everything else follows from."""
        before = _last(self._bound[missing], position)
        if before is not None:
            return (
                causes.get(before)
                or f"{missing}, which {self._statements[before].where} makes {self._how[before]}"
            )
        if self._bound[missing]:
            first = self._statements[self._bound[missing][0]]
            return f"{missing}, which is defined further down, in {first.where}"
        return f"{missing}, which no cell defines"

    def _keep(self, position: int) -> None:
        if position not in self._kept:
            self._kept.add(position)
            self._waiting.append(position)

    def _keep_binding(self, name: str, before: int) -> int | None:
        """Keep what binds a name before a place; earlier bindings too where it may leave the name as it was.

        Returns:
            The position of the last binding; None: there is none that can be kept.
        """
        found = position = _last(self._usable[name], before)
        while position is not None and (name, position) not in self._kept_for:
            self._kept_for.add((name, position))
            self._keep(position)
            is_sure = not self._statements[position].is_conditional
            position = None if is_sure else _last(self._usable[name], position)
        return found

    def _meet_needs(self, position: int) -> None:
        statement = self._statements[position]
        for name in sorted(statement.needs.now):
            self._meet(name, position, statement)
        for name in sorted(statement.needs.later):
            self._meet(name, len(self._statements), statement)
        for name in sorted(statement.needs.maybe):
            self._keep_binding(name, position)
        if not statement.is_import:
            for name in sorted(statement.binds):
                self._keep_changes(name, position, statement)

    def _meet(self, name: str, before: int, user: Statement) -> None:
        position = self._keep_binding(name, before)
        if position is not None:
            self._tell_if_bound_again(name, position, before, user)
        elif name not in _EVERYWHERE:
            stars = self._stars[: bisect_left(self._stars, before)]
            for star in stars:
                self._keep(star)
            if not stars:
                self._tell(name, user, _last(self._bound[name], before))

    def _tell_if_bound_again(self, name: str, position: int, before: int, user: Statement) -> None:
        last = _last(self._bound[name], before)
        if last is not None and last > position:
            self._tell(name, user, last, kept=self._statements[position])

    def _keep_changes(self, name: str, position: int, statement: Statement) -> None:
        """Keep what changes a name's value in place, until the name is bound anew."""
        bound, changed = self._bound[name], self._changed[name]
        after = bisect_left(bound, position + 1)
        end = bound[after] if after < len(bound) else len(self._statements)
        for place in changed[bisect_left(changed, position + 1) : bisect_left(changed, end)]:
            if self._how[place]:
                self._tell(name, statement, place, kept=statement)
            else:
                self._keep(place)

    def _tell(
        self, name: str, user: Statement, left_out: int | None, *, kept: Statement | None = None
    ) -> None:
        other, how = (self._statements[left_out], self._how[left_out]) if left_out is not None else (None, "")
        self._unmet.setdefault((name, left_out), Unmet(name, user, other, how, kept))


def _last(places: Sequence[int], before: int) -> int | None:
    """The last of ascending places that is before one."""
    found = bisect_left(places, before)
    return places[found - 1] if found else None
