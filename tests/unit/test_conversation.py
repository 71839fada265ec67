"""The verdict is the host's: its clock, the bytes that arrived, and what the kernel counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.conversation import Conversation
from harness.host.errors import SandboxError
from harness.host.records import EpochClaim, PhaseResult, Usage
from harness.host.sandbox.base import SandboxClosedError, SandboxSpec
from harness.host.verdict import Job
from harness.protocol import Message, Outcome, Phase
from tests.fake_backend import NOTHING_USED, FakeBackend, FakeSandbox
from tests.scripted_guest import Wire

if TYPE_CHECKING:
    from tests.fake_guest import Guest

Play = Callable[[Wire], None]
SPEC = SandboxSpec(
    command=(),
    run_id="r",
    memory_bytes=512 << 20,
    cpus=1,
    processes=64,
    scratch_bytes=1 << 20,
    shared_memory_bytes=1 << 20,
)
EPOCH = Message("epoch", {"epoch": 1, "train_loss": "2.5", "valid_loss": "3.5", "seconds": 0.1})
DONE = Message("result", {"outcome": "ok", "best_epoch": 1}, {"payload": b"weights", "log": b"hello\n"})


def job(phase: Phase = Phase.TRAIN, **fields: Any) -> Job:
    """A small job with a minute for it, which no test has to wait for."""
    return Job(phase, {"epochs": 3} | fields, {}, seconds=60.0, payload_bytes=100, log_bytes=100)


def saying(*items: Message | bytes) -> Play:
    """A guest that hears its job, says this and ends."""
    return lambda wire: wire.say(*items)


def run(
    play: Play, order: Job | None = None, used: Usage = NOTHING_USED
) -> tuple[PhaseResult, list[EpochClaim]]:
    """Hold a conversation and collect what was told of epochs."""

    def hear_and_play(guest: Guest) -> None:
        wire = Wire(guest)
        wire.hear()
        play(wire)

    claims: list[EpochClaim] = []
    sandbox = FakeBackend(hear_and_play, usage=used).open(SPEC)
    result = Conversation(sandbox, SPEC).run(order or job(), claims.append)
    assert sandbox.killed
    return result, claims


def test_a_finished_phase_is_ok() -> None:
    """The payload, the log, the best epoch and the claims arrive as they were sent."""
    result, claims = run(saying(EPOCH, DONE))

    assert result.outcome is Outcome.OK
    assert (result.payload, result.log, result.best_epoch) == (b"weights", "hello\n", 1)
    assert claims == [EpochClaim(1, 2.5, 3.5, 0.1)]
    assert result.epochs == tuple(claims)


def test_a_finding_keeps_its_words_and_place() -> None:
    """What the guest found is shown, with the line of the student's code."""
    fields = {"outcome": "contract_error", "message": "m", "hint": "h", "file": "model.py", "line": 3}
    result, _ = run(saying(Message("result", fields, {"payload": b"x"})))

    assert (result.outcome, result.message, result.hint) == (Outcome.CONTRACT_ERROR, "m", "h")
    assert result.place is not None
    assert (result.place.file, result.place.line) == ("model.py", 3)
    assert result.payload == b""


def test_an_unknown_outcome_is_a_runtime_error() -> None:
    """A forged verdict cannot become one that does not exist."""
    result, _ = run(saying(Message("result", {"outcome": "passed_with_distinction"})))

    assert result.outcome is Outcome.RUNTIME_ERROR


def test_the_hosts_clock_decides_on_time() -> None:
    """A guest that hangs is stopped, its log is kept, and the message says what would fit."""

    def play(wire: Wire) -> None:
        wire.say(EPOCH, EPOCH)
        assert wire.be_late().kind == "stop"
        wire.say(Message("result", {"outcome": "ok"}, {"log": b"printed"}))

    result, _ = run(play, job(epochs=9))

    assert result.outcome is Outcome.TIME_LIMIT
    assert "after 2 of 9 epochs" in result.message
    assert "epochs = 1" in result.hint
    assert result.log == "printed"
    assert result.payload == b""


def test_a_guest_that_ignores_the_stop_is_killed() -> None:
    """The verdict does not wait for the guest's consent."""
    heard: list[Message] = []

    def play(wire: Wire) -> None:
        heard.append(wire.be_late())
        wire.hang()

    result, _ = run(play)

    assert result.outcome is Outcome.TIME_LIMIT
    assert [message.kind for message in heard] == ["stop"]


