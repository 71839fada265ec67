"""Finds the test rows in a table by their features, where there are no ids: in the original data, say.

Columns are taken for features by their names, or because they stand side by side in the features' order, or
by their values where a feature has many. Test rows are known by what is in all of these, unless another test
row or a training row has the same: a table of training rows must not be taken for one of test rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.host.data import row_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from harness.host.data import Data
    from harness.host.release.tables import Table

NOBODY = -1
MANY_VALUES = 20  # different ones: of fewer, one feature may look like another
NEARLY_ALL = 0.9  # of a feature's values occur in the column that is taken for it
FEWEST_FEATURES = 2


class Rows:
    """Knows the test rows by their features.

    Args:
        data: the assignment's rows.
    """

    def __init__(self, data: Data) -> None:
        self._data = data
        self._known: dict[tuple[int, ...], dict[bytes, int]] = {}
        self._names = {name: place for place, name in enumerate(data.features)}
        self._values = {
            place: levels
            for place in range(len(data.features))
            if len(levels := np.unique(data.test_inputs[:, place])) >= MANY_VALUES
        }

    def places_in(self, table: Table) -> NDArray[np.int64]:
        """For each row (N,) of a table, its place in the test file, or `NOBODY`."""
        nowhere = np.full(table.rows, NOBODY)
        if len(table.columns) <= FEWEST_FEATURES:
            return nowhere
        with np.errstate(over="ignore"):
            cells = np.column_stack([column.values for column in table.columns]).astype(np.float32)
        for columns, features in self._pairings(table, cells):
            known = self._known_by(features)
            found = [known.get(key, NOBODY) for key in row_keys(cells[:, columns])]
            if any(place != NOBODY for place in found):
                return np.array(found)
        return nowhere

    def _pairings(self, table: Table, cells: NDArray[np.float32]) -> Iterator[tuple[list[int], list[int]]]:
        """Which columns may be which features, the surest first."""
        names = [column.name for column in table.columns]
        named = {place: self._names[name] for place, name in enumerate(names) if name in self._names}
        if len(named) >= FEWEST_FEATURES:
            yield list(named), list(named.values())
            return
        width = len(self._names)
        for at in range(len(names) - width + 1):
            yield list(range(at, at + width)), list(range(width))
        alike = self._alike(cells)
        if len(alike) >= FEWEST_FEATURES:
            yield list(alike), list(alike.values())

    def _alike(self, cells: NDArray[np.float32]) -> dict[int, int]:
        """Columns that have the values of one feature, and of no other."""
        found: dict[int, int] = {}
        for place in range(cells.shape[1]):
            levels = np.unique(cells[:, place])
            if len(levels) < MANY_VALUES:
                continue
            features = [
                feature
                for feature, values in self._values.items()
                if np.isin(values, levels).mean() >= NEARLY_ALL
            ]
            if len(features) == 1:
                found[place] = features[0]
        return found

    def _known_by(self, features: Sequence[int]) -> dict[bytes, int]:
        """The test rows that nothing else is like, by some of their features."""
        if (kept := self._known.get(tuple(features))) is not None:
            return kept
        trained = set(row_keys(self._data.train_inputs[:, features]))
        known: dict[bytes, int] = {}
        for place, key in enumerate(row_keys(self._data.test_inputs[:, features])):
            known[key] = NOBODY if key in known or key in trained else place
        self._known[tuple(features)] = known
        return known
