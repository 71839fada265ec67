"""One sandbox's conversation with the host: ready, one job, claims as they come, and a judged result.

The conversation ends with a verdict, which is `verdict`'s affair.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from harness.host.errors import SandboxError
from harness.host.guest_code import guest_bundle
from harness.host.sandbox.base import SandboxClosedError, SandboxTimeoutError
from harness.host.verdict import Heard, Job, epoch_claim, finding, judge, later
from harness.protocol import (
    Message,
    Outcome,
    ProtocolError,
    encode,
    read_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.host.records import EpochClaim, PhaseResult
    from harness.host.sandbox.base import Backend, Sandbox, SandboxSpec

READY_SECONDS = 120.0  # of the machine, not of the student: a cold disk has to give torch's libraries
STOP_SECONDS = 5.0  # for the supervisor to end a job that is over time, and to hand over its log
LEAVE_SECONDS = 2.0
MAX_CLAIM_HEADER = 1 << 16


class Conversation:
    """Speaks with the guest in one open sandbox."""

    def __init__(self, sandbox: Sandbox, spec: SandboxSpec) -> None:
        self._sandbox = sandbox
        self._spec = spec

    @classmethod
    def open(cls, backend: Backend, spec: SandboxSpec) -> Self:
        """Open a sandbox and send it the guest's code, so that it starts to get ready.

        Raises:
            MachineError: it did not start.
        """
        conversation = cls(backend.open(spec), spec)
        try:
            conversation.send_code()
        except BaseException:
            conversation.close()
            raise
        return conversation

    def send_code(self) -> None:
        """Send the guest's code.

        Raises:
            SandboxError: the guest does not take it.
        """
        try:
            self._sandbox.send(guest_bundle(), time.monotonic() + READY_SECONDS)
        except (SandboxTimeoutError, SandboxClosedError) as error:
            raise self._not_ready(error) from error

    def close(self) -> None:
        """End the sandbox; a second call does nothing."""
        self._sandbox.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_until_ready(self) -> dict[str, Any]:
        """Wait until the guest has imported torch, with its full share of the processors from now on.

        Returns:
            The versions of torch and Python inside.

        Raises:
            SandboxError: it did not get ready; this is the machine's fault.
        """
        deadline = time.monotonic() + READY_SECONDS
        self._sandbox.raise_priority()
        try:
            message = self._read(deadline, 0)
        except (SandboxTimeoutError, SandboxClosedError, ProtocolError) as error:
            raise self._not_ready(error) from error
        return dict(message.fields)

    def _not_ready(self, error: Exception) -> SandboxError:
        if isinstance(error, SandboxTimeoutError):
            why = f"no answer within {READY_SECONDS:.0f} s"
        elif isinstance(error, SandboxClosedError):
            why = "it ended"
        else:
            why = str(error)
        said = self._sandbox.diagnostics().strip()[-2000:]
        return SandboxError(
            f"the sandbox did not get ready: {why}{f'; it wrote: {said}' if said else ''}",
            "`harness doctor` shows what this machine can do",
        )

    def run(self, job: Job, on_epoch: Callable[[EpochClaim], None]) -> PhaseResult:
        """Do a job and judge how it ended. Afterwards no process of the sandbox is left.

        Args:
            job: the phase and what it is given.
            on_epoch: told of each epoch as the training loop reports it.

        Raises:
            SandboxError: the sandbox could not be ended.
        """
        heard = Heard()
        cpu_before = self._sandbox.usage().cpu_seconds
        started = time.monotonic()
        deadline = started + job.seconds
        try:
            for part in encode(job.message()):
                self._sandbox.send(part, deadline)
            self._listen(job, deadline, heard, on_epoch)
        except SandboxTimeoutError:
            heard.over_time = True
            self._stop(job, heard)
        except SandboxClosedError:
            pass  # its last process is gone: what the kernel counted says why
        except ProtocolError as error:
            text = f"more or other bytes came out of the sandbox than the loops send: {error}"
            heard.result = finding(
                Outcome.OUTPUT_LIMIT, text, "let only the harness's loops write to its channel"
            )
        usage = self._sandbox.usage()
        if heard.result is not None and not heard.over_time:
            self._let_go()
        else:
            self._sandbox.kill()
        seconds = time.monotonic() - started
        self._sandbox.kill()
        usage = later(usage, self._sandbox.usage())
        if usage.cpu_seconds is not None and cpu_before is not None:
            usage = replace(usage, cpu_seconds=max(0.0, usage.cpu_seconds - cpu_before))
        return judge(job, heard, usage, seconds, self._spec)

    def _read(self, deadline: float, max_blob_bytes: int) -> Message:
        return read_message(
            lambda size: self._sandbox.receive(size, deadline),
            max_blob_bytes=max_blob_bytes,
            max_header=MAX_CLAIM_HEADER,
        )

    def _listen(
        self, job: Job, deadline: float, heard: Heard, on_epoch: Callable[[EpochClaim], None]
    ) -> None:
        while heard.result is None:
            message = self._read(deadline, job.payload_bytes + job.log_bytes)
            if message.kind == "result":
                heard.result = message
            elif message.kind == "epoch" and len(heard.epochs) < job.fields.get("epochs", 0):
                claim = epoch_claim(message, len(heard.epochs) + 1)
                heard.epochs.append(claim)
                on_epoch(claim)
            else:
                raise ProtocolError(f"an unexpected message, {message.kind!r:.40}")

    def _stop(self, job: Job, heard: Heard) -> None:
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