@pytest.mark.parametrize(
    ("used", "outcome", "words"),
    [
        (
            Usage(out_of_memory=1, peak_memory_bytes=511 << 20),
            Outcome.MEMORY_LIMIT,
            "512 MiB was reached (peak 511",
        ),
        (Usage(processes_refused=3), Outcome.PROCESS_LIMIT, "64 processes"),
    ],
)
def test_the_kernels_counters_name_the_limit(used: Usage, outcome: Outcome, words: str) -> None:
    """A phase that failed at a counted limit failed because of it, whatever the guest says."""
    claim = Message("result", {"outcome": "runtime_error", "message": "Killed"})
    result, _ = run(saying(claim), used=used)

    assert result.outcome is outcome
    assert words in result.message


def test_a_counter_does_not_fail_a_phase_that_succeeded() -> None:
    """Out of memory is: the counter is up and the phase failed; a lost worker may not have mattered."""
    result, _ = run(saying(DONE), used=Usage(out_of_memory=1))

    assert result.outcome is Outcome.OK


def test_a_sandbox_that_closes_early_is_a_runtime_error() -> None:
    """A guest that is gone without a result has failed, not succeeded."""
    result, _ = run(saying(EPOCH))

    assert result.outcome is Outcome.RUNTIME_ERROR


@pytest.mark.parametrize(
    "said",
    [
        b"Points: 10/10\n" * 10,
        Message("epoch", {}, {"x": b"y" * 300}),
        Message("result", {"outcome": "ok"}, {"payload": b"y" * 201}),
        Message("verdict", {"outcome": "ok"}),
    ],
    ids=["no message", "a blob on an epoch", "a payload over the cap", "an unknown kind"],
)
def test_what_the_loops_do_not_send_is_an_output_limit(said: Message | bytes) -> None:
    """Bytes that are not the protocol's end the phase."""
    result, _ = run(saying(said))

    assert result.outcome is Outcome.OUTPUT_LIMIT


def test_more_epochs_than_were_asked_for_end_the_phase() -> None:
    """The claims are capped too."""
    result, claims = run(saying(*[EPOCH] * 4, DONE), job(epochs=3))

    assert result.outcome is Outcome.OUTPUT_LIMIT
    assert len(claims) == 3


def test_a_claim_that_is_no_number_is_nan() -> None:
    """A forged epoch can be shown, and its number is counted by the host."""
    forged = Message("epoch", {"epoch": -7, "train_loss": ["x"], "valid_loss": "1e999", "seconds": "NaN"})
    _, claims = run(saying(forged, DONE))

    assert claims[0].epoch == 1
    assert math.isnan(claims[0].train_loss)
    assert math.isinf(claims[0].valid_loss)
    assert claims[0].seconds == 0.0


def test_a_sandbox_that_never_gets_ready_is_the_machines_fault() -> None:
    """Before any student code ran, nothing can be the student's fault."""
    backend = FakeBackend(lambda guest: print("the guest's last words", file=guest.stderr))
    with (
        Conversation(backend.open(SPEC), SPEC) as conversation,
        pytest.raises(SandboxError, match="last words"),
    ):
        conversation.wait_until_ready()


def test_a_sandbox_that_does_not_take_the_code_is_ended() -> None:
    """What ended before it could be spoken to is the machine's fault, and nothing of it stays open."""

    class EndedBackend(FakeBackend):
        def open(self, spec: SandboxSpec) -> FakeSandbox:
            sandbox = super().open(spec)
            with suppress(SandboxClosedError):
                sandbox.receive(1, time.monotonic() + 10)
            return sandbox

    backend = EndedBackend(lambda guest: print("no interpreter", file=guest.stderr))
    with pytest.raises(SandboxError, match="no interpreter"):
        Conversation.open(backend, SPEC)
    assert backend.opened[0].killed


def test_ready_gives_the_versions() -> None:
    """The guest says which torch it imported."""
    versions = {"torch": "2.13.0", "python": "3.11.2"}
    backend = FakeBackend(lambda guest: Wire(guest).say(Message("ready", versions)))
    with Conversation(backend.open(SPEC), SPEC) as conversation:
        assert conversation.wait_until_ready() == versions


def test_start_up_is_not_charged() -> None:
    """Processor time before the job is taken off."""
    result, _ = run(saying(DONE), used=Usage(cpu_seconds=2.0))

    assert result.usage.cpu_seconds == 0.0
