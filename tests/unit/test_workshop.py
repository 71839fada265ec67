"""A worker's part: it does what it is sent, tells whose fault it is, and leaves when it is told to."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.host.cluster.workshop import Workshop
from harness.host.config import parse_config
from harness.host.cores import Cores, usable_cores
from harness.host.errors import SandboxError
from harness.host.grade import read
from harness.host.parcel import (
    Answer,
    Fault,
    Parcel,
    Stopped,
    digest_of,
    pack_rows,
    pack_work,
    unpack_answer,
)
from harness.host.phases import prepare
from harness.host.records import Place
from harness.protocol import Message, Outcome
from tests.fake_backend import FakeBackend
from tests.toy_cluster import ToyMachine
from tests.toy_guests import EPOCHS, Cast, fail, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.scripted_guest import Wire
    from tests.toy_guests import Play

SECONDS = 20.0


def parcels() -> tuple[bytes, bytes]:
    """The toy's rows and an honest submission's work."""
    wanted = order()
    submission = read(wanted)
    config = parse_config(submission.config, wanted.assignment)
    material = prepare(wanted.assignment, submission, config, wanted.reference, wanted.device)
    rows = pack_rows(material.rows)
    return rows, pack_work(Parcel("run1", "auto", "cpu", None, digest_of(rows), material.plan))


ROWS, WORK = parcels()


@pytest.fixture
def workshop_of(tmp_path: Path) -> Callable[[FakeBackend], Workshop]:
    """``workshop_of(backend)`` has the toy's rows already."""

    def make(backend: FakeBackend) -> Workshop:
        workshop = Workshop(ToyMachine(backend, tmp_path))
        workshop.deliver(digest_of(ROWS), ROWS)
        return workshop

    return make


def nothing() -> None:
    """Nobody listens."""


def nothing_said(_: str) -> None:
    """Nobody reads."""


def test_work_is_done_and_nothing_of_it_is_left(workshop_of: Callable[[FakeBackend], Workshop]) -> None:
    """Three sandboxes, with the limits of the assignment and the cores that this machine gave."""
    backend = FakeBackend(Cast())
    workshop = workshop_of(backend)
    answer = unpack_answer(workshop.do(WORK, nothing))

    assert isinstance(answer, Answer)
    assert [result.outcome for result in answer.execution.results] == [Outcome.OK, Outcome.OK]
    assert answer.execution.again is not None
    assert len(backend.opened) == 3
    assert all(sandbox.killed for sandbox in backend.opened)
    limits = order().assignment.limits
    for spec in backend.asked:
        assert spec.memory_bytes == limits.memory_mb << 20
        assert spec.run_id == "run1"
        assert len(spec.cores) == 1
    assert answer.where.sandbox == "fake"
    workshop.close()


def test_what_is_warm_is_kept_until_the_end(workshop_of: Callable[[FakeBackend], Workshop]) -> None:
    """The backend serves one submission after the other, and is closed with the workshop, once."""
    backend = FakeBackend(Cast())
    workshop = workshop_of(backend)
    for _ in range(3):
        assert isinstance(unpack_answer(workshop.do(WORK, nothing)), Answer)
    assert backend.closings == 0
    for _ in range(2):
        workshop.close()
    assert backend.closings == 1


def test_rows_that_did_not_come_are_a_fault(tmp_path: Path) -> None:
    """Nobody is judged on no data, and the first sandbox is ended."""
    backend = FakeBackend(Cast())
    answer = unpack_answer(Workshop(ToyMachine(backend, tmp_path)).do(WORK, nothing))
    assert isinstance(answer, Fault)
    assert "rows have not come" in answer.message
    assert all(sandbox.killed for sandbox in backend.opened)


def test_machine_that_cannot_grade_says_so(workshop_of: Callable[[FakeBackend], Workshop]) -> None:
    """With its own words and its remedy, and grades the next one if it can."""
    backend = FakeBackend(Cast(), failures={0: SandboxError("no room", "make room")})
    workshop = workshop_of(backend)
    assert unpack_answer(workshop.do(WORK, nothing)) == Fault("no room", "make room")
    assert isinstance(unpack_answer(workshop.do(WORK, nothing)), Answer)


