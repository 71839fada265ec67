"""What a test does whose sandbox does not work here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROMISE = f"{TESTS / 'test_conformance_stream.py'}::test_what_is_sent_comes_back[docker]"


def outcome_of(tests: str, **environment: str) -> str:
    """Run tests of ours with an engine that is not there, and return what pytest said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", tests],
        cwd=TESTS.parents[1],
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.stdout


def test_sandbox_that_does_not_work_is_skipped_with_the_reason() -> None:
    """A machine without an engine tests the rest, and says what it did not test and why."""
    said = outcome_of(PROMISE, HARNESS_REQUIRE="")
    assert "1 skipped" in said
    assert "docker does not work here: no Docker engine answers" in said
    assert "docker: 0 ran, 1 skipped" in said


@pytest.mark.parametrize("required", ["docker", "bubblewrap,docker"])
def test_sandbox_that_is_required_fails_instead(required: str) -> None:
    """A machine that is meant to test a backend cannot pass without it."""
    said = outcome_of(PROMISE, HARNESS_REQUIRE=required)
    assert "1 error" in said
    assert "docker does not work here: no Docker engine answers" in said
