"""Medians, ratios and bars of the whole processes, from the samples of a race."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bars import WALL, beside
from contestants import LIGHTNING, OTTER, PLAIN
from timings import Timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contestants import Losses, Sample

PARTS = ("train_seconds", "predict_seconds", "rest_seconds")
CLOSE = 1e-4  # relative; Lightning sums in float32
EQUAL, ALIKE, DIFFERENT = "equal", "close", "DIFFER"
MAY_BE_CLOSE = frozenset({LIGHTNING, OTTER})  # the others must be equal, to the last bit


def summarise(samples: Mapping[str, Sequence[Sample]]) -> list[dict[str, Any]]:
    """Wall time, its ratio to the plain script, its bar, and the parts of each contestant."""
    walls = {name: Timing(tuple(one.wall_seconds for one in each)) for name, each in samples.items()}
    expected = samples[PLAIN][0].losses if PLAIN in samples else None
    rows = []
    for name, each in samples.items():
        ratio = walls[name].ratio_to(walls[PLAIN]) if PLAIN in walls else None
        rows.append(
            {
                "name": name,
                "wall_seconds": walls[name].as_json(),
                "ratio_to_plain": ratio,
                **beside(ratio, WALL.get(name)),
                **{part: Timing(tuple(getattr(one, part) for one in each)).as_json() for part in PARTS},
                "epochs": len(each[0].losses[0]),
                "losses": None if expected is None else agreement([one.losses for one in each], expected),
            }
        )
    return rows


def agreement(found: Sequence[Losses], expected: Losses) -> str:
    """Whether all of a contestant's losses are the plain script's: equal, close, or neither."""
    if all(losses == expected for losses in found):
        return EQUAL
    return ALIKE if all(_are_close(losses, expected) for losses in found) else DIFFERENT


def did_other_work(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The contestants whose losses are not what they have to be."""
    allowed = {EQUAL, None}
    return [
        row["name"]
        for row in rows
        if row["losses"] not in allowed | ({ALIKE} if row["name"] in MAY_BE_CLOSE else set())
    ]


def _are_close(found: Losses, expected: Losses) -> bool:
    return all(
        len(mine) == len(theirs)
        and all(math.isclose(one, other, rel_tol=CLOSE) for one, other in zip(mine, theirs, strict=True))
        for mine, theirs in zip(found, expected, strict=True)
    )
