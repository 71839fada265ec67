"""Ending containers and telling orphans, with a fake engine where a real one would hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, cast

import pytest
from docker.errors import APIError, NotFound

from harness.host.errors import SandboxError
from harness.host.records import Usage
from harness.host.sandbox.docker_end import (
    FOREIGN_SECONDS,
    MACHINE_LABEL,
    OWNER_LABEL,
    RUN_LABEL,
    end_container,
    is_orphan,
    owner_labels,
)
from harness.host.sandbox.docker_sandbox import usage_of_stats


class Answer:
    """An HTTP answer, as far as an `APIError` looks into it."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.url = "containers"
        self.reason = "as the test wants it"


class Engine:
    """Plays `DockerClient.api` with one container; each list says how the next calls go."""

    def __init__(self, kills: list[Exception | None], removals: list[Exception | None]) -> None:
        self._kills, self._removals = kills, removals
        self.api = self

    def kill(self, _container: str) -> None:
        """Answer as the test wants it."""
        _answer(self._kills)

    def remove_container(self, _container: str, *, force: bool, v: bool) -> None:
        """Answer as the test wants it; anonymous volumes must go too."""
        assert force
        assert v
        _answer(self._removals)


class HangingEngine(Engine):
    """Never answers a kill until the test lets it."""

    def __init__(self) -> None:
        super().__init__([], [NotFound("gone")])
        self.release = threading.Event()

    def kill(self, _container: str) -> None:
        """Wait for the test."""
        self.release.wait(10)


def _answer(answers: list[Exception | None]) -> None:
    answer = answers.pop(0)
    if answer is not None:
        raise answer


def conflict() -> APIError:
    """The engine's word for a container that is not in the state that was asked for."""
    return APIError("conflict", response=cast("Any", Answer(409)))


def test_running_container_is_killed_and_removed() -> None:
    """The ordinary end: a kill, and a removal that is repeated until the container is gone."""
    engine = Engine([None], [None, NotFound("gone")])
    end_container(cast("Any", engine), "c" * 64)
    assert engine._kills == engine._removals == []


@pytest.mark.parametrize(
    ("kills", "removals"),
    [
        pytest.param([NotFound("gone")], [], id="gone already"),
        pytest.param([conflict()], [None, NotFound("gone")], id="not running"),
        pytest.param([None], [conflict(), NotFound("gone")], id="being removed by another"),
    ],
)
def test_end_is_well_in_whatever_state(
    kills: list[Exception | None], removals: list[Exception | None]
) -> None:
    """A container that ended by itself or is being removed is no fault."""
    engine = Engine(kills, removals)
    end_container(cast("Any", engine), "c" * 64)
    assert removals == []


def test_engine_that_hangs_on_a_kill_is_reported_with_the_container() -> None:
    """A kill that does not come back is an error after its own deadline, and names the container."""
    engine = HangingEngine()
    with pytest.raises(SandboxError, match="c" * 64) as raised:
        end_container(cast("Any", engine), "c" * 64, seconds=0.1)
    engine.release.set()
    assert "docker rm --force" in raised.value.fix


def test_engine_that_refuses_is_reported() -> None:
    """Any other refusal is a fault of the machine."""
    engine = Engine([APIError("broken", response=cast("Any", Answer(500)))], [])
    with pytest.raises(SandboxError, match="would not end"):
        end_container(cast("Any", engine), "c" * 64)


def test_container_of_a_living_harness_is_no_orphan() -> None:
    """What this process made is in use, however old it is."""
    labels = owner_labels("run")
    assert labels[RUN_LABEL] == "run"
    assert not is_orphan(labels, 10 * FOREIGN_SECONDS)


def test_container_of_a_harness_that_is_gone_is_an_orphan() -> None:
    """The process that made it has ended, so nobody will end it."""
    code = "import json, harness.host.sandbox.docker_end as d; print(json.dumps(d.owner_labels('run')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    labels = json.loads(done.stdout)
    assert labels[MACHINE_LABEL] == owner_labels("run")[MACHINE_LABEL]
    assert is_orphan(labels, 0)


def test_process_id_that_is_used_again_does_not_save_a_container() -> None:
    """A process is named by its start too."""
    labels = owner_labels("run") | {OWNER_LABEL: f"{os.getpid()}-1"}
    assert is_orphan(labels, 0)


@pytest.mark.parametrize(
    "changes",
    [{MACHINE_LABEL: "another"}, {OWNER_LABEL: ""}, {OWNER_LABEL: f"{os.getpid()}-0"}],
    ids=["another machine", "no owner", "a system that does not tell starts"],
)
def test_container_whose_harness_cannot_be_seen_is_left_for_a_day(changes: dict[str, str]) -> None:
    """Somebody else's run is not ended; what is older than any run is."""
    labels = owner_labels("run") | changes
    assert not is_orphan(labels, FOREIGN_SECONDS - 1)
    assert is_orphan(labels, FOREIGN_SECONDS + 1)


@pytest.mark.parametrize(
    ("stats", "last", "killed", "expected"),
    [
        pytest.param(
            {
                "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
                "memory_stats": {"max_usage": 7, "usage": 3},
            },
            Usage(),
            False,
            Usage(cpu_seconds=2.5, peak_memory_bytes=7),
            id="version 1",
        ),
        pytest.param(
            {"cpu_stats": {"cpu_usage": {"total_usage": 1}}, "memory_stats": {"usage": 3}},
            Usage(peak_memory_bytes=5, processes_refused=2),
            True,
            Usage(cpu_seconds=1e-9, peak_memory_bytes=5, out_of_memory=1, processes_refused=2),
            id="version 2",
        ),
        pytest.param({}, Usage(cpu_seconds=1.0), True, Usage(cpu_seconds=1.0, out_of_memory=1), id="ended"),
        pytest.param({}, Usage(out_of_memory=3), True, Usage(out_of_memory=3), id="counted already"),
    ],
)
def test_usage_is_read_from_the_engines_counters(
    stats: dict[str, Any], last: Usage, *, killed: bool, expected: Usage
) -> None:
    """What the engine says replaces what was known, and what it does not say stays."""
    assert usage_of_stats(stats, last, out_of_memory=killed) == expected
