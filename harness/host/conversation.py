"""One sandbox's conversation with the host: ready, one job, claims as they come, and a judged result.

What the guest says is a claim. The verdict is made here, from the host's clock, the bytes that arrived and
what the kernel counted, and a claim only adds the words.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.host.errors import SandboxError
from harness.host.guest_code import guest_bundle
from harness.host.records import EpochClaim, PhaseResult, Place, Usage
from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError
from harness.protocol import (
    MEMORY_HINT,
    PROCESS_HINT,
    Message,
    Outcome,
    Phase,
    ProtocolError,
    encode,
    read_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Sandbox, SandboxSpec

READY_SECONDS = 120.0  # of the machine, not of the student: a cold disk has to give torch's libraries
STOP_SECONDS = 5.0  # for the supervisor to end a job that is over time, and to hand over its log
LEAVE_SECONDS = 2.0
MAX_TEXT = 4000
MAX_CLAIM_HEADER = 1 << 16


@dataclass(frozen=True, slots=True)
class Job:
    """What a phase is given.

    Attributes:
        fields: small values, as the guest's `child` reads them.
        blobs: binary parts.
        seconds: the host's deadline for the phase.
        payload_bytes: the most that the result may have.
        log_bytes: the most that the student's code may print.
    """

    phase: Phase
    fields: dict[str, Any]
    blobs: dict[str, bytes | memoryview]
    seconds: float
    payload_bytes: int
    log_bytes: int

    def message(self) -> Message:
        """The job as it goes over the wire."""
        caps = {"payload_bytes": self.payload_bytes, "log_bytes": self.log_bytes}
        return Message("job", {**self.fields, "phase": self.phase, "caps": caps}, self.blobs)


@dataclass(slots=True)
class _Heard:
    """What the guest has claimed so far."""

    epochs: list[EpochClaim] = field(default_factory=list)
    result: Message | None = None


class Conversation:
    """Speaks with the guest in one open sandbox."""

    def __init__(self, sandbox: Sandbox, spec: SandboxSpec) -> None:
        self._sandbox = sandbox
        self._spec = spec

    def wait_until_ready(self) -> dict[str, Any]:
        """Send the guest's code and wait until it has imported torch.

        Returns:
            The versions of torch and Python inside.

        Raises:
            SandboxError: it did not get ready; this is the machine's fault.
        """
        deadline = time.monotonic() + READY_SECONDS
        try:
            self._sandbox.send(guest_bundle(), deadline)
            message = self._read(deadline, 0)
        except (SandboxTimeoutError, SandboxClosedError, ProtocolError) as error:
            raise SandboxError(
                f"the sandbox did not get ready: {self._sandbox.diagnostics().strip()[-2000:] or error!r}",
                "`harness doctor` shows what this machine can do",
            ) from error
        return dict(message.fields)

    def run(self, job: Job, on_epoch: Callable[[EpochClaim], None]) -> PhaseResult:
        """Do a job and judge how it ended. Afterwards no process of the sandbox is left.

        Args:
            job: the phase and what it is given.
            on_epoch: told of each epoch as the training loop reports it.

        Raises:
            SandboxError: the sandbox could not be ended.
        """
        heard = _Heard()
        cpu_before = self._sandbox.usage().cpu_seconds
        started = time.monotonic()
        deadline = started + job.seconds
        over_time = False
        try:
            for part in encode(job.message()):
                self._sandbox.send(part, deadline)
            self._listen(job, deadline, heard, on_epoch)
        except SandboxTimeoutError:
            over_time = True
            self._stop(job, heard)
        except SandboxClosedError:
            pass  # its last process is gone: what the kernel counted says why
        except ProtocolError as error:
            text = f"more or other bytes came out of the sandbox than the loops send: {error}"
            heard.result = _finding(
                Outcome.OUTPUT_LIMIT, text, "let only the harness's loops write to its channel"
            )
        usage = self._sandbox.usage()
        if heard.result is not None and not over_time:
            self._let_go()
        else:
            self._sandbox.kill()
        seconds = time.monotonic() - started
        self._sandbox.kill()
        usage = _later(usage, self._sandbox.usage())
        if usage.cpu_seconds is not None and cpu_before is not None:
            usage = replace(usage, cpu_seconds=max(0.0, usage.cpu_seconds - cpu_before))
        return self._judge(job, heard, usage, seconds, over_time=over_time)

    def _read(self, deadline: float, max_blob_bytes: int) -> Message:
        return read_message(
            lambda size: self._sandbox.receive(size, deadline),
            max_blob_bytes=max_blob_bytes,
            max_header=MAX_CLAIM_HEADER,
        )

    def _listen(
        self, job: Job, deadline: float, heard: _Heard, on_epoch: Callable[[EpochClaim], None]
    ) -> None:
        while heard.result is None:
            message = self._read(deadline, job.payload_bytes + job.log_bytes)
            if message.kind == "result":
                heard.result = message
            elif message.kind == "epoch" and len(heard.epochs) < job.fields.get("epochs", 0):
                claim = _epoch_claim(message, len(heard.epochs) + 1)
                heard.epochs.append(claim)
                on_epoch(claim)
            else:
                raise ProtocolError(f"an unexpected message, {message.kind!r:.40}")

    def _stop(self, job: Job, heard: _Heard) -> None:
        """Have the supervisor end the child, so that its log can be shown."""
        deadline = time.monotonic() + STOP_SECONDS
        try:
            for part in encode(Message("stop")):
                self._sandbox.send(part, deadline)
            self._listen(job, deadline, heard, lambda _: None)
        except (SandboxTimeoutError, SandboxClosedError, ProtocolError):
            return  # it is killed anyway

    def _let_go(self) -> None:
        """Have the supervisor leave, which ends the sandbox sooner than an engine can."""
        deadline = time.monotonic() + LEAVE_SECONDS
        try:
            self._sandbox.send(b"\0", deadline)
            self._sandbox.receive(1, deadline)
        except (SandboxTimeoutError, SandboxClosedError):
            return

    def _judge(
        self, job: Job, heard: _Heard, usage: Usage, seconds: float, *, over_time: bool
    ) -> PhaseResult:
        result = heard.result
        outcome, message, hint = self._verdict(job, heard, usage, over_time=over_time)
        fields = result.fields if result is not None else {}
        done = outcome is Outcome.OK and result is not None
        return PhaseResult(
            outcome=outcome,
            phase=job.phase,
            message=message,
            hint=hint,
            place=None if outcome is Outcome.OK else _place(fields),
            payload=bytes(result.blobs.get("payload", b"")) if done and result is not None else b"",
            epochs=tuple(heard.epochs),
            best_epoch=_whole_number(fields.get("best_epoch")),
            log=bytes(result.blobs.get("log", b"")).decode(errors="replace") if result is not None else "",
            seconds=seconds,
            usage=usage,
        )

    def _verdict(self, job: Job, heard: _Heard, usage: Usage, *, over_time: bool) -> tuple[Outcome, str, str]:
        claimed = _outcome(heard.result)
        if claimed is Outcome.OK and not over_time:
            return Outcome.OK, "", ""
        text, hint = _text(heard.result, "message"), _text(heard.result, "hint")
        if usage.out_of_memory or claimed is Outcome.MEMORY_LIMIT:
            return Outcome.MEMORY_LIMIT, self._memory_message(usage), MEMORY_HINT
        if usage.processes_refused or claimed is Outcome.PROCESS_LIMIT:
            return Outcome.PROCESS_LIMIT, self._process_message(), PROCESS_HINT
        if over_time:
            return Outcome.TIME_LIMIT, *_time_message(job, heard.epochs)
        if heard.result is None:
            return Outcome.RUNTIME_ERROR, "the sandbox ended before the loops were done", ""
        return claimed, text, hint

    def _memory_message(self, usage: Usage) -> str:
        limit = f"the limit of {_mebibytes(self._spec.memory_bytes)} was reached"
        if usage.peak_memory_bytes is None:
            return f"out of memory: {limit}"
        return f"out of memory: {limit} (peak {_mebibytes(usage.peak_memory_bytes)})"

    def _process_message(self) -> str:
        return f"the limit of {self._spec.processes} processes and threads was reached"


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _finding(outcome: Outcome, message: str, hint: str) -> Message:
    return Message("result", {"outcome": outcome, "message": message, "hint": hint})


def _outcome(result: Message | None) -> Outcome:
    try:
        return Outcome(result.fields["outcome"]) if result is not None else Outcome.RUNTIME_ERROR
    except (KeyError, ValueError, TypeError):
        return Outcome.RUNTIME_ERROR


def _text(result: Message | None, key: str) -> str:
    return str(result.fields.get(key, ""))[:MAX_TEXT] if result is not None else ""


def _whole_number(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _place(fields: Any) -> Place | None:  # noqa: ANN401  a message's fields
    file, line = fields.get("file"), _whole_number(fields.get("line"))
    return Place(file[:255], line) if isinstance(file, str) and line is not None else None


def _epoch_claim(message: Message, epoch: int) -> EpochClaim:
    """Read a claim; the epoch's number is counted here, and what is no number becomes NaN."""
    train, valid, seconds = (
        _float(message.fields.get(key)) for key in ("train_loss", "valid_loss", "seconds")
    )
    return EpochClaim(epoch, train, valid, seconds if math.isfinite(seconds) and seconds >= 0 else 0.0)


