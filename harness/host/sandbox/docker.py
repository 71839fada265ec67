"""The Docker backend: cells of one container, or a container each, on an engine of version 20.10 or newer.

Nothing is mounted into a container and nothing is copied out of it; its standard streams are all there is.
Every container carries labels that name the harness process that made it, so that a later start can remove
what a killed one left.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from docker.errors import ImageNotFound

from harness.host.errors import SandboxError, WallError
from harness.host.sandbox import cgroup
from harness.host.sandbox.base import TELLTALES
from harness.host.sandbox.cells import Cells, namespaces_are_allowed, parent_spec
from harness.host.sandbox.docker_end import ENGINE_ERRORS, RUN_LABEL, end_container, is_orphan, owner_labels
from harness.host.sandbox.docker_options import (
    FURTHER_TELLTALES,
    SCRATCH,
    UID,
    container_config,
    environment_of,
    full_priority,
    host_config,
    parent_host_config,
    starts_low,
)
from harness.host.sandbox.docker_sandbox import DockerSandbox, attach
from harness.host.sandbox.nest import CellSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker import DockerClient

    from harness.host.sandbox.base import Sandbox, SandboxSpec
    from harness.host.sandbox.nest import Parent

CONTROL = f"{SCRATCH}/nest"  # which cells do not see: they have a scratch space of their own
SWEEPERS = 8
SWEEP_SECONDS = 10.0  # a killed container is gone in one; a submission waits for these


class DockerBackend:
    """Opens sandboxes on a Docker engine.

    Args:
        client: the engine; it stays the caller's to close.
        image_reference: the guest's image, see `harness.host.image`. It is resolved once, to its digest.
        runtime: an OCI runtime that the engine knows, such as ``runsc``; None for its default.
        progress: is told of an old container that would not end, and if no cells can be made.
        cells: whether sandboxes may be cells of one warmed container, see `nest`; with another runtime, and
            where the engine's processes cannot be reached from here, each is a container.

    Raises:
        SandboxError: the engine does not answer, has no such image or runtime, or runs no Linux containers.
    """

    name = "docker"
    isolated = True
    limits_enforced_by = "cgroup"

    def __init__(
        self,
        client: DockerClient,
        image_reference: str,
        runtime: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
        *,
        cells: bool = True,
    ) -> None:
        self._client = client
        self._runtime = runtime
        self._progress = progress
        try:
            self._image = str(client.images.get(image_reference).id)
            info = client.info()
        except ImageNotFound as error:
            raise SandboxError(f"the engine has no image {image_reference!r}", "harness image") from error
        except ENGINE_ERRORS as error:
            raise SandboxError(f"the Docker engine does not answer: {error}", "harness doctor") from error
        if info["OSType"] != "linux":
            raise SandboxError("the Docker engine runs no Linux containers", "switch it to Linux containers")
        if runtime is not None:
            _require_runtime(runtime, info)
        self._cpus = float(info["NCPU"])
        is_here = _is_this_machine(info)
        self._has_cores_of_this_machine = bool(info.get("CPUSet")) and is_here
        self._cells = Cells(
            self._start_parent,
            CellSettings(UID, environment_of(gpu=False), (*TELLTALES, *FURTHER_TELLTALES)),
            progress,
            wanted=cells and runtime is None and is_here and os.geteuid() == 0 and namespaces_are_allowed(),
        )

    @property
    def image(self) -> str:
        """Digest of the image."""
        return self._image

    def open(self, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; see `Backend.open`."""
        if not self._has_cores_of_this_machine:
            spec = dataclasses.replace(spec, cores=frozenset())
        return self._cells.open(spec) or self._started(
            spec, host_config(self._client, spec, self._cpus, self._runtime)
        )

    def _start_parent(self, spec: SandboxSpec) -> Parent:
        spec = parent_spec(spec, CONTROL)
        return DockerParent(self._started(spec, parent_host_config(self._client, spec, self._cpus)))

    def _started(self, spec: SandboxSpec, config: dict[str, Any]) -> DockerSandbox:
        container = ""
        try:
            container = self._create(spec, config)
            stream = attach(self._client, container)
            try:
                self._client.api.start(container)
                to_raise = full_priority(spec) if starts_low(spec, self._runtime) else {}
                return DockerSandbox(self._client, container, stream, to_raise)
            except BaseException:
                stream.close()
                raise
        except BaseException as error:
            if container:
                end_container(self._client, container)
            if isinstance(error, ENGINE_ERRORS):
                raise SandboxError(f"a container did not start: {error}", "harness doctor") from error
            raise

    def close(self) -> None:
        """End the parent of the cells; the client stays the caller's. See `Backend.close`."""
        self._cells.close()

    def sweep(self, seconds: float = SWEEP_SECONDS) -> int:
        """Remove the containers and control groups of harnesses that are gone; see `Backend.sweep`.

        One that does not end within `seconds` is reported and stays, and the others go.
        """
        try:
            found = self._client.api.containers(all=True, filters={"label": RUN_LABEL})
        except ENGINE_ERRORS as error:
            raise SandboxError(f"the Docker engine does not answer: {error}", "harness doctor") from error
        orphans = [each["Id"] for each in found if is_orphan(each["Labels"], time.time() - each["Created"])]
        groups = cgroup.sweep(progress=self._progress)  # of cells, which end with their container
        if not orphans:
            return groups
        with ThreadPoolExecutor(min(len(orphans), SWEEPERS), thread_name_prefix="sweep") as pool:
            return groups + sum(pool.map(lambda orphan: self._swept(orphan, seconds), orphans))

    def _swept(self, container: str, seconds: float) -> bool:
        try:
            end_container(self._client, container, seconds)
        except SandboxError as error:
            self._progress(f"{error.message} ({error.fix})")
            return False
        return True

    def _create(self, spec: SandboxSpec, config: dict[str, Any]) -> str:
        created = self._client.api.create_container(
            self._image,
            host_config=config,
            **container_config(spec, owner_labels(spec.run_id)),
        )
        discarded = [text for text in created["Warnings"] or () if "discarded" in text.lower()]
        if discarded:
            end_container(self._client, created["Id"])
            raise WallError(
                f"the Docker engine leaves out a limit: {' '.join(discarded)}",
                "let the engine use control groups (rootless engines need version 2 with delegation)",
            )
        return str(created["Id"])


class DockerParent:
    """The parent of a `Nest`, in a container of its own.

    Nothing is shared with it: it makes a socket in its own scratch space, and who may look into a process of
    this machine gets there by way of ``/proc``.
    """

    def __init__(self, sandbox: DockerSandbox) -> None:
        self.sandbox = sandbox

    def connect(self) -> socket.socket:
        """See `Parent.connect`."""
        pid = self.sandbox.first_process()
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            control.connect(f"/proc/{pid}/root{CONTROL}")
        except BaseException:
            control.close()
            raise
        return control

    def close(self) -> None:
        """See `Parent.close`."""
        self.sandbox.kill()


def _is_this_machine(info: Mapping[str, Any]) -> bool:
    """Whether the engine's processors are the ones that are seen from here."""
    return info.get("KernelVersion") == platform.release() and info["NCPU"] == os.cpu_count()


def _require_runtime(runtime: str, info: Mapping[str, Any]) -> None:
    known = sorted(info.get("Runtimes") or ())
    if runtime not in known:
        raise SandboxError(
            f"the Docker engine has no runtime {runtime!r}; it has: {', '.join(known) or 'none'}",
            "name it under runtimes in /etc/docker/daemon.json and restart the engine; for gVisor, "
            "`runsc install -- --network=none` writes that (sandboxes have no network)",
        )
