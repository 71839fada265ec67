"""Searches what would be handed out for anything hidden: the answers, the split, the key, the reference.

Each file is taken apart (`unpacking`), and each part is searched as bytes (`traces`), as text with ids in it
(`joins`), as tables and lists (`tables`, `sequences`) and, if it is binary, as arrays. What goes with the
answers is told from chance by how improbable it is, never by a fixed share: a column of ten classes agrees
with any other in a tenth of its rows. The search finds accidents and plain attempts; it is no match for
somebody who hides answers on purpose, in the last digits of features, say.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.release.budget import Budget, UnreadableError
from harness.host.release.formats import NUMPY
from harness.host.release.joins import Joins
from harness.host.release.order import told_by_features, told_by_order
from harness.host.release.sequences import Sequences
from harness.host.release.spelling import text_of
from harness.host.release.tables import table_of, tables_in, tables_of
from harness.host.release.traces import Traces
from harness.host.release.unpacking import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from harness.host.data import Data
    from harness.host.release.hidden import Hidden
    from harness.host.release.tables import Table
    from harness.host.release.unpacking import Part

NAMES = "(names of files)"
ARRAYS = ("u1", "i1", "<i2", "<i4", "<i8", "<f4", "<f8", ">i2", ">i4", ">i8", ">f4", ">f8")
SHORTEST_ARRAY = 64  # bytes: base64 finds shorter ones in every long name
MOST_SLID_BYTES = 1 << 18
MOST_SLID = MOST_SLID_BYTES // 8
MOST_COLUMNS = 64  # of an array whose shape nobody knows


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that must not be handed out.

    Attributes:
        path: of the file, and inside of it after ``!``.
        what: was found, without any of it.
    """

    path: str
    what: str


def find_leaks(files: Mapping[str, bytes], test_file: str, data: Data, hidden: Hidden) -> list[Leak]:
    """Search everything that would be handed out.

    Args:
        files: path in the kit, to content.
        test_file: which of them has the test inputs.
        data: the assignment's rows.
        hidden: what must not be told.

    Returns:
        What was found, one a file part; empty: nothing.
    """
    search = _Search(data, hidden)
    leaks = [Leak(test_file, told) for told in told_by_order(hidden, data)]
    leaks += [Leak(test_file, told) for told in told_by_features(hidden, data)]
    leaks += search.names(files)
    budget = Budget()
    for path, content in files.items():
        inside: list[str] = []
        try:
            for part in parts_of(path, content, budget):
                inside.append(part.path)
                if content != files[test_file] and part.data != files[test_file]:
                    leaks += search.part(part)
                elif part.path == path:
                    leaks += search.exact(part)
        except UnreadableError as error:
            leaks.append(Leak(path, f"it cannot be looked through: {error}"))
        except RecursionError:
            leaks.append(Leak(path, "it cannot be looked through: it is nested too deep"))
        leaks += search.names(inside[1:])
    return leaks


class _Search:
    """What all files of a kit are searched with; a part that was seen before is not searched again."""

    def __init__(self, data: Data, hidden: Hidden) -> None:
        self._traces, self._joins, self._sequences = Traces(hidden), Joins(data, hidden), Sequences(hidden)
        self._rows = len(hidden.ids)
        self._seen: set[bytes] = set()

    def names(self, names: Mapping[str, bytes] | list[str]) -> Iterator[Leak]:
        """What the names of files tell."""
        told = self._joins.in_names(names) or self._columns("\n".join(names))
        if told:
            yield Leak(NAMES, told)

    def exact(self, part: Part) -> Iterator[Leak]:
        """What of the reference stands in it as it is."""
        for told in [*self._traces.in_bytes(part.data), *self._traces.in_text(text_of(part.data))]:
            yield Leak(part.path, told)

    def part(self, part: Part) -> Iterator[Leak]:
        """Everything that a part tells."""
        digest = hashlib.sha256(part.data).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        yield from self.exact(part)
        text = text_of(part.data)
        told = self._columns(text) or self._arrays(part.data, text)
        if told:
            yield Leak(part.path, told)

    def _columns(self, text: str) -> str | None:
        whole = False
        for table in tables_in(text):
            whole |= len(table.columns) > 1 and table.rows >= text.count("\n") - 1
            if told := self._table(table):
                return told
        return None if whole else self._joins.in_text(text)

    def _table(self, table: Table) -> str | None:
        for column in table.columns:
            if told := self._sequences.told_by(column.values):
                return f"{told}, in the column {column.name!r}"
        return self._joins.in_table(table)

    def _arrays(self, data: bytes, text: str) -> str | None:
        """The bytes of what is no text, as the arrays that they may be."""
        if data.startswith(NUMPY) and (array := _npy(data)) is not None:
            return self._array(array)
        if len(data) < SHORTEST_ARRAY or text.encode() == data:
            return None
        for name in ARRAYS:
            size = np.dtype(name).itemsize
            for offset in range(size):
                count = (len(data) - offset) // size
                with np.errstate(all="ignore"):
                    values = np.frombuffer(data, name, count, offset).astype(np.float64)
                slide = offset == 0 and len(data) <= MOST_SLID_BYTES
                told = self._sequences.told_by(values, slide=slide)
                if told or (offset == 0 and (told := self._folded(values))):
                    return f"{told}, as an array of {np.dtype(name).name}"
        return None

    def _folded(self, values: NDArray[np.float64]) -> str | None:
        """A flat array with a few values for each test row, such as one for each class."""
        columns, rest = divmod(len(values), self._rows)
        if rest or not 1 < columns <= MOST_COLUMNS:
            return None
        told = (self._sequences.told_by(each) for each in values.reshape(self._rows, columns).T)
        return next(filter(None, told), None)

    def _array(self, array: NDArray[Any]) -> str | None:
        """An array whose shape is known: by its columns, and as the list that it may have been."""
        if array.dtype.names is not None:
            tables = tables_of({name: array[name].tolist() for name in array.dtype.names})
        elif array.dtype.kind in "SU":
            tables = tables_of(array.ravel().astype(str).tolist())
        elif array.ndim:
            values = (array.real if np.iscomplexobj(array) else array).astype(np.float64)
            shapes = [(len(values), -1), (-1, 1)] if values.size <= MOST_SLID else [(len(values), -1)]
            tables = (table_of(values.reshape(shape)) for shape in shapes)
        else:
            return None
        return next(filter(None, map(self._table, tables)), None)


def _npy(data: bytes) -> NDArray[Any] | None:
    """The array in a ``.npy``; None where it has objects, or is none."""
    try:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError:
        return None
    return array
