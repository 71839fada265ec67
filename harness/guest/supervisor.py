"""The first process of a sandbox: it warms up, forks a child for the student's code, and answers the host.

It keeps the protocol's descriptors to itself, cannot be signalled or traced by the child, and ends
everything that the child left before it passes the child's result on. It runs no student code.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from harness.guest.channel import ChannelClosedError, Sender, read_exactly, write
from harness.protocol import Decoder, Message, Outcome, Phase, ProtocolError, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Take = Callable[[bytes], None]

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
MAX_JOB_BYTES = 1 << 32
POLL_MILLISECONDS = 50
CHUNK = 1 << 16
FIRST_PROCESS = 1


def main() -> NoReturn:
    """Take one job, do it and leave. The interpreter's own exit would cost most of a second."""
    job_input, answers = _take_over_streams()
    # The kernel keeps a signal from process 1 only where no handler is set, and Python sets one for this.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    with suppress(ChannelClosedError, BrokenPipeError):
        write(answers, Message("ready", warm_up()))
        job = read_message(lambda size: read_exactly(job_input, size), max_blob_bytes=MAX_JOB_BYTES)
        write(answers, _Supervision(job, job_input, answers).run())
        read_exactly(job_input, 1)  # the host reads what was used, and then closes
    os._exit(0)


def _take_over_streams() -> tuple[int, int]:
    """Move the protocol away from descriptors 0 and 1, where any stray print would land in it."""
    job_input, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return job_input, answers


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def warm_up() -> dict[str, str]:
    """Import what every child needs, so that it inherits it: torch, the loops and the optimizers."""
    import torch  # noqa: PLC0415  half of the start-up; it must come after the streams were taken over

    from harness.guest import child, late_compiler  # noqa: F401, PLC0415  likewise

    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    late_compiler.put_off(torch)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)  # imports what it needs
    return {"torch": torch.__version__, "python": platform.python_version()}


