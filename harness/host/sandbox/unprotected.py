"""The backend ``none``: the guest as an ordinary process of this machine, behind no wall at all.

It is for a student's own code on a machine where neither an engine nor bubblewrap works, and must be asked
for by name. Limits are held by `watch` where there is a ``/proc``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Self

from harness.host.errors import SandboxError
from harness.host.runtime import GuestRuntime, ensure_guest_runtime
from harness.host.sandbox.cgroup import Limits
from harness.host.sandbox.stream import PipeStream
from harness.host.sandbox.watch import Watch, end_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.host.records import Usage
    from harness.host.sandbox.base import SandboxSpec

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "CUDA_VISIBLE_DEVICES")


class UnprotectedBackend:
    """Runs the guest with this machine's Python and the packages that every sandbox has.

    Args:
        progress: is told when the packages have to be laid out first.
    """

    name = "none"
    isolated = False
    limits_enforced_by = "watching from the host"

    def __init__(self, progress: Callable[[str], None] = lambda _: None) -> None:
        self._runtime = ensure_guest_runtime(progress)

    @property
    def image(self) -> str:
        """Digest of the guest's packages; the interpreter is this one."""
        return self._runtime.digest

    def open(self, spec: SandboxSpec) -> UnprotectedSandbox:
        """Start the guest; see `Backend.open`."""
        return UnprotectedSandbox(spec, self._runtime)

    def close(self) -> None:
        """There is nothing else; see `Backend.close`."""

    def sweep(self) -> int:
        """Nothing is left of a killed harness: its guest leaves when the stream closes."""
        return 0


class UnprotectedSandbox:
    """One guest process with a scratch folder of its own."""

    def __init__(self, spec: SandboxSpec, runtime: GuestRuntime) -> None:
        self._scratch = tempfile.mkdtemp(prefix=f"harness-{spec.run_id}-")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {
            "PYTHONHASHSEED": "0",
            "LANG": "C.UTF-8",
            "HOME": self._scratch,
            "TMPDIR": self._scratch,
            "HARNESS_PACKAGES": str(runtime.site_packages),
        }
        self._process = subprocess.Popen(
            [sys.executable, *spec.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=self._scratch,
            env=environment,
            start_new_session=True,
        )
        self._stream = PipeStream(self._process)
        self._watch = Watch(self._process, Limits(spec.memory_bytes, spec.processes, spec.cpus))
        self._kill_lock = threading.Lock()
        self._killed = False

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """See `Sandbox.send`."""
        self._stream.send(data, deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        """See `Sandbox.receive`."""
        return self._stream.receive(size, deadline)

    def raise_priority(self) -> None:
        """See `Sandbox.raise_priority`; its share was full from the beginning."""

    def usage(self) -> Usage:
        """See `Sandbox.usage`."""
        return self._watch.usage()

    def diagnostics(self) -> str:
        """See `Sandbox.diagnostics`."""
        return self._stream.tail()

    def kill(self) -> None:
        """See `Sandbox.kill`; a process that fled from its session is found as a descendant."""
        with self._kill_lock:
            if self._killed:
                return
            self._killed = True
            self._watch.stop()
            # Once it was waited for, its id may be another's.
            gone = self._process.poll() is not None or end_tree(self._process.pid)
            self._stream.close()
            shutil.rmtree(self._scratch, ignore_errors=True)
            if not gone:
                raise SandboxError(f"processes under process {self._process.pid} would not end")
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
