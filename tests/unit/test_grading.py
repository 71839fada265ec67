"""A grading session: which runtime it asks the Docker engine for, and the cores that it holds meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.host import machine
from harness.host.assignment import load_assignment
from harness.host.backends import Choice
from harness.host.cores import Cores
from harness.host.grading import Grading
from harness.host.machine import Machine
from harness.host.report.live import SilentProgress
from tests.fake_backend import FakeBackend
from tests.toy_guests import COURSE, GALLERY, Cast

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    monkeypatch.setattr(machine, "choose", played)
    return played


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose cores nobody else has."""
    with Machine(pytest.fail) as machine_kept:
        machine_kept.cores = Cores(pytest.fail, tmp_path)
        yield machine_kept


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
    chooser: Chooser, kept: Machine, of_session: Grading, asked: str | None
) -> None:
    """A course grades with its own; a command that names another, and a student's check, do without."""
    of_session.machine = kept
    of_session.execute()
    assert chooser.runtimes == [asked]


def test_cores_are_held_for_the_run_alone(chooser: Chooser, kept: Machine, tmp_path: Path) -> None:
    """Its sandboxes run on the cores that are reserved, and nobody waits for them afterwards."""
    early = kept.cores.reserve(1)
    graded = session()
    graded.machine = kept
    graded.execute()
    assert [spec.cores for spec in chooser.backend.asked] == [early] * 3
    with Cores(pytest.fail, tmp_path) as other:
        assert other.reserve(64)


def test_backend_is_kept_from_one_session_to_the_next(chooser: Chooser, kept: Machine) -> None:
    """What it keeps warm serves the next one too, and is ended with the machine's context."""
    for sandbox in ("docker", "docker", "bubblewrap"):
        graded = session(sandbox)
        graded.machine = kept
        graded.execute()
        assert chooser.backend.closings == 0
    assert chooser.runtimes == ["runsc", None]
    kept.close()
    assert chooser.backend.closings == 2
    kept.close()
    assert chooser.backend.closings == 2


def test_session_of_its_own_keeps_nothing(
    chooser: Chooser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `pytest assignments/ID --submission DIR` has it: what it opened is ended with the run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    session().execute()
    assert chooser.backend.closings == 1