class _Supervision:
    """One child, from its fork until nothing of it is left."""

    def __init__(self, job: Message, job_input: int, answers: int) -> None:
        caps = job.fields["caps"]
        self._job = job
        self._job_input, self._answers = job_input, answers
        self._log, self._log_cap = bytearray(), caps["log_bytes"]
        self._decoder = Decoder(max_blob_bytes=caps["payload_bytes"], max_header=1 << 16)
        self._epochs_left = job.fields["epochs"] if job.fields["phase"] == Phase.TRAIN else 0
        self._result: Message | None = None
        self._overruled: Message | None = None

    def run(self) -> Message:
        """Fork, relay, end everything, and return the result message with the log as a blob."""
        channel, channel_in = os.pipe()
        log, log_in = os.pipe()
        child = os.fork()
        if child == 0:
            for descriptor in (channel, log, self._job_input, self._answers):
                os.close(descriptor)
            _become_child(self._job, channel_in, log_in)
        os.close(channel_in)
        os.close(log_in)
        for descriptor in (channel, log):
            os.set_blocking(descriptor, False)
        status = self._relay(child, channel, log)
        status = _end_everything(child, status)
        self._drain(channel, self._take_channel)
        self._drain(log, self._take_log)
        result = self._overruled or self._result or _ended_without_result(status)
        return Message(result.kind, result.fields, {**result.blobs, "log": bytes(self._log)})

    def _relay(self, child: int, channel: int, log: int) -> int | None:
        """Pass claims on until the child has ended or must be ended; return its exit status, if known."""
        poller = select.poll()
        for descriptor in (channel, log, self._job_input):
            poller.register(descriptor, select.POLLIN)
        with _exit_descriptor(child) as exit_descriptor:
            if exit_descriptor is not None:
                poller.register(exit_descriptor, select.POLLIN)
            while self._overruled is None:
                ready = {descriptor for descriptor, _ in poller.poll(POLL_MILLISECONDS)}
                for descriptor, take in ((channel, self._take_channel), (log, self._take_log)):
                    if descriptor in ready and not self._drain(descriptor, take):
                        poller.unregister(descriptor)
                if self._job_input in ready:
                    self._obey()
                status = _reap(child)
                if status is not None:
                    return status
        return None

    def _drain(self, descriptor: int, take: _Take) -> bool:
        """Give what lies in a pipe to `take`, up to a verdict; False when the pipe has ended."""
        while self._overruled is None:
            try:
                chunk = os.read(descriptor, CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            take(chunk)
        return True

    def _take_log(self, chunk: bytes) -> None:
        self._log += chunk[: self._log_cap - len(self._log)]
        if len(self._log) >= self._log_cap:
            self._overrule(
                Outcome.OUTPUT_LIMIT,
                f"your code printed more than the {self._log_cap // 1024} KiB that are kept",
                "print once an epoch, not once a batch",
            )

    def _take_channel(self, chunk: bytes) -> None:
        try:
            for message in self._decoder.feed(chunk):
                if message.kind == "epoch" and self._epochs_left > 0 and self._result is None:
                    self._epochs_left -= 1
                    write(self._answers, message)
                elif message.kind == "result" and self._result is None:
                    self._result = message
                else:
                    raise ProtocolError("more was reported than the loops report")  # noqa: TRY301
        except ProtocolError as error:
            self._overrule(
                Outcome.OUTPUT_LIMIT, f"the loops' own channel was misused: {error}", "write only to print()"
            )

    def _obey(self) -> None:
        """Stop when the host says so; leave at once when it is gone."""
        try:
            message = read_message(lambda size: read_exactly(self._job_input, size), max_blob_bytes=0)
        except ChannelClosedError:
            os._exit(1)
        if message.kind == "stop":
            self._overrule(Outcome.TIME_LIMIT, "stopped by the host", "")

    def _overrule(self, outcome: Outcome, message: str, hint: str) -> None:
        self._overruled = Message("result", {"outcome": outcome, "message": message, "hint": hint})


class _exit_descriptor:  # noqa: N801  used like a function
    """A descriptor that is readable once a process has ended; None where the kernel has no such thing."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor: int | None = None

    def __enter__(self) -> int | None:
        with suppress(OSError, AttributeError):
            self._descriptor = os.pidfd_open(self._pid)
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _become_child(job: Message, channel: int, log: int) -> NoReturn:
    """Give the student's process its descriptors, offer it first when memory is short, and run it."""
    from harness.guest import child  # noqa: PLC0415  imported already; it needs torch

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _prctl(PR_SET_DUMPABLE, 1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    try:
        child.run(job, Sender(channel))
    finally:
        os._exit(0)


def _reap(child: int) -> int | None:
    """Collect ended processes, also those that fell to us; return the child's status if it was among them."""
    for pid, status in _ended(os.WNOHANG):
        if pid == child:
            return status
    return None


def _ended(options: int) -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, options)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _end_everything(child: int, status: int | None) -> int | None:
    """Kill all that is left of the child, wait for it, and return the child's status."""
    if os.getpid() == FIRST_PROCESS:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # all of this pid namespace but ourselves
        for pid, ended in _ended(0):
            status = ended if pid == child else status
        return status
    while True:  # without walls: the child's session, and what fled from it into our care
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        for pid in _own_children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        status = ended if pid == child else status


def _own_children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def _ended_without_result(status: int | None) -> Message:
    if status is not None and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in signal.valid_signals() else str(number)
        text, hint = f"the process was ended by {name}", _SIGNAL_HINTS.get(name, "")
    else:
        code = os.waitstatus_to_exitcode(status) if status is not None else "unknown"
        text = f"your code ended the process (exit status {code}) before the loops were done"
        hint = "remove os._exit() and os.exec...(): the loops must go on after your code"
    return Message("result", {"outcome": Outcome.RUNTIME_ERROR, "message": text, "hint": hint})


_SIGNAL_HINTS = {
    "SIGSEGV": "a crash in native code: endless recursion, ctypes, or an index outside of a tensor's memory",
    "SIGABRT": "native code gave up; its last words are in the log",
    "SIGKILL": "something in your code killed the process, or the machine ran out of memory",
    "SIGSYS": "your code made a system call that the sandbox does not allow",
}
