"""Each reference solution earns exactly the points of its tier, in both sandboxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


ROOT = Path(__file__).parents[2]
TIERS = ("simple", "medium", "strong", "boss")
COMMON_POINTS, TIER_POINTS = 6.0, 1.0


def check_that_it_earns_its_tier(grade: Callable[..., Any], assignment: str, tier: str, sandbox: str) -> None:
    """It beats its own threshold and all easier ones on both splits, and no harder one on either."""
    done = grade(ROOT / "reference" / assignment / "solutions" / tier, "--sandbox", sandbox)

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


@pytest.mark.parametrize(
    "sandbox",
    [
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
@pytest.mark.parametrize("tier", TIERS)
def test_a_solution_of_the_bikes_earns_its_tier(grade: Callable[..., Any], tier: str, sandbox: str) -> None:
    """Regression."""
    check_that_it_earns_its_tier(grade, "hw1-bikes", tier, sandbox)


@pytest.mark.parametrize(
    ("tier", "sandbox"),
    [
        *(pytest.param(tier, "bubblewrap", marks=pytest.mark.bubblewrap) for tier in TIERS),
        # the linear model and the largest network are what could differ between sandboxes; each costs seconds
        *(pytest.param(tier, "docker", marks=pytest.mark.docker) for tier in ("simple", "boss")),
    ],
)
def test_a_solution_of_the_digits_earns_its_tier(grade: Callable[..., Any], tier: str, sandbox: str) -> None:
    """Classification."""
    check_that_it_earns_its_tier(grade, "hw2-digits", tier, sandbox)


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("example", "points"),
    [
        ("hw1-bikes/medium", 8.0),
        ("hw1-bikes/simple-with-own-dataset", 7.0),
        ("hw2-digits/cnn-with-own-dataset", 8.0),
    ],
)
def test_the_examples_earn_what_they_should(grade: Callable[..., Any], example: str, points: float) -> None:
    """What a newcomer tries first works."""
    done = grade(ROOT / "examples" / example, "--sandbox", "bubblewrap")

    assert done.report["points"] == points, done.errors


@pytest.mark.bubblewrap
@pytest.mark.parametrize("assignment", ["hw1-bikes", "hw2-digits"])
def test_the_starters_run_and_earn_no_tier(grade: Callable[..., Any], assignment: str) -> None:
    """They are something to begin with, not something to hand in."""
    done = grade(ROOT / "assignments" / assignment / "starter", "--sandbox", "bubblewrap")

    assert done.report["outcome"] == "ok", done.errors
    assert done.report["points"] == COMMON_POINTS
