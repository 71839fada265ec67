"""What students are called on a board: by their names, or by aliases that tell nothing and stay the same."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

import pandas as pd

from harness.host.roster import same

if TYPE_CHECKING:
    from harness.host.roster import Roster

_CHARACTERS = 8  # 40 bits: two of 10,000 students share one in 1 of 20,000 classes


def alias(student: str, key: bytes) -> str:
    """The same for the same student and key, and of no use without the key.

    Args:
        student: as the course names them.
        key: secret.

    Returns:
        ``anon-`` and the first 40 bits of HMAC-SHA256(key, student) in base 32.
    """
    digest = hmac.digest(key, b"alias:" + student.encode("utf-8", "backslashreplace"), hashlib.sha256)
    return f"anon-{base64.b32encode(digest[:5]).decode().lower()[:_CHARACTERS]}"


def with_names(board: pd.DataFrame, roster: Roster | None, key: bytes | None) -> pd.DataFrame:
    """The board with ``group`` from the roster, and with aliases for names where there is a key.

    Args:
        board: with the students' names in ``name``.
        roster: says groups, and the aliases that students chose; None: there are none. Students are found on
            it however their names are spelled, as everywhere.
        key: of aliases; None: names stay.
    """
    listed = roster.students() if roster is not None else {}
    by_name = {same(student): entry for student, entry in listed.items()}
    known = [by_name.get(same(student)) for student in board["name"]] if by_name else [None] * len(board)
    groups = [entry.group if entry is not None else "" for entry in known]
    board = board.assign(group=pd.Series(groups, index=board.index, dtype="object"))
    if key is None:
        return board
    names = [
        entry.alias if entry is not None and entry.alias else alias(student, key)
        for student, entry in zip(board["name"], known, strict=True)
    ]
    return board.assign(name=pd.Series(names, index=board.index, dtype="object"))
