"""Submissions that are graded elsewhere: what comes back is scored here, and what does not is no grade."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.host.cluster.dispatch import (
    DEATHS,
    FAULTS,
    FEW,
    FIRST,
    LOSSES,
    Dispatch,
    Done,
    Returned,
    Task,
)
from harness.host.cluster.workshop import Workshop
from harness.host.errors import MachineError, UsageError
from harness.host.grade import Order, grade
from harness.host.parcel import Fault, Stopped, pack_answer
from harness.host.report.live import SilentProgress
from harness.protocol import Outcome, Phase
from tests.fake_backend import FakeBackend
from tests.toy_cluster import WORKER, Fate, ToyLink, ToyMachine
from tests.toy_guests import COURSE, GALLERY, Cast, fail, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.toy_guests import Play


@pytest.fixture
def link(tmp_path: Path) -> Callable[..., ToyLink]:
    """``link(fate, slots=..., cast=...)`` is a cluster of this process."""

    def make(
        fate: Callable[[int], Fate] = lambda _: None, *, slots: int = 1, cast: Cast | None = None
    ) -> ToyLink:
        backend = FakeBackend(cast or Cast())
        return ToyLink(Workshop(ToyMachine(backend, tmp_path)), fate, slots)

    return make


def never() -> bool:
    """Nobody stops it."""
    return False


def dispatched(link: ToyLink, tasks: Iterable[Task]) -> list[Done]:
    """What becomes of tasks."""
    done: list[Done] = []
    assert Dispatch(link, done.append, pytest.fail).run(tasks, never)
    return done


def lost(number: int, **how: Any) -> Returned:
    """A parcel that does not come back."""
    return Returned(str(number), None, worker=WORKER, **how)


@pytest.mark.parametrize("train", [None, fail], ids=["well", "badly"])
def test_run_is_the_one_that_this_machine_would_have(
    link: Callable[..., ToyLink], train: Play | None
) -> None:
    """Outcome, score, curve and predictions to the last bit; only the place is another one."""
    plays = {} if train is None else {"train": train}
    _, alone = grade(order(), FakeBackend(Cast(**plays)), SilentProgress())
    (done,) = dispatched(link(cast=Cast(**plays)), [Task("s001", order())])

    assert done.graded is not None
    assert (done.task.name, done.fault, done.worker) == ("s001", None, WORKER)
    submission, run = done.graded
    assert submission is not None
    assert submission.name == "submission"
    for name in ("outcome", "phase", "message", "place", "epochs", "best_epoch", "score", "baselines", "log"):
        assert getattr(run, name) == getattr(alone, name)
    assert run.finding == alone.finding
    assert run.environment.sandbox == "fake"
    assert run.environment.reason == "a test asked for it; limits by nothing"
    assert run.runtime.total_seconds > 0
    if alone.predictions is not None:
        assert run.predictions is not None
        assert np.array_equal(run.predictions.view(np.uint32), alone.predictions.view(np.uint32))
        assert run.kept is not None
        assert alone.kept is not None
        assert run.kept.weights == alone.kept.weights


def test_submission_that_cannot_be_read_is_not_sent(link: Callable[..., ToyLink], tmp_path: Path) -> None:
    """It has its outcome at once, and the name that was read of it."""
    empty, wrong = tmp_path / "empty", tmp_path / "wrong"
    for folder in (empty, wrong):
        folder.mkdir()
    (wrong / "model.py").touch()
    (wrong / "config.toml").write_text("epoch = 3\n")
    toy = link()

    first, second = dispatched(toy, [Task("s001", order(empty)), Task("s002", order(wrong))])

    assert toy.sent == []
    for done in (first, second):
        assert done.graded is not None
        assert (done.graded[1].outcome, done.graded[1].phase) == (
            Outcome.INVALID_SUBMISSION,
            Phase.SUBMISSION,
        )
    assert first.graded is not None
    assert first.graded[0] is None
    assert second.graded is not None
    assert second.graded[0] is not None
    assert second.graded[0].name == "wrong"


def test_what_is_not_there_is_a_fault_of_that_one_alone(link: Callable[..., ToyLink], tmp_path: Path) -> None:
    """The others are graded."""
    tasks = [Task("s001", order(tmp_path / "gone")), Task("s002", order())]
    first, second = dispatched(link(), tasks)
    assert isinstance(first.fault, UsageError)
    assert second.graded is not None


def test_reference_that_is_broken_is_a_fault(link: Callable[..., ToyLink], tmp_path: Path) -> None:
    """It is found where the reference is: here."""
    (tmp_path / "reference.toml").write_text("answers = 1\n")
    given = order()
    broken = Order(given.assignment, given.submission, tmp_path, "cpu", "a test")
    (done,) = dispatched(link(), [Task("s001", broken)])
    assert isinstance(done.fault, UsageError)


def test_worker_that_dies_with_a_submission_twice_sets_it_aside(link: Callable[..., ToyLink]) -> None:
    """It is no grade, it says so, and the others are graded."""
    died = {1, 3}  # s001 is sent first, then s002, then s001 again
    toy = link(lambda number: lost(number, died=True, problem="gone") if number in died else None)

    done = {each.task.name: each for each in dispatched(toy, [Task("s001", order()), Task("s002", order())])}

    assert done["s001"].set_aside
    assert isinstance(done["s001"].fault, MachineError)
    assert f"died, {DEATHS} times" in done["s001"].fault.message
    assert done["s001"].graded is None
    assert done["s002"].graded is not None
    assert len(toy.sent) == 3


def test_worker_that_dies_once_costs_nobody_a_grade(link: Callable[..., ToyLink]) -> None:
    """The submission is sent again."""
    (done,) = dispatched(
        link(lambda number: lost(number, died=True) if number == 1 else None), [Task("a", order())]
    )
    assert done.graded is not None
    assert done.graded[1].outcome is Outcome.OK


@pytest.mark.parametrize(
    "fate",
    [lambda number: lost(number, problem="the worker is gone"), lambda _: pack_answer(Stopped())],
    ids=["lost", "stopped"],
)
def test_work_that_is_lost_is_sent_again_but_not_for_ever(
    link: Callable[..., ToyLink], fate: Callable[[int], Fate]
) -> None:
    """Nobody is to blame, so nothing is set aside; after many times it is a fault."""
    (done,) = dispatched(link(lambda number: fate(number) if number < LOSSES else None), [Task("a", order())])
    assert done.graded is not None
    (done,) = dispatched(link(fate), [Task("a", order())])
    assert done.fault is not None
    assert f"lost, {LOSSES} times" in done.fault.message
    assert not done.set_aside


def test_fault_of_a_worker_is_tried_elsewhere_first(link: Callable[..., ToyLink]) -> None:
    """Workers that could not do it are avoided, and what all of them say is told with its remedy."""
    fault = pack_answer(Fault("the disk is full", "make room"))
    toy = link(lambda number: fault if number == 1 else None)
    (done,) = dispatched(toy, [Task("a", order())])
    assert done.graded is not None
    assert [avoid for _, _, avoid in toy.sent] == [frozenset(), frozenset({WORKER})]

    toy = link(lambda _: fault)
    (done,) = dispatched(toy, [Task("a", order())])
    assert isinstance(done.fault, MachineError)
    assert (done.fault.message, done.fault.fix) == (f"the disk is full (on {WORKER})", "make room")
    assert len(toy.sent) == FAULTS


def test_worker_of_another_edition_is_no_grade(link: Callable[..., ToyLink]) -> None:
    """What it says is not read."""
    (done,) = dispatched(link(lambda _: b"HRN1\0\0\0\2{}"), [Task("a", order())])
    assert done.fault is not None
    assert done.graded is None


@pytest.mark.parametrize(("slots", "most"), [(0, FIRST), (1, FIRST), (5, 5 * FEW)])
def test_few_submissions_are_out_at_a_time(link: Callable[..., ToyLink], slots: int, most: int) -> None:
    """However many there are: the others are not even read yet."""
    toy = link(lambda _: pack_answer(Fault("no", "")), slots=slots)
    taken = itertools.count()
    out = []

    def tasks() -> Iterator[Task]:
        for _ in range(40):
            out.append(next(taken) - len(done))
            yield Task("a", order())

    done: list[Done] = []
    assert Dispatch(toy, done.append, lambda _: None).run(tasks(), never)
    assert len(done) == 40
    assert toy.most_out == most
    assert max(out) < most


def test_rows_are_delivered_once(link: Callable[..., ToyLink]) -> None:
    """Not with each submission."""
    toy = link()
    dispatched(toy, [Task(str(number), order()) for number in range(3)])
    assert len(toy.delivered) == 1


def test_gpu_is_asked_for_where_it_is_needed(link: Callable[..., ToyLink]) -> None:
    """For tasks of that device, and no others."""
    given = order()
    on_gpu = Order(given.assignment, given.submission, given.reference, "cuda", "")
    toy = link(lambda _: pack_answer(Stopped()))
    dispatched(toy, [Task("a", on_gpu)])
    assert {gpu for _, gpu, _ in toy.sent} == {True}
    toy = link()
    dispatched(toy, [Task("a", given)])
    assert {gpu for _, gpu, _ in toy.sent} == {False}


def test_worker_is_told_which_sandbox_to_take(tmp_path: Path) -> None:
    """The task's, with its runtime and device."""
    machine = ToyMachine(FakeBackend(Cast()), tmp_path)
    dispatched(ToyLink(Workshop(machine)), [Task("a", order(), "docker", "runsc")])
    assert machine.asked == [("docker", "cpu", "runsc")]


def test_grading_can_be_stopped(link: Callable[..., ToyLink]) -> None:
    """What is out stays out, and no other submission is taken."""
    done: list[Done] = []
    tasks = iter([Task(str(number), order(GALLERY / "honest-good" / "submission")) for number in range(20)])
    ended = Dispatch(link(), done.append, pytest.fail).run(tasks, lambda: len(done) == 2)
    assert not ended
    assert len(done) == 2
    assert len(list(tasks)) == 20 - FIRST - 1


def test_scored_here_without_a_reference_too(link: Callable[..., ToyLink]) -> None:
    """The validation rows are scored, as on one machine."""
    given = order()
    alone = Order(given.assignment, given.submission, COURSE / "nothing", "cpu", "")
    (done,) = dispatched(link(), [Task("a", alone)])
    assert done.graded is not None
    score = done.graded[1].score
    assert score.validation is not None
    assert score.public is None
