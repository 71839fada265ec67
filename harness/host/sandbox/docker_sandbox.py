"""One container: its streams, what it used, and its end."""

from __future__ import annotations

import dataclasses
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from docker.errors import NotFound

from harness.host.errors import SandboxError
from harness.host.records import Usage
from harness.host.sandbox.cgroup import cgroup_paths_of, read_usage
from harness.host.sandbox.docker_end import ENGINE_ERRORS, end_container
from harness.host.sandbox.docker_stream import AttachedStream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from docker import DockerClient


class DockerSandbox:
    """One running container and the stream to its first process; made by `DockerBackend.open`."""

    def __init__(
        self, client: DockerClient, container: str, stream: AttachedStream, full_priority: dict[str, Any]
    ) -> None:
        self.container = container
        self._full_priority = full_priority  # empty once it has that
        self._client = client
        self._stream = stream
        self._pid, self._groups = _process_and_groups(client, container)
        self._last_usage = Usage()
        self._kill_lock = threading.Lock()
        self._killed = False

    def first_process(self) -> int:
        """The container's process 1, as this machine counts it.

        Raises:
            ProcessLookupError: the engine's processes cannot be seen from here.
        """
        if not self._groups:
            raise ProcessLookupError(f"process 1 of the container {self.container} cannot be seen from here")
        return self._pid

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """See `Sandbox.send`."""
        self._stream.send(data, deadline)

    def receive(self, size: int, deadline: float) -> bytes:
        """See `Sandbox.receive`."""
        return self._stream.receive(size, deadline)

    def raise_priority(self) -> None:
        """See `Sandbox.raise_priority`."""
        with self._kill_lock:
            if not self._full_priority or self._killed:
                return
            try:
                self._client.api.update_container(self.container, **self._full_priority)
            except NotFound:
                return  # it has ended, and whoever reads from it is told so
            except ENGINE_ERRORS as error:
                raise SandboxError(
                    f"a container's share of the processors could not be set: {error}", "harness doctor"
                ) from error
            self._full_priority = {}

    def usage(self) -> Usage:
        """See `Sandbox.usage`; after the end, what was last seen."""
        if self._killed:
            return self._last_usage
        if any(path.exists() for path in self._groups.values()):
            self._last_usage = read_usage(self._groups)
        else:
            self._last_usage = self._usage_by_engine()
        return self._last_usage

    def diagnostics(self) -> str:
        """See `Sandbox.diagnostics`."""
        return self._stream.tail()

    def kill(self) -> None:
        """See `Sandbox.kill`."""
        with self._kill_lock:
            if self._killed:
                return
            self.usage()  # the counters go with the container
            self._killed = True
            self._stream.close()  # first: an engine with output that nobody takes does not end a container
            end_container(self._client, self.container)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _usage_by_engine(self) -> Usage:
        """Ask the engine: it is on another machine, or the container has ended and its counters are gone."""
        try:
            state = self._client.api.inspect_container(self.container)["State"]
            stats = (
                self._client.api.stats(self.container, stream=False, one_shot=True)
                if state["Running"]
                else {}
            )
        except ENGINE_ERRORS:
            return self._last_usage
        return usage_of_stats(stats, self._last_usage, out_of_memory=bool(state["OOMKilled"]))


def usage_of_stats(stats: Mapping[str, Any], last: Usage, *, out_of_memory: bool) -> Usage:
    """Read the engine's own counters.

    Args:
        stats: an answer of the engine's ``/containers/ID/stats``; empty once the container has ended.
        last: what was known before; it stands where `stats` says nothing.
        out_of_memory: whether the engine saw a process of the container end at the memory limit.
    """
    nanoseconds = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
    memory = stats.get("memory_stats", {})
    peaks = (
        last.peak_memory_bytes,
        memory.get("max_usage"),
        memory.get("usage"),
    )  # only version 1 keeps a peak
    known = [peak for peak in peaks if peak]
    return dataclasses.replace(
        last,
        cpu_seconds=nanoseconds / 1e9 if nanoseconds else last.cpu_seconds,
        peak_memory_bytes=max(known) if known else None,
        out_of_memory=max(last.out_of_memory, int(out_of_memory)),
    )


def attach(client: DockerClient, container: str) -> AttachedStream:
    """Connect to a container's standard streams, before it is started.

    Raises:
        SandboxError: the connection takes no deadlines.
    """
    streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    attached = client.api.attach_socket(container, params=streams)
    raw = getattr(attached, "_sock", attached)  # a plain connection comes inside a file object
    if isinstance(raw, socket.socket):
        return AttachedStream(raw, getattr(attached, "_response", None))
    attached.close()
    raise SandboxError(
        f"the engine's connection is a {type(raw).__name__}, which takes no deadlines",
        "set DOCKER_HOST to a unix:// or tcp:// address (an ssh:// one can be forwarded to a local socket)",
    )


def _process_and_groups(client: DockerClient, container: str) -> tuple[int, dict[str, Path]]:
    """Process 1 and the control groups; no groups if the engine's processes cannot be seen from here."""
    try:
        pid = client.api.inspect_container(container)["State"]["Pid"]
        paths = cgroup_paths_of(pid) if pid else {}
    except OSError:  # a request that failed is one too
        return 0, {}
    return pid, {name: path for name, path in paths.items() if container in str(path)}
