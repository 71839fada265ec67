"""The main flow when the machine or the harness breaks: nobody is graded, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from harness.host import conversation
from harness.host.errors import SandboxError
from harness.host.grade import grade
from harness.host.report.live import SilentProgress
from harness.protocol import Message, Outcome
from tests.fake_backend import FakeBackend
from tests.scripted_guest import Wire
from tests.toy_guests import EPOCHS, FAILED, Cast, Stage, order

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_guest import Guest


@pytest.mark.parametrize("moment", ["train", "epoch 1 of 120", "epoch 2 of 120", "predict", "finish"])
def test_every_sandbox_is_ended_when_the_host_breaks(moment: str) -> None:
    """An error of our own is not swallowed, and leaves nothing behind."""
    backend, stage = FakeBackend(Cast()), Stage(breaks_at=moment)
    with pytest.raises(RuntimeError, match="the terminal is gone"):
        grade(order(), backend, stage)

    assert backend.opened
    assert all(sandbox.killed for sandbox in backend.opened)
    assert stage.told[-1] == "finish"


@pytest.mark.parametrize(("number", "others"), [(0, {0}), (1, {1, 2}), (2, {2})])
def test_sandbox_that_does_not_open_is_the_machines_fault(number: int, others: set[int]) -> None:
    """There is no run, and every sandbox that did open is ended."""
    backend, stage = FakeBackend(Cast(), failures={number: SandboxError("no room")}), Stage()
    with pytest.raises(SandboxError, match="no room"):
        grade(order(), backend, stage)

    assert len(backend.opened) in others
    assert all(sandbox.killed for sandbox in backend.opened)
    assert stage.told[-1] == "finish"


class Understudy:
    """A cast in which the guest of one sandbox, counted from 0, plays something else."""

    def __init__(self, number: int, play: Callable[[Guest], None], cast: Cast | None = None) -> None:
        self._number, self._play = number, play
        self._cast, self._lock, self._came = cast or Cast(), threading.Lock(), 0

    def __call__(self, guest: Guest) -> None:
        """Play the guest of one sandbox."""
        with self._lock:
            number, self._came = self._came, self._came + 1
        (self._play if number == self._number else self._cast)(guest)


def lose_heart(guest: Guest) -> None:
    """Take the code and end, as an interpreter does that cannot import torch."""
    Wire(guest).code()
    guest.stderr.write("ImportError: libtorch_cpu.so\n")


def stay_silent(guest: Guest) -> None:
    """Take the code and never get ready."""
    wire = Wire(guest)
    wire.code()
    wire.hang()


def talk_nonsense(guest: Guest) -> None:
    """Take the code and say something else than that it is ready."""
    wire = Wire(guest)
    wire.code()
    wire.say(b"Segmentation fault\n")


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    ("play", "words"),
    [
        pytest.param(lose_heart, "did not get ready: it ended; it wrote: .*libtorch_cpu.so", id="ends"),
        pytest.param(stay_silent, "did not get ready: no answer within 120 s", id="hangs"),
        pytest.param(talk_nonsense, "the bytes that came are not a message", id="says something else"),
    ],
)
def test_sandbox_that_never_gets_ready_is_the_machines_fault(
    play: Callable[[Guest], None], words: str, number: int
) -> None:
    """Before the student's code has come in there is nobody else to blame, in whichever sandbox."""
    backend = FakeBackend(Understudy(number, play))
    with pytest.raises(SandboxError, match=words):
        grade(order(), backend, SilentProgress())

    assert all(sandbox.killed for sandbox in backend.opened)


def test_sandbox_that_does_not_take_its_code_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has failed ends its test sandboxes at once, whatever they are waiting for."""
    size = 1 << 20  # more than a pipe holds
    monkeypatch.setattr(conversation, "guest_bundle", lambda: size.to_bytes(8, "big") + bytes(size))

    def fail_beside_another(wire: Wire, _: Message) -> None:
        wire.say(EPOCHS[0])
        while len(backend.opened) < len(("training", "testing")):
            time.sleep(0.001)
        wire.say(FAILED)

    def read_nothing(guest: Guest) -> None:
        guest.sleep(conversation.READY_SECONDS)

    backend = FakeBackend(Understudy(1, read_nothing, Cast(fail_beside_another)))
    began = time.monotonic()
    _, run = grade(order(), backend, SilentProgress())

    assert run.outcome is Outcome.RUNTIME_ERROR
    assert all(sandbox.killed for sandbox in backend.opened)
    assert time.monotonic() - began < conversation.READY_SECONDS / 2
