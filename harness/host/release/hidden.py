"""What a kit must not tell: the answers, which rows are public, the key, and the reference's own files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.host.association import Facet, as_groups, facets
from harness.host.errors import UsageError
from harness.host.reference import FILE_NAME as REFERENCE_FILE
from harness.host.reference import load_reference
from harness.host.release.spelling import number_of
from harness.host.scoring import public_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment
    from harness.host.data import Data

LARGEST_FILE = 64 << 20  # weights of a solution, say, are no text to be found again
CACHES = frozenset({"__pycache__"})


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Secret:
    """One value for each test row that nobody may know.

    Attributes:
        name: for messages, such as "the answers".
        values: (M,) float64, in the order of the test file.
        named: whether they are classes, whose order means nothing.
        facets: how they are compared with other columns.
    """

    name: str
    values: NDArray[np.float64]
    named: bool
    facets: list[Facet]


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Hidden:
    """Everything that a kit is searched for.

    Attributes:
        ids: (M,) of the test rows, as they are written, in the order of the test file.
        answers: what is to be predicted.
        split: which of the rows are public.
        key: the 32 bytes that decide that.
        files: name inside the reference's folder, to content.
        answers_file: which of them has the answers.
        orders: for each order in which somebody may have written the rows down, its name and their
            positions (M,) in the test file.
        inputs: (M, F) the features that are handed out of them.
    """

    ids: NDArray[np.str_]
    answers: Secret
    split: Secret
    key: bytes
    files: Mapping[str, bytes]
    answers_file: str
    orders: tuple[tuple[str, NDArray[np.intp]], ...]
    inputs: NDArray[np.float32]

    def handed_out(self, values: NDArray[np.float64], places: NDArray[np.int64] | None = None) -> bool:
        """Whether values (N,) are a feature of the test rows at `places` (N,), or of all of them in order.

        Features may tell what they do; `order` looks at those.
        """
        inputs = self.inputs if places is None else self.inputs[places]
        with np.errstate(over="ignore"):
            return bool((inputs == values.astype(np.float32)[:, None]).all(axis=0).any())

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What there is of each test row, but for what is the same for all of them."""
        return tuple(secret for secret in (self.answers, self.split) if secret.facets)


def read_hidden(assignment: Assignment, data: Data, folder: Path) -> Hidden:
    """Read the reference of an assignment.

    Args:
        assignment: the assignment.
        data: its rows.
        folder: of the hidden answers.

    Raises:
        UsageError: it is not there, so that nobody could tell what must not be handed out; or it is unsound.
    """
    reference = load_reference(folder, assignment)
    if reference is None:
        raise UsageError(
            f"there is no reference of {assignment.id} in {folder}, which says what a kit must not tell",
            "name its folder: --reference DIR",
        )
    answers = reference.answers_for(data.test_ids).astype(np.float64)
    public = public_rows(data.test_ids, reference.split_key, assignment.split.public_share)
    files = _files(folder)
    split = as_groups(public)
    return Hidden(
        ids=data.test_ids,
        answers=Secret("the answers", answers, assignment.kind.has_classes, _facets(answers, assignment)),
        split=Secret(
            "which rows are public", public.astype(np.float64), named=True, facets=[split] if split else []
        ),
        key=reference.split_key,
        files=files,
        answers_file=str(tomllib.loads(files[REFERENCE_FILE].decode())["answers"]),
        orders=_orders(data.test_ids, reference.ids),
        inputs=data.test_inputs,
    )


def _facets(answers: NDArray[np.float64], assignment: Assignment) -> list[Facet]:
    return facets(answers, named=assignment.kind.has_classes)


def _files(folder: Path) -> dict[str, bytes]:
    """Everything in the reference's folder but caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size <= LARGEST_FILE and not CACHES & set(path.parts)
    }


def _orders(
    test_ids: NDArray[np.str_], answer_ids: NDArray[np.str_]
) -> tuple[tuple[str, NDArray[np.intp]], ...]:
    """In the order of both files and of the ids, as text and as numbers; each order once."""
    places = {identity: place for place, identity in enumerate(test_ids.tolist())}
    numbers = np.array([number_of(identity) for identity in test_ids.tolist()])
    found = {
        "the test file": np.arange(len(test_ids)),
        "the answers' file": np.array([places[identity] for identity in answer_ids.tolist()]),
        "the ids": np.argsort(numbers, kind="stable"),
        "the ids as text": np.argsort(test_ids, kind="stable"),
    }
    different: dict[bytes, tuple[str, NDArray[np.intp]]] = {}
    for name, order in found.items():
        different.setdefault(order.tobytes(), (name, order))
    return tuple(different.values())
