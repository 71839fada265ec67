"""The verdict is the host's: its clock, the bytes that arrived, and what the kernel counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from harness.host.conversation import Conversation
from harness.host.errors import SandboxError
from harness.host.records import EpochClaim, PhaseResult, Usage
from harness.host.sandbox.base import SandboxClosedError, SandboxSpec, SandboxTimeoutError
from harness.host.verdict import Job
from harness.protocol import Decoder, Message, Outcome, Phase, encode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

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


@dataclass
class ScriptedSandbox:
    """A guest that says what it was told to, and then closes or says nothing more.

    Attributes:
        says: messages or raw bytes, in order.
        then_hangs: whether it goes on without a word instead of closing.
        after_stop: what it says once the host has asked it to stop.
    """

    says: Sequence[Message | bytes]
    then_hangs: bool = False
    after_stop: list[Message | bytes] = field(default_factory=list)
    used: Usage = field(default_factory=Usage)
    killed: bool = False
    heard: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._out = b"".join(_wire(item) for item in self.says)
        self._decoder = Decoder(max_blob_bytes=1 << 30)

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Take the host's messages; anything that is no message is the guest's code."""
        del deadline
        if bytes(data[:4]) == b"HRN1" or self._decoder_is_busy:
            self.heard += self._decoder.feed(bytes(data))
        if self.heard and self.heard[-1].kind == "stop" and self.after_stop:
            self._out += b"".join(_wire(item) for item in self.after_stop)
            self.after_stop = []

    @property
    def _decoder_is_busy(self) -> bool:
        return bool(self._decoder._buffer) or self._decoder._wanted != 8

    def receive(self, size: int, deadline: float) -> bytes:
        """Give the next bytes, or end as the script says."""
        del deadline
        if len(self._out) < size:
            raise SandboxTimeoutError if self.then_hangs else SandboxClosedError
        taken, self._out = self._out[:size], self._out[size:]
        return taken

    def usage(self) -> Usage:
        """What the script says was used."""
        return self.used

    def diagnostics(self) -> str:
        """A recognisable text."""
        return "the sandbox's last words"

    def kill(self) -> None:
        """Remember it."""
        self.killed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _wire(item: Message | bytes) -> bytes:
    return item if isinstance(item, bytes) else b"".join(bytes(part) for part in encode(item))


def job(phase: Phase = Phase.TRAIN, **fields: Any) -> Job:
    """A small job with a second for it."""
    return Job(phase, {"epochs": 3} | fields, {}, seconds=1.0, payload_bytes=100, log_bytes=100)


def run(sandbox: ScriptedSandbox, order: Job | None = None) -> tuple[PhaseResult, list[EpochClaim]]:
    """Hold a conversation and collect what was told of epochs."""
    claims: list[EpochClaim] = []
    result = Conversation(sandbox, SPEC).run(order or job(), claims.append)
    assert sandbox.killed
    return result, claims


def test_a_finished_phase_is_ok() -> None:
    """The payload, the log, the best epoch and the claims arrive as they were sent."""
    result, claims = run(ScriptedSandbox([EPOCH, DONE]))

    assert result.outcome is Outcome.OK
    assert (result.payload, result.log, result.best_epoch) == (b"weights", "hello\n", 1)
    assert claims == [EpochClaim(1, 2.5, 3.5, 0.1)]
    assert result.epochs == tuple(claims)


def test_a_finding_keeps_its_words_and_place() -> None:
    """What the guest found is shown, with the line of the student's code."""
    fields = {"outcome": "contract_error", "message": "m", "hint": "h", "file": "model.py", "line": 3}
    result, _ = run(ScriptedSandbox([Message("result", fields, {"payload": b"x"})]))

    assert (result.outcome, result.message, result.hint) == (Outcome.CONTRACT_ERROR, "m", "h")
    assert result.place is not None
    assert (result.place.file, result.place.line) == ("model.py", 3)
    assert result.payload == b""


def test_an_unknown_outcome_is_a_runtime_error() -> None:
    """A forged verdict cannot become one that does not exist."""
    result, _ = run(ScriptedSandbox([Message("result", {"outcome": "passed_with_distinction"})]))

    assert result.outcome is Outcome.RUNTIME_ERROR


def test_the_hosts_clock_decides_on_time() -> None:
    """A guest that hangs is stopped, its log is kept, and the message says what would fit."""
    stopped = Message("result", {"outcome": "ok"}, {"log": b"printed"})
    result, _ = run(ScriptedSandbox([EPOCH, EPOCH], then_hangs=True, after_stop=[stopped]), job(epochs=9))

    assert result.outcome is Outcome.TIME_LIMIT
    assert "after 2 of 9 epochs" in result.message
    assert "epochs = 1" in result.hint
    assert result.log == "printed"
    assert result.payload == b""


def test_a_guest_that_ignores_the_stop_is_killed() -> None:
    """The verdict does not wait for the guest's consent."""
    sandbox = ScriptedSandbox([], then_hangs=True)
    result, _ = run(sandbox)

    assert result.outcome is Outcome.TIME_LIMIT
    assert sandbox.heard[-1].kind == "stop"


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
    result, _ = run(ScriptedSandbox([claim], used=used))

    assert result.outcome is outcome
    assert words in result.message


def test_a_counter_does_not_fail_a_phase_that_succeeded() -> None:
    """Out of memory is: the counter is up and the phase failed; a lost worker may not have mattered."""
    result, _ = run(ScriptedSandbox([DONE], used=Usage(out_of_memory=1)))

    assert result.outcome is Outcome.OK


def test_a_sandbox_that_closes_early_is_a_runtime_error() -> None:
    """A guest that is gone without a result has failed, not succeeded."""
    result, _ = run(ScriptedSandbox([EPOCH]))

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
    result, _ = run(ScriptedSandbox([said]))

    assert result.outcome is Outcome.OUTPUT_LIMIT


def test_more_epochs_than_were_asked_for_end_the_phase() -> None:
    """The claims are capped too."""
    result, claims = run(ScriptedSandbox([EPOCH] * 4 + [DONE]), job(epochs=3))

    assert result.outcome is Outcome.OUTPUT_LIMIT
    assert len(claims) == 3


def test_a_claim_that_is_no_number_is_nan() -> None:
    """A forged epoch can be shown, and its number is counted by the host."""
    forged = Message("epoch", {"epoch": -7, "train_loss": ["x"], "valid_loss": "1e999", "seconds": "NaN"})
    _, claims = run(ScriptedSandbox([forged, DONE]))

    assert claims[0].epoch == 1
    assert math.isnan(claims[0].train_loss)
    assert math.isinf(claims[0].valid_loss)
    assert claims[0].seconds == 0.0


def test_a_sandbox_that_never_gets_ready_is_the_machines_fault() -> None:
    """Before any student code ran, nothing can be the student's fault."""
    with pytest.raises(SandboxError, match="last words"):
        Conversation(ScriptedSandbox([]), SPEC).wait_until_ready()


def test_ready_gives_the_versions() -> None:
    """The guest says which torch it imported."""
    sandbox = ScriptedSandbox([Message("ready", {"torch": "2.13.0", "python": "3.11.2"})])

    assert Conversation(sandbox, SPEC).wait_until_ready() == {"torch": "2.13.0", "python": "3.11.2"}


def test_start_up_is_not_charged() -> None:
    """Processor time before the job is taken off."""
    result, _ = run(ScriptedSandbox([DONE], used=Usage(cpu_seconds=2.0)))

    assert result.usage.cpu_seconds == 0.0
