"""The seam between the main flow and whatever runs the guest: open, send, receive, usage, kill.

A backend starts one guest process whose standard input and output are the stream, and nothing else: no
file, no mount and no socket is shared. What the stream carries is `harness.protocol`'s affair.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from harness.host.records import Usage

# Under /proc: what tells of the whole machine, its start, its keys, its kernel's addresses and timers.
TELLTALES = ("cmdline", "config.gz", "kallsyms", "kcore", "keys", "sched_debug", "timer_list")
OPEN_FILES = 1024


class Wall(enum.Enum):
    """One protection of a sandbox. Tests leave one out to show that it is what stops an attack."""

    NETWORK = "network"
    SECCOMP = "seccomp"
    MEMORY = "memory"
    PROCESSES = "processes"
    SCRATCH = "scratch"
    READ_ONLY_ROOT = "read_only_root"
    ENVIRONMENT = "environment"
    UNPRIVILEGED = "unprivileged"
    NEUTRAL_PATHS = "neutral_paths"


ALL_WALLS = frozenset(Wall)


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What one sandbox may use.

    Attributes:
        command: the guest's argument list after the Python interpreter, which the backend puts first.
        run_id: labels everything that belongs to this run, so that a later start can sweep it.
        scratch_bytes: size of ``/tmp``, a tmpfs.
        shared_memory_bytes: size of ``/dev/shm``, a tmpfs.
        scratch_files: how many files and folders either may hold.
        gpu: whether one GPU is passed in.
        cores: the processors that are its own, by number; empty where none were reserved.
        low_priority: while it only gets ready, it gives way to everything else, on whatever processor is
            free, until `Sandbox.raise_priority`; a backend that cannot do that gives it its full share at
            once.
        walls: all of them, outside of the tests that show what each is for.
    """

    command: tuple[str, ...]
    run_id: str
    memory_bytes: int
    cpus: float
    processes: int
    scratch_bytes: int
    shared_memory_bytes: int
    scratch_files: int = 16_384
    open_files: int = OPEN_FILES
    gpu: bool = False
    cores: frozenset[int] = frozenset()
    low_priority: bool = False
    walls: frozenset[Wall] = ALL_WALLS


class Sandbox(Protocol):
    """One open sandbox. It is used by one thread at a time, except for `kill`."""

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Write all of `data` to the guest's standard input.

        The guest has to read all of it before it answers at length: nothing is read meanwhile.

        Args:
            data: the bytes.
            deadline: a time of `time.monotonic`.

        Raises:
            SandboxTimeoutError: the deadline passed first.
            SandboxClosedError: the guest no longer reads.
        """

    def receive(self, size: int, deadline: float) -> bytes:
        """Read exactly `size` bytes of the guest's standard output.

        Raises:
            SandboxTimeoutError: the deadline passed first, even if they have come by now.
            SandboxClosedError: the guest's last process is gone, or the sandbox was killed.
        """

    def raise_priority(self) -> None:
        """Give it its own processors and its full share of them, if it was opened with a low priority.

        Raises:
            SandboxError: the machine refused.
        """

    def usage(self) -> Usage:
        """What the sandbox used so far, as the host sees it."""

    def diagnostics(self) -> str:
        """The last of what the sandbox itself wrote to standard error, for staff."""

    def kill(self) -> None:
        """End every process of the sandbox and free what it held; a second call does nothing.

        Raises:
            SandboxError: something is left that would not end.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """A way to open sandboxes on this machine."""

    @property
    def name(self) -> str:
        """``docker``, ``bubblewrap`` or ``none``."""

    @property
    def isolated(self) -> bool:
        """Whether it is a wall between student code and this machine."""

    @property
    def image(self) -> str:
        """Digest of the image, or of the guest's packages where there is no image."""

    @property
    def limits_enforced_by(self) -> str:
        """How memory and process limits hold, for the report: ``cgroup`` or ``watching from the host``."""

    def open(self, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; it returns before the guest is ready.

        Raises:
            SandboxError: it did not start.
            WallError: a wall of `spec` cannot be raised here.
        """

    def sweep(self) -> int:
        """End and remove what killed runs of the harness left on this machine; return how many."""

    def close(self) -> None:
        """Let go of what it keeps beside its sandboxes, which have been ended; a second call does nothing."""


class SandboxTimeoutError(Exception):
    """A deadline of the host passed while it waited for a sandbox."""


class SandboxClosedError(Exception):
    """The guest closed its end: its last process is gone."""
