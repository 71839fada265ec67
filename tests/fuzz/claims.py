"""The target ``claims``: a guest that says anything to the host, up to the documents that show it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from harness.host.conversation import Conversation
from harness.host.records import Environment, PhaseResult, Report, Run, Runtime, Score, Usage
from harness.host.report.document import staff_document, student_document
from harness.host.sandbox.base import SandboxClosedError, SandboxSpec, SandboxTimeoutError
from harness.host.verdict import MAX_TEXT, Job
from harness.protocol import MAGIC, PREFIX, Outcome, Phase

if TYPE_CHECKING:
    from types import TracebackType

EPOCHS = 5
PAYLOAD = 64
LOG = 64
SPEC = SandboxSpec(
    command=(),
    run_id="r",
    memory_bytes=1 << 20,
    cpus=1,
    processes=8,
    scratch_bytes=1 << 20,
    shared_memory_bytes=1 << 20,
)
ENVIRONMENT = Environment(sandbox="none", isolated=False, device="cpu")
ENDS = (SandboxClosedError, SandboxTimeoutError)


@dataclass(slots=True)
class _ScriptedSandbox:
    """A guest that says `out`, and then closes or falls silent."""

    out: memoryview
    end: type[Exception]
    used: Usage = field(default_factory=Usage)

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Take anything."""

    def receive(self, size: int, deadline: float) -> bytes:
        """The next bytes, or the end."""
        del deadline
        if size > len(self.out):
            raise self.end
        piece, self.out = bytes(self.out[:size]), self.out[size:]
        return piece

    def raise_priority(self) -> None:
        """There is only one."""

    def usage(self) -> Usage:
        """What the machine is said to have counted."""
        return self.used

    def diagnostics(self) -> str:
        """Nothing."""
        return ""

    def kill(self) -> None:
        """There is no process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_claims(data: bytes) -> None:
    """Whatever a guest says becomes a result within its caps, and a report that can be written.

    Each line of `data` but the last is sent as a message's header, with the right prefix; the last as it is,
    followed by bytes for binary parts. Its length chooses how the guest ends and in which phase it is.
    """
    *headers, rest = data.split(b"\n")
    framed = b"".join(PREFIX.pack(MAGIC, len(each)) + each + b"w" * _announced(each) for each in headers)
    end = ENDS[len(data) % 2]
    phase = (Phase.TRAIN, Phase.PREDICT)[len(data) // 2 % 2]
    sandbox = _ScriptedSandbox(memoryview(framed + rest), end)
    job = Job(phase, {"epochs": EPOCHS}, {}, seconds=1.0, payload_bytes=PAYLOAD, log_bytes=LOG)
    told: list[object] = []
    result = Conversation(sandbox, SPEC).run(job, told.append)
    assert tuple(told) == result.epochs[: len(told)]
    _check_result(result)
    _check_documents(result)


def _announced(header: bytes) -> int:
    """How many bytes of binary parts a header asks for, as far as they are allowed."""
    try:
        sizes = [size for _, size in json.loads(header)["blobs"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return sum(size for size in sizes if type(size) is int and 0 <= size <= PAYLOAD + LOG)


def _check_result(result: PhaseResult) -> None:
    assert result.outcome in set(Outcome)
    assert len(result.message) <= MAX_TEXT
    assert len(result.hint) <= MAX_TEXT
    assert len(result.payload) <= PAYLOAD + LOG
    assert len(result.log) <= PAYLOAD + LOG
    assert result.outcome is Outcome.OK or not result.payload
    assert [claim.epoch for claim in result.epochs] == list(range(1, len(result.epochs) + 1))
    assert len(result.epochs) <= EPOCHS
    assert all(math.isfinite(claim.seconds) and claim.seconds >= 0 for claim in result.epochs)
    assert result.best_epoch is None or 1 <= result.best_epoch <= len(result.epochs)
    assert result.place is None or (len(result.place.file) <= 255 and result.place.line > 0)


def _check_documents(result: PhaseResult) -> None:
    run = Run(
        run_id="r",
        outcome=result.outcome,
        phase=result.phase,
        message=result.message,
        hint=result.hint,
        place=result.place,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        predictions=None,
        score=Score("rmse", "min"),
        baselines=(),
        runtime=Runtime(),
        environment=ENVIRONMENT,
        log=result.log,
    )
    report = Report("hw1-bikes", "Title", "name", "0" * 64, run, (), 1.0)
    for document in (staff_document(report), student_document(report)):
        json.dumps(document, allow_nan=False)