def test_worker_that_breaks_is_no_verdict(workshop_of: Callable[[FakeBackend], Workshop]) -> None:
    """An error of our own is a fault, and its traceback stays in the worker's log."""
    workshop = workshop_of(FakeBackend(Cast(), failures={0: ZeroDivisionError("ours")}))
    answer = unpack_answer(workshop.do(WORK, nothing))
    assert isinstance(answer, Fault)
    assert answer.message == "the worker broke: ZeroDivisionError: ours"


def test_bytes_that_are_no_work_are_a_fault(workshop_of: Callable[[FakeBackend], Workshop]) -> None:
    """They may come from another edition."""
    answer = unpack_answer(workshop_of(FakeBackend(Cast())).do(b"no work", nothing))
    assert isinstance(answer, Fault)
    assert "a parcel cannot be read" in answer.message


class Held:
    """A training that goes on until somebody ends its sandbox."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self, wire: Wire, _: Message) -> None:
        """Report an epoch, and wait for what nobody says."""
        wire.say(EPOCHS[0])
        self.begun.set()
        wire.hear()


@contextmanager
def working(workshop: Workshop) -> Iterator[list[Answer | Fault | Stopped]]:
    """While it works in a thread of its own; afterwards its answer is there."""
    answers: list[Answer | Fault | Stopped] = []
    thread = threading.Thread(target=lambda: answers.append(unpack_answer(workshop.do(WORK, nothing))))
    thread.start()
    yield answers
    thread.join(SECONDS)
    assert answers


def test_closing_ends_what_runs_at_once_and_without_a_verdict(
    workshop_of: Callable[[FakeBackend], Workshop],
) -> None:
    """A sandbox that is ended from outside looks like a submission that died, and is none."""
    held = Held()
    backend = FakeBackend(Cast(held))
    workshop = workshop_of(backend)
    began = time.monotonic()
    with working(workshop) as answers:
        assert held.begun.wait(SECONDS)
        workshop.close()

    assert answers == [Stopped()]
    assert time.monotonic() - began < order().assignment.limits.train_seconds
    assert all(sandbox.killed for sandbox in backend.opened)
    assert backend.closings == 1
    assert unpack_answer(workshop.do(WORK, nothing)) == Stopped()


def test_closing_does_not_wait_for_the_cores_of_others(tmp_path: Path) -> None:
    """Who stands in line for them is told when their turn has come, and opens nothing."""
    backend = FakeBackend(Cast())
    workshop = Workshop(ToyMachine(backend, tmp_path))
    with Cores(nothing_said, tmp_path) as others:
        others.reserve(len(usable_cores()))
        with working(workshop) as answers:
            time.sleep(0.3)
            began = time.monotonic()
            workshop.close()
            assert time.monotonic() - began < SECONDS / 4
            assert not answers
            others.release()
    assert answers == [Stopped()]
    assert backend.opened == []


def test_sandbox_that_ends_a_moment_before_its_worker_is_no_verdict(
    workshop_of: Callable[[FakeBackend], Workshop],
) -> None:
    """A batch system that ends a job ends its processes in any order."""
    workshop = workshop_of(FakeBackend(Cast(lambda _, __: None)))
    with working(workshop) as answers:
        time.sleep(0.3)
        assert not answers
        workshop.close()
    assert answers == [Stopped()]


@pytest.mark.parametrize(("train", "place"), [(lambda _, __: None, None), (fail, Place("model.py", 7))])
def test_submission_that_dies_is_judged_where_the_worker_stays(
    workshop_of: Callable[[FakeBackend], Workshop], train: Play, place: Place | None
) -> None:
    """With or without a traceback."""
    answer = unpack_answer(workshop_of(FakeBackend(Cast(train))).do(WORK, nothing))
    assert isinstance(answer, Answer)
    (result,) = answer.execution.results
    assert (result.outcome, result.place) == (Outcome.RUNTIME_ERROR, place)


def test_one_submission_at_a_time(workshop_of: Callable[[FakeBackend], Workshop]) -> None:
    """However many threads a worker was given; each says when its turn has come."""
    held = Held()
    workshop = workshop_of(FakeBackend(Cast(held)))
    turns: list[str] = []
    threads = [
        threading.Thread(target=workshop.do, args=(WORK, lambda: turns.append("a turn"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert held.begun.wait(SECONDS)
    assert turns == ["a turn"]
    workshop.close()
    for thread in threads:
        thread.join(SECONDS)
    assert turns == ["a turn"]
