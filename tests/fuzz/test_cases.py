"""Inputs that once broke a parser, and the ones that fuzzing begins with, stay harmless."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import FOLDER, Stopwatch, cases, seeds
from tests.fuzz.targets import TARGETS

CASES = [(target, name) for target in TARGETS for name in cases(target)]


@pytest.mark.parametrize(("target", "name"), CASES, ids=lambda value: value)
def test_a_case_stays_fixed(target: str, name: str) -> None:
    """An input that a fault was found with is refused as documented, in bounded time."""
    with Stopwatch():
        TARGETS[target].check(cases(target)[name])


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_keep_the_promises(target: str) -> None:
    """Every target has inputs to begin with, and none of them breaks it."""
    assert seeds(target)
    for data in seeds(target):
        with Stopwatch():
            TARGETS[target].check(data)


def test_every_folder_of_inputs_belongs_to_a_target() -> None:
    """No case is left out because its folder is misspelt."""
    folders = {path.name for kind in ("cases", "seeds") for path in (FOLDER / kind).iterdir()}
    assert folders == set(TARGETS)
    assert {target for target, _ in CASES} >= {"protocol", "claims", "zip"}
