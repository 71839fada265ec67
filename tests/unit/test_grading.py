"""A grading session: which runtime it asks the Docker engine for, and the cores that it holds meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.host import grading
from harness.host.assignment import load_assignment
from harness.host.backends import Choice
from harness.host.cores import Cores
from harness.host.grading import Grading
from harness.host.report.live import SilentProgress
from tests.fake_backend import FakeBackend
from tests.toy_guests import COURSE, GALLERY, Cast

if TYPE_CHECKING:
    from pathlib import Path


class Chooser:
    """Plays `choose` with a fake backend, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.backend = FakeBackend(Cast())
        self.runtimes: list[str | None] = []

    def __call__(self, _sandbox: str, _device: str, _note: object, runtime: str | None) -> Choice:
        """Note the runtime."""
        self.runtimes.append(runtime)
        return Choice(self.backend, "a test asked for it", "cpu")


@pytest.fixture
def chooser(monkeypatch: pytest.MonkeyPatch) -> Chooser:
    """What the session asks for its sandbox."""
    played = Chooser()
    monkeypatch.setattr(grading, "choose", played)
    return played


def session(sandbox: str = "docker", reference: str = "toy", runtime: str | None = None) -> Grading:
    """The gallery's small assignment, as a course has it that grades with gVisor."""
    assignment = load_assignment(COURSE / "assignments" / "toy")
    return Grading(
        assignment.model_copy(update={"docker_runtime": "runsc"}),
        GALLERY / "honest-good" / "submission",
        COURSE / "reference" / reference,
        sandbox,
        "cpu",
        SilentProgress(),
        runtime=runtime,
    )


@pytest.mark.parametrize(
    ("of_session", "asked"),
    [
        (session(), "runsc"),
        (session("auto"), "runsc"),
        (session("bubblewrap"), None),
        (session(runtime="runc"), "runc"),
        (session(reference="nothing"), None),
    ],
    ids=["docker", "auto", "another sandbox", "another runtime", "a student's copy"],
)
def test_runtime_of_the_assignment(
    chooser: Chooser, tmp_path: Path, of_session: Grading, asked: str | None
) -> None:
    """A course grades with its own; a command that names another, and a student's check, do without."""
    of_session.cores = Cores(pytest.fail, tmp_path)
    of_session.execute()
    assert chooser.runtimes == [asked]


def test_cores_are_held_for_the_run_alone(chooser: Chooser, tmp_path: Path) -> None:
    """Its sandboxes run on the cores that are reserved, and nobody waits for them afterwards."""
    with Cores(pytest.fail, tmp_path) as mine, Cores(pytest.fail, tmp_path) as other:
        early = mine.reserve(1)
        graded = session()
        graded.cores = mine
        graded.execute()
        assert [spec.cores for spec in chooser.backend.asked] == [early] * 3
        assert other.reserve(64)
