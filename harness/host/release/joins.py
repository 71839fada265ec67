"""Finds hidden values that stand beside their ids: in a table, in any text, and in the names of files."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from harness.host.association import BEYOND_CHANCE, determines, facets, strongest
from harness.host.release.spelling import number_of, pieces_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from harness.host.release.hidden import Hidden, Secret
    from harness.host.release.tables import Column, Table

FEWEST = 4  # rows that name an id
ENOUGH = 12  # rows for a comparison of more than single values
FARTHEST = 3  # words from the id
RARE = math.log(1e12)
NOBODY = -1
_WORDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*|-?\.?\d[A-Za-z0-9.+-]*")


class Joins:
    """Knows the ids of the test rows by every way to write them.

    Args:
        hidden: of the assignment.
    """

    def __init__(self, hidden: Hidden) -> None:
        self._hidden = hidden
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
            for column in table.columns:
                told = None if column is key else self._told(places[rows], column.values[rows])
                if told:
                    return f"{told}, in the column {column.name!r} beside the ids in {key.name!r}"
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
