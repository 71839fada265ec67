"""Reads an assignment's hidden reference: the answers for the test rows, and the key that splits them.

Neither ever appears in a message, a repr or a sandbox.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.host.cache import Latest
from harness.host.data import as_targets
from harness.host.errors import UsageError
from harness.host.schema_errors import quoted
from harness.host.table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.host.assignment import Assignment

FILE_NAME = "reference.toml"
HINT = 'it needs answers = "answers.csv" and split_key = "<64 hexadecimal digits>", and nothing else'


class _ReferenceFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    answers: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
    split_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Reference:
    """The answers, in the order of their own file.

    Attributes:
        ids: (M,) ids of the test rows, as they are written.
        answers: (M,) of the task's type: float64, or int64 class numbers.
        split_key: 32 secret bytes that decide which rows are public.
    """

    ids: NDArray[np.str_]
    answers: NDArray[Any]
    split_key: bytes

    def __repr__(self) -> str:
        return f"<Reference of {len(self.ids)} rows>"

    def answers_for(self, test_ids: NDArray[np.str_]) -> NDArray[Any]:
        """The answers in the order of `test_ids`.

        Raises:
            UsageError: the two do not name the same rows.
        """
        order = np.argsort(self.ids)
        if len(test_ids) == len(self.ids):
            places = order[np.minimum(np.searchsorted(self.ids[order], test_ids), len(order) - 1)]
            if np.array_equal(self.ids[places], test_ids):
                return self.answers[places]
        raise UsageError(
            f"the reference's {len(self.ids)} rows are not the {len(test_ids)} rows of the test file",
            "make the assignment's data and its reference anew, together, with its build.py",
        )


_latest: Latest[Reference] = Latest()


def load_reference(folder: Path, assignment: Assignment) -> Reference | None:
    """Read ``reference.toml`` and the answers in `folder`.

    Returns:
        None where there is no such folder: a student's copy.

    Raises:
        UsageError: the folder is there, but something in it is missing or unsound.
    """
    if not folder.is_dir():
        return None
    path = folder / FILE_NAME
    checked = _read(path)
    answers = folder / checked.answers
    return _latest.of((assignment, checked), [answers], lambda: _load(answers, checked, assignment))


def _read(path: Path) -> _ReferenceFile:
    try:
        return _ReferenceFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", HINT) from None
    except ValidationError as error:
        keys = ", ".join(sorted({quoted(".".join(map(str, item["loc"]))) for item in error.errors()}))
        raise UsageError(f"{path}: missing, unknown or not of its form: {keys}", HINT) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({type(error).__name__})", HINT) from None


def _load(answers: Path, checked: _ReferenceFile, assignment: Assignment) -> Reference:
    table = read_table(answers, assignment.data.id, secret=True)
    if table.columns != (assignment.data.target,):
        raise UsageError(
            f"{answers}: its columns must be {assignment.data.id} and {assignment.data.target}",
            "make it anew with the assignment's build.py",
        )
    exact = as_targets(table, assignment, assignment.kind.answer_dtype)
    exact.flags.writeable = table.ids.flags.writeable = False  # gradings share it
    return Reference(table.ids, exact, bytes.fromhex(checked.split_key))