def _float(value: object) -> float:
    try:
        return float(value) if isinstance(value, str | float | int) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _later(before: Usage, after: Usage) -> Usage:
    """Join what was read before and after the kill; a counter that went away keeps its last value."""
    return Usage(
        cpu_seconds=after.cpu_seconds if after.cpu_seconds is not None else before.cpu_seconds,
        peak_memory_bytes=after.peak_memory_bytes or before.peak_memory_bytes,
        out_of_memory=max(before.out_of_memory, after.out_of_memory),
        processes_refused=max(before.processes_refused, after.processes_refused),
    )


def _time_message(job: Job, epochs: list[EpochClaim]) -> tuple[str, str]:
    """What happened at the deadline, and what would have fitted."""
    text = f"the limit of {job.seconds:g} s was reached"
    if job.phase is Phase.PREDICT:
        return f"{text} while predicting", "make forward() faster, or use a larger batch_size"
    wanted = job.fields["epochs"]
    if not epochs:
        return f"{text} before the first epoch was done", "make MyModel smaller or batch_size larger"
    pace = job.seconds / len(epochs)
    fits = max(1, int(0.9 * job.seconds / pace))
    return (
        f"{text} after {len(epochs)} of {wanted} epochs ({pace:.2g} s an epoch)",
        f"about {fits} epochs would fit: set epochs = {fits}, or use a larger batch_size or a smaller model",
    )
