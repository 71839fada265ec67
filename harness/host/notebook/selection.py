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

    from harness.host.notebook.changes import Object
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
        self._changed: defaultdict[Object, list[int]] = defaultdict(list)
        self._changed_later: defaultdict[Object, list[int]] = defaultdict(list)
        self._stars: list[int] = []
        for position, statement in enumerate(statements):
            for name in statement.binds:
                self._bound[name].append(position)
            for changed in statement.changed:
                self._changed[changed].append(position)
            if statement.imports_all:
                self._stars.append(position)
        self._find_later_changes()
        self._usable: defaultdict[str, list[int]] = defaultdict(list)
        self._how: list[str] = []  # each that cannot be kept does its work; empty for those that can
        self._sort_out()
        self._kept: set[int] = set()
        self._changes_kept: set[Object] = set()
        self._followed: set[tuple[str, int]] = set()
        self._waiting: list[int] = []
        self._unmet: dict[tuple[str, int | None], Unmet] = {}

    def run(self) -> Selection:
        end = len(self._statements)
        found, lost = set(), []
        for name in WANTED:
            last = _last(self._bound[name], end)
            if self._keep_binding(name, end, None):
                found.add(name)
            elif last is not None:
                lost.append(Unmet(name, None, self._statements[last], self._how[last]))
        while self._waiting:
            self._meet_needs(self._waiting.pop())
        kept = tuple(self._statements[position] for position in sorted(self._kept))
        return Selection(kept, frozenset(found), tuple(lost), tuple(self._unmet.values()))

    def _find_later_changes(self) -> None:
        """Find what calls may change: whatever a name stands for at some time, since nobody knows when."""
        ever: defaultdict[str, set[Object]] = defaultdict(set)
        for statement in self._statements:
            for name, objects in statement.objects.items():
                ever[name] |= objects
        for position, statement in enumerate(self._statements):
            for changed in {each for name in statement.changes_later for each in ever[name]}:
                self._changed_later[changed].append(position)

    def _sort_out(self) -> None:
        """Find the statements that can be kept: all that they need at once is there too."""
        causes: dict[int, str] = {}
        for position, statement in enumerate(self._statements):
            how = f"by {statement.why_left_out}" if statement.why_left_out else ""
            if not how:
                needed = statement.needs.now
                if not (statement.is_definition or statement.is_new_name):
                    needed |= self._needed_when_called(position)
                missing = next((each for each in sorted(needed) if not self._is_there(each, position)), "")
                if missing:
                    causes[position] = self._cause(missing, position, causes)
                    how = f"of {causes[position]}"
            self._how.append(how)
            for name in statement.binds if not how else ():
                self._usable[name].append(position)

    def _needed_when_called(self, position: int) -> set[str]:
        """What the functions and classes look up that a statement may call at once."""
        names, found = set(self._statements[position].needs.now), set[str]()
        seen: set[int] = set()
        while names:
            place = _last(self._usable[names.pop()], position)
            if place is None or place in seen:
                continue
            seen.add(place)
            new = self._statements[place].needs.later - found
            found |= new
            names |= new
        return found

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

    def _keep_binding(self, name: str, before: int, user: Statement | None) -> bool:
        """Keep what binds a name before a place; earlier bindings too where it may leave the name as it was.

        Returns:
            Whether there is any that can be kept.
        """
        position = _last(self._usable[name], before)
        is_there = position is not None
        while position is not None:
            statement, last = self._statements[position], _last(self._bound[name], before)
            if last is not None and last > position:
                self._tell(name, user or statement, last, kept=statement)
            self._keep(position)
            self._keep_changes(name, statement)
            if not statement.is_conditional or (name, position) in self._followed:
                break
            self._followed.add((name, position))
            before = position
            position = _last(self._usable[name], before)
        return is_there

    def _meet_needs(self, position: int) -> None:
        statement = self._statements[position]
        for name in sorted(statement.needs.now):
            self._meet(name, position, statement)
        for name in sorted(self._needed_when_called(position)):
            self._keep_binding(name, position, statement)
        for name in sorted(statement.needs.later):
            self._meet(name, len(self._statements), statement)
        for name in sorted(statement.needs.maybe):
            self._keep_binding(name, position, statement)

    def _meet(self, name: str, before: int, user: Statement) -> None:
        if not self._keep_binding(name, before, user) and name not in _EVERYWHERE:
            stars = self._stars[: bisect_left(self._stars, before)]
            for star in stars:
                self._keep(star)
            if not stars:
                self._tell(name, user, _last(self._bound[name], before))

    def _keep_changes(self, name: str, statement: Statement) -> None:
        """Keep what changes in place what a name stands for after a statement."""
        for changed in statement.objects.get(name, ()):
            if changed in self._changes_kept:
                continue
            self._changes_kept.add(changed)
            for place in self._changed[changed]:
                if self._how[place]:
                    self._tell(name, statement, place, kept=statement)
                else:
                    self._keep(place)
            for place in self._changed_later[changed]:
                if self._statements[place] is not statement:
                    self._tell(name, statement, place, kept=statement)

    def _tell(
        self, name: str, user: Statement, left_out: int | None, *, kept: Statement | None = None
    ) -> None:
        other = self._statements[left_out] if left_out is not None else None
        how = (self._how[left_out] or "when it is called") if left_out is not None else ""
        self._unmet.setdefault((name, left_out), Unmet(name, user, other, how, kept))


def _last(places: Sequence[int], before: int) -> int | None:
    """The last of ascending places that is before one."""
    found = bisect_left(places, before)
    return places[found - 1] if found else None
