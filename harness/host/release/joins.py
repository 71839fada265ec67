"""Finds hidden values that stand beside their ids: in a table, in any text, and in the names of files.

Ids alone may tell as much: those of one class or of the public rows, or all of them in the answers' order. In
a table without ids, rows are known by their features (`rows`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from harness.host.association import BEYOND_CHANCE, determines, facets, strongest
from harness.host.release.rows import NOBODY, Rows
from harness.host.release.spelling import number_of, pieces_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from harness.host.data import Data
    from harness.host.release.hidden import Hidden, Secret
    from harness.host.release.tables import Column, Table

FEWEST = 4  # rows that name an id
ENOUGH = 12  # rows for a comparison of more than single values
FARTHEST = 3  # words from the id
RARE = math.log(1e12)
_WORDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*|-?\.?\d[A-Za-z0-9.+-]*")


class Joins:
    """Knows the ids of the test rows by every way to write them.

    Args:
        data: the assignment's rows.
        hidden: what must not be told of them.
    """

    def __init__(self, data: Data, hidden: Hidden) -> None:
        self._hidden = hidden
        self._rows = Rows(data)
        self._by_text = {plain(identity): place for place, identity in enumerate(hidden.ids.tolist())}
        numbers = [number_of(identity) for identity in hidden.ids.tolist()]
        whole = len({number for number in numbers if math.isfinite(number)}) == len(numbers)
        self._by_number = {number: place for place, number in enumerate(numbers)} if whole else {}

    def in_table(self, table: Table) -> str | None:
        """What another column of a table tells of the rows whose ids are in one."""
        for key in table.columns:
            places = self._places(key)
            first = np.unique(places, return_index=True)[1]
            rows = first[places[first] != NOBODY]
            met = int((places != NOBODY).sum())
            if len(rows) < max(FEWEST, len(places) // 20, met // 2):
                continue  # a column of measurements meets an id here and there, or the same ones often
            if listed := self._listed(places):
                return f"{listed}, in the column {key.name!r}"
            others = (column for column in table.columns if column is not key)
            if beside := self._beside(places, rows, others):
                return f"{beside} beside the ids in {key.name!r}"
        places = self._rows.places_in(table)
        beside = self._beside(places, np.flatnonzero(places != NOBODY), table.columns)
        return f"{beside} beside the features of the test rows" if beside else None

    def _beside(
        self, places: NDArray[np.int64], rows: NDArray[np.int64], columns: Iterable[Column]
    ) -> str | None:
        """What columns (N,) tell in some rows of a table whose rows are those at `places` (N,)."""
        for column in columns if len(rows) else ():
            if told := self._told(places[rows], column.values[rows]):
                return f"{told}, in the column {column.name!r}"
        return None

    def in_text(self, text: str) -> str | None:
        """What a text tells within a few words of an id."""
        return self._in_words(_WORDS.findall(text))

    def in_names(self, names: Iterable[str]) -> str | None:
        """What the names of files and folders tell of ids that are in them."""
        words: list[str] = []
        for name in names:
            words += [*pieces_of(name), *[""] * FARTHEST]
        return self._in_words(words)

    def _places(self, key: Column) -> NDArray[np.int64]:
        if key.texts is not None:
            return np.array([self._by_text.get(plain(text), NOBODY) for text in key.texts])
        return np.array([self._by_number.get(value, NOBODY) for value in key.values.tolist()])

    def _place(self, word: str) -> int:
        found = self._by_text.get(plain(word), NOBODY)
        return found if found != NOBODY or not self._by_number else self._by_number.get(_number(word), NOBODY)

    def _in_words(self, words: Sequence[str]) -> str | None:
        values = np.array([_number(word) for word in words], dtype=np.float64)
        named = np.array([self._place(word) for word in words], dtype=np.int64)
        at = np.flatnonzero(named != NOBODY)
        if listed := self._listed(named):
            return listed
        for distance in (*range(1, FARTHEST + 1), *range(-FARTHEST, 0)):
            beside = at + distance
            inside = (beside >= 0) & (beside < len(words))
            places, found = named[at[inside]], values[beside[inside]]
            places, found = places[np.isfinite(found)], found[np.isfinite(found)]
            pairs = np.unique(np.stack([places, found]), axis=1) if len(places) else np.empty((2, 0))
            told = self._told(pairs[0].astype(np.int64), pairs[1])
            if told:
                return f"{told}, beside the ids"
        return None

    def _listed(self, places: NDArray[np.int64]) -> str | None:
        """What ids tell by being named, or by the order in which they are, at `places` (N,) or nowhere."""
        known = places[places != NOBODY]
        known = known[np.sort(np.unique(known, return_index=True)[1])]
        if len(known) < ENOUGH:
            return None
        named = np.isin(np.arange(len(self._hidden.ids)), known)
        for secret in self._hidden.secrets:
            if strongest(named, secret.facets) > BEYOND_CHANCE:
                return f"{secret.name}: it goes with them which ids are named"
            own = secret.values[known]
            alike = strongest(own[:-1], facets(own[1:], named=secret.named), named=secret.named)
            if max(alike, strongest(np.arange(len(own)), facets(own, named=secret.named))) > BEYOND_CHANCE:
                return f"{secret.name}: it goes with them in which order ids are named"
        return None

    def _told(self, places: NDArray[np.int64], values: NDArray[np.float64]) -> str | None:
        """What values (N,) tell of the test rows at `places` (N,)."""
        if len(places) < FEWEST:
            return None
        for secret in self._hidden.secrets:
            own = secret.values[places]
            suspected = _equal_too_often(values, own, secret) or _goes_with(values, places, own, secret)
            if suspected and not self._hidden.handed_out(values, places):
                return secret.name
        return None


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _goes_with(
    values: NDArray[np.float64], places: NDArray[np.int64], own: NDArray[np.float64], secret: Secret
) -> bool:
    """Whether values (N,), one for each row, go with their rows' secrets (N,) more than chance lets them."""
    once = np.unique(places, return_index=True)[1]
    if len(once) < ENOUGH:
        return False
    beyond = strongest(values[once], facets(own[once], named=secret.named)) > BEYOND_CHANCE
    return beyond or determines(values[once], own[once])


def _equal_too_often(values: NDArray[np.float64], own: NDArray[np.float64], secret: Secret) -> bool:
    """Whether values (N,) equal their rows' secrets (N,) more often than they would those of other rows.

    The chance of so many is under Chernoff's bound, which holds for trials of different odds too (Hoeffding
    1956).
    """
    levels, counts = np.unique(secret.values, return_counts=True)
    at = np.minimum(np.searchsorted(levels, values), len(levels) - 1)
    by_chance = float(np.where(levels[at] == values, counts[at], 0).mean()) / len(secret.values)
    equal = float((values == own).mean())
    if not 0 < by_chance < equal:
        return False
    other = (1 - equal) * math.log((1 - equal) / (1 - by_chance)) if equal < 1 else 0.0
    return len(values) * (equal * math.log(equal / by_chance) + other) > RARE
