"""Each reference solution of hw1-bikes earns exactly the points of its tier, in both sandboxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


ROOT = Path(__file__).parents[2]
TIERS = ("simple", "medium", "strong", "boss")
COMMON_POINTS, TIER_POINTS = 6.0, 1.0


@pytest.mark.parametrize(
    "sandbox",
    [
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
@pytest.mark.parametrize("tier", TIERS)
def test_a_solution_earns_its_tier(grade: Callable[..., Any], tier: str, sandbox: str) -> None:
    """It beats its own threshold and all easier ones on both splits, and no harder one on either."""
    done = grade(ROOT / "reference/hw1-bikes/solutions" / tier, "--sandbox", sandbox)

    assert done.status == 0, done.errors
    reached = TIERS.index(tier) + 1
    assert done.report["points"] == COMMON_POINTS + reached * TIER_POINTS
    assert done.report["max_points"] == 10.0
    beaten = {
        check["name"]
        for check in done.report["checks"]
        if check["name"].startswith("beats_") and check["outcome"] == "passed"
    }
    assert beaten == {f"beats_{name}[{split}]" for name in TIERS[:reached] for split in ("public", "private")}


@pytest.mark.bubblewrap
@pytest.mark.parametrize(("example", "points"), [("medium", 8.0), ("simple-with-own-dataset", 7.0)])
def test_the_examples_earn_what_the_readme_says(
    grade: Callable[..., Any], example: str, points: float
) -> None:
    """What a newcomer tries first works."""
    done = grade(ROOT / "examples/hw1-bikes" / example, "--sandbox", "bubblewrap")

    assert done.report["points"] == points, done.errors
