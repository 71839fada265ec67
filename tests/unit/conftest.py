"""Sample runs for the tests of what people are shown, and new assignments for those of a look at them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.records import (
    Baseline,
    Check,
    Environment,
    EpochClaim,
    Interval,
    Place,
    Report,
    Run,
    Runtime,
    Score,
)
from harness.host.scaffold.assignment import new_assignment
from harness.host.store.place import Place as StorePlace
from harness.host.store.store import Store
from harness.protocol import Outcome, Phase
from tests.made import TARGETS, Made, copied

if TYPE_CHECKING:
    from pathlib import Path

ReportBuilder = Callable[..., Report]

EPOCHS = 40
BEST_EPOCH = 31
RUN = Run(
    run_id="20250301-f3a1",
    outcome=Outcome.OK,
    phase=None,
    message="",
    hint="",
    place=None,
    epochs=tuple(
        EpochClaim(
            epoch=epoch,
            train_loss=3 * math.exp(-epoch / 8) + 0.2,
            valid_loss=3 * math.exp(-epoch / 8) + 0.3 + abs(epoch - BEST_EPOCH) / 200,
            seconds=0.1,
        )
        for epoch in range(1, EPOCHS + 1)
    ),
    best_epoch=BEST_EPOCH,
    predictions=None,
    score=Score(
        metric="rmse",
        direction="min",
        validation=Interval(0.612345, (0.58, 0.64), 486),
        public=Interval(0.623456, (0.60, 0.65), 600),
        private=Interval(0.634567, (0.59, 0.68), 643),
        test_loss=0.401234,
        chance=1.012345,
    ),
    baselines=(
        Baseline("simple", 0.9, public=True, private=True),
        Baseline("medium", 0.7, public=True, private=True),
        Baseline("strong", 0.5, public=False, private=False),
        Baseline("boss", 0.35, public=False, private=False),
    ),
    runtime=Runtime(
        train_seconds=12.3,
        predict_seconds=0.43,
        total_seconds=15.1,
        cpu_seconds=11.9,
        peak_memory_bytes=536870912,
    ),
    environment=Environment(
        sandbox="bubblewrap",
        isolated=True,
        device="cpu",
        reason="no Docker engine answers; memory and processes are limited by watching from the host",
        device_name="16-core processor",
        torch="2.13.0",
        python="3.11.2",
        image="sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ),
    log="",
)
REPORT = Report(
    assignment="hw1-bikes",
    title="Homework 1: how many bikes will be rented?",
    submission_name="alice",
    submission_sha256="ab" * 32,
    run=RUN,
    checks=(
        Check("beats_simple[public]", "passed", 0.5, 0.5),
        Check("beats_simple[private]", "passed", 0.5, 0.5, private=True),
        Check("beats_strong[public]", "failed", 0.0, 1.5, "rmse 0.6235 is over the threshold 0.5000"),
        Check(
            "beats_strong[private]",
            "failed",
            0.0,
            1.5,
            "rmse 0.6346 is over the threshold",
            private=True,
        ),
        Check("trains_in_time", "passed", 1.0, 1.0),
        Check("uses_the_gpu", "skipped", 0.0, 0.0, "there is no GPU on this machine"),
    ),
    seconds_limit=300.0,
)
FAILURE: dict[str, Any] = {
    "outcome": Outcome.CONTRACT_ERROR,
    "phase": Phase.TRAIN,
    "message": "MyModel returned a tensor of shape (16, 2) for a batch of 16 rows; (16, 1) is needed.",
    "hint": "Give the last layer one output: nn.Linear(hidden, 1).",
    "place": Place("model.py", 12),
    "log": "starting\nepoch 1\n" + "\n".join(f"line {number}" for number in range(30)),
}


def build(run: dict[str, Any] | None = None, **changes: Any) -> Report:
    """The sample report with fields of its run and of itself changed."""
    return dataclasses.replace(REPORT, run=dataclasses.replace(RUN, **(run or {})), **changes)


@pytest.fixture
def report_with() -> ReportBuilder:
    """Builds the sample report; ``report_with({"outcome": ...}, title=...)`` changes run and report."""
    return build


@pytest.fixture
def failed_report() -> Report:
    """The sample report of a run that ended in the training."""
    return build({**FAILURE, "score": Score("rmse", "min"), "baselines": (), "epochs": RUN.epochs[:1]})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """Where a store can be made, in each kind of database that there is."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'runs.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url").render_as_string(hide_password=False)
    return StorePlace(url, tmp_path / "artifacts")


@pytest.fixture
def store(place: StorePlace) -> Store:
    """An empty store, in each kind of database that there is."""
    return Store(place)


@pytest.fixture(scope="session")
def courses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new assignment of each task."""
    course = tmp_path_factory.mktemp("course")
    for task in TARGETS:
        new_assignment(course, task, task)
    return course


@pytest.fixture
def numbers(courses: Path, tmp_path: Path) -> Made:
    """A sound assignment of regression."""
    return copied(courses, tmp_path / "numbers", "regression")


@pytest.fixture
def classes(courses: Path, tmp_path: Path) -> Made:
    """A sound assignment of classification."""
    return copied(courses, tmp_path / "classes", "classification")
