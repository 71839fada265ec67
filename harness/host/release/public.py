"""The public part of ``assignment.toml``: what a copy without the answers needs, written anew key by key.

What an instructor wrote beside the keys, comments above all, does not get into it.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import tomli_w

from harness.host.assignment import AssignmentFile

if TYPE_CHECKING:
    from harness.host.assignment import Assignment

# Not named: split, which the kit cannot make; docker_runtime, which only the course's machines have.
KEYS = (
    *("id", "title", "task", "deadline", "attempts_per_day", "data", "metric", "loss", "limits", "points"),
    *("tiers", "ranges", "late"),
)
HEAD = """\
# Made from the course's own file. In a copy without the answers, a tier is reached on your validation rows,
# and gives the points of both halves of the test rows, so they stand here together.

"""


def public_toml(assignment: Assignment) -> str:
    """The file for students; read as an assignment, it grades validation rows as the course's own does."""
    keys = AssignmentFile.model_validate({key: getattr(assignment, key) for key in KEYS}).model_dump(
        mode="python", exclude_none=True, include=set(KEYS)
    )
    for tier in keys["tiers"]:
        tier["public_points"] += tier["private_points"]
        tier["private_points"] = 0.0
    text = HEAD + tomli_w.dumps({key: keys[key] for key in KEYS if keys.get(key)})
    AssignmentFile.model_validate(tomllib.loads(text))  # which would be a fault of this module
    return text
