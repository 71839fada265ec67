"""The verdict on a phase: from the host's clock, the bytes that arrived and what the kernel counted.

What the guest says is a claim, and only adds the words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.host.records import EpochClaim, PhaseResult, Place, Usage
from harness.protocol import MEMORY_HINT, PROCESS_HINT, Message, Outcome, Phase

if TYPE_CHECKING:
    from harness.host.sandbox.base import SandboxSpec

MAX_TEXT = 4000
MAX_LINE = 1 << 31


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
class Heard:
    """What the guest has claimed so far.

    Attributes:
        over_time: whether the host's deadline passed first.
    """

    epochs: list[EpochClaim] = field(default_factory=list)
    result: Message | None = None
    over_time: bool = False


def judge(job: Job, heard: Heard, usage: Usage, seconds: float, spec: SandboxSpec) -> PhaseResult:
    """Decide how a phase ended.

    Args:
        job: what was asked for.
        heard: what the guest claimed.
        usage: what the kernel counted.
        seconds: from the first student byte to the end of the last process.
        spec: the sandbox's limits, for the words.
    """
    outcome, message, hint = _verdict(job, heard, usage, spec)
    fields = heard.result.fields if heard.result is not None else {}
    blobs = heard.result.blobs if heard.result is not None else {}
    ok = outcome is Outcome.OK
    return PhaseResult(
        outcome=outcome,
        phase=job.phase,
        message=message,
        hint=hint,
        place=None if ok else _place(fields),
        # What a preflight saw before something ended it is still worth telling.
        payload=bytes(blobs.get("payload", b"")) if ok or job.phase is Phase.CHECK else b"",
        epochs=tuple(heard.epochs),
        best_epoch=_whole_number(fields.get("best_epoch"), most=len(heard.epochs)),
        log=bytes(blobs.get("log", b"")).decode(errors="replace"),
        seconds=seconds,
        usage=usage,
    )


def _verdict(job: Job, heard: Heard, usage: Usage, spec: SandboxSpec) -> tuple[Outcome, str, str]:
    claimed = _outcome(heard.result)
    if claimed is Outcome.OK and not heard.over_time:
        return Outcome.OK, "", ""
    if usage.out_of_memory or claimed is Outcome.MEMORY_LIMIT:
        return Outcome.MEMORY_LIMIT, _memory_message(usage, spec), MEMORY_HINT
    if usage.processes_refused or claimed is Outcome.PROCESS_LIMIT:
        message = f"the limit of {spec.processes} processes and threads was reached"
        return Outcome.PROCESS_LIMIT, message, PROCESS_HINT
    if heard.over_time:
        return Outcome.TIME_LIMIT, *_time_message(job, heard.epochs)
    if heard.result is None:
        return Outcome.RUNTIME_ERROR, "the sandbox ended before the loops were done", ""
    return claimed, _text(heard.result, "message"), _text(heard.result, "hint")


def _memory_message(usage: Usage, spec: SandboxSpec) -> str:
    limit = f"the limit of {_mebibytes(spec.memory_bytes)} was reached"
    if usage.peak_memory_bytes is None:
        return f"out of memory: {limit}"
    return f"out of memory: {limit} (peak {_mebibytes(usage.peak_memory_bytes)})"


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def finding(outcome: Outcome, message: str, hint: str) -> Message:
    """A result in the guest's form, for what the host finds itself."""
    return Message("result", {"outcome": outcome, "message": message, "hint": hint})


def _outcome(result: Message | None) -> Outcome:
    try:
        return Outcome(result.fields["outcome"]) if result is not None else Outcome.RUNTIME_ERROR
    except (KeyError, ValueError, TypeError):
        return Outcome.RUNTIME_ERROR


def _text(result: Message | None, key: str) -> str:
    return str(result.fields.get(key, ""))[:MAX_TEXT] if result is not None else ""


def _whole_number(value: object, most: int) -> int | None:
    return value if type(value) is int and 0 < value <= most else None


def _place(fields: Any) -> Place | None:  # noqa: ANN401  a message's fields
    file, line = fields.get("file"), _whole_number(fields.get("line"), MAX_LINE)
    return Place(file[:255], line) if isinstance(file, str) and line is not None else None


def epoch_claim(message: Message, epoch: int) -> EpochClaim:
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


def later(before: Usage, after: Usage) -> Usage:
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
    if job.phase is Phase.CHECK:
        return f"{text} before the check was done", "a few batches take this long: make MyModel smaller"
    wanted = job.fields["epochs"]
    if not epochs:
        return f"{text} before the first epoch was done", "make MyModel smaller or batch_size larger"
    pace = job.seconds / len(epochs)
    fits = max(1, int(0.9 * job.seconds / pace))
    return (
        f"{text} after {len(epochs)} of {wanted} epochs ({pace:.2g} s an epoch)",
        f"about {fits} epochs would fit: set epochs = {fits}, or use a larger batch_size or a smaller model",
    )
