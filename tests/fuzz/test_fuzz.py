"""A short fuzz of every target, the same on every machine; ``docs/how-to/fuzz.md`` has the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.claims import check_claims
from tests.fuzz.corpus import FOLDER, SlowInputError, Stopwatch, seeds
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

EXECUTIONS = 2000
MAX_SECONDS_OF_A_BUSY_MACHINE = 5
CLAIMED = "outcome message hint file line best_epoch train_loss valid_loss seconds"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
TELLING = st.sampled_from(
    ["ok", "nan", "-inf", "1_0", "memory_limit", "contract_error", "\ud800", 10**400, -1]
)
FLAT = SCALARS | TELLING
VALUES = FLAT | st.lists(FLAT, max_size=2) | st.dictionaries(st.text(max_size=3), FLAT, max_size=2)
HEADERS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["epoch", "result"]),
        "fields": st.dictionaries(st.sampled_from(CLAIMED.split()), VALUES),
        "blobs": st.dictionaries(st.sampled_from(["payload", "log", "a"]), st.integers(0, 140)),
    }
)


@pytest.mark.parametrize("target", TARGETS)
def test_edited_seeds_break_nothing(target: str) -> None:
    """A few thousand random edits of the seeds are refused as documented, or accepted within the caps."""
    for data in mutated(seeds(target), TARGETS[target].tokens, EXECUTIONS, seed=20220225):
        try:
            with Stopwatch(factor=MAX_SECONDS_OF_A_BUSY_MACHINE):
                TARGETS[target].check(data)
        except Exception as error:
            error.add_note(f"the input: {data!r}")
            raise


@settings(max_examples=150, derandomize=True)
@given(headers=st.lists(HEADERS, max_size=6), ends=st.integers(0, 3))
def test_well_formed_claims_of_any_content_break_nothing(headers: list[dict[str, Any]], ends: int) -> None:
    """Claims that are messages indeed get as far as the verdict and the documents, whatever they hold."""
    lines = [json.dumps(header | {"blobs": list(header["blobs"].items())}) for header in headers]
    check_claims("\n".join([*lines, " " * ends]).encode())


def test_the_same_seed_gives_the_same_inputs() -> None:
    """A failure can be had again, and another seed looks elsewhere."""

    def inputs(seed: int) -> list[bytes]:
        return list(mutated([b"epochs = 5", b"[model]"], [b"nan"], 50, seed))

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


@pytest.mark.parametrize("planted", [b"\x80", b"nannan", b"5model", b"epepepep"])
def test_the_edits_reach_a_planted_fault(planted: bytes) -> None:
    """A byte, a token put in twice, a splice of two seeds and a repetition are all found."""
    found = mutated([b"epochs = 5", b"[model]", b"ep"], [b"nan"], 200_000, seed=1)
    assert any(planted in data for data in found)


def test_a_slow_input_is_a_finding() -> None:
    """Time is bounded too: an input that takes longer than it may raises."""
    with pytest.raises(SlowInputError, match="more than 0"), Stopwatch(factor=0):
        sum(range(100_000))


def test_the_command_runs_as_many_inputs_as_it_is_told(tmp_path: Path) -> None:
    """The driver fuzzes a target for a number of executions and says how many it did."""
    arguments = ["protocol", "--executions", "300", "--engine", "random", "--corpus", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", *arguments],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "protocol: 300 executions" in done.stdout
    assert not list(tmp_path.glob("crash-*"))
