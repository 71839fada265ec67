"""Chooses where student code runs, and says which and why; it never falls back to less in silence."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.errors import MachineError, UsageError, WallError
from harness.host.sandbox import gpu
from harness.host.sandbox.unprotected import UnprotectedBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Backend

ENGINE_SOCKET = Path("/var/run/docker.sock")
NOTHING_WORKS = (
    "`make doctor` (`harness doctor`) shows what is missing; for your own code alone, on your own machine, "
    "there is --sandbox none, which protects nothing"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend, the reason for it, and the device that was settled on."""

    backend: Backend
    reason: str
    device: str


def choose(sandbox: str, device: str, note: Callable[[str], None], runtime: str | None = None) -> Choice:
    """Choose a backend and a device.

    Args:
        sandbox: ``auto``, ``docker``, ``bubblewrap`` or ``none``.
        device: ``auto``, ``cpu`` or ``cuda``.
        note: is told of what takes long, such as building the image.
        runtime: an OCI runtime that the Docker engine knows, such as ``runsc``; None for its default.

    Raises:
        UsageError: a runtime was asked for, and a sandbox that has none.
        MachineError: what was asked for does not work here.
    """
    settled = _device(device)
    if runtime is not None:  # asked for by name, so nothing else will do
        if sandbox not in {"auto", "docker"}:
            raise UsageError(
                f"--runtime {runtime} is for Docker, and --sandbox {sandbox} was asked for",
                "take --sandbox docker, or leave --runtime out",
            )
        return Choice(_docker(note, runtime), f"asked for by name, with the runtime {runtime}", settled)
    if sandbox == "none":
        return Choice(UnprotectedBackend(note), "asked for by name; nothing is isolated", settled)
    if sandbox == "docker":
        return Choice(_docker(note), "asked for by name", settled)
    if sandbox == "bubblewrap":
        return Choice(_bubblewrap(note), "asked for by name", settled)
    try:
        return Choice(_docker(note), "a Docker engine answers", settled)
    except MachineError as error:
        why = error.message
    try:
        return Choice(_bubblewrap(note), f"no Docker here: {why}", settled)
    except MachineError as error:
        raise WallError(
            f"no sandbox works here. Docker: {why}. bubblewrap: {error.message}", NOTHING_WORKS
        ) from error


def _device(asked: str) -> str:
    if asked == "cuda" and not gpu.available():
        raise MachineError(
            "--device cuda was asked for, and no NVIDIA driver is loaded here", "use --device cpu"
        )
    if asked == "auto":
        return "cuda" if gpu.available() else "cpu"
    return asked


def engine_configured() -> bool:
    """Whether there is anything that could be a Docker engine, so that the client is worth importing."""
    return bool(os.environ.get("DOCKER_HOST")) or ENGINE_SOCKET.exists()


def _docker(note: Callable[[str], None], runtime: str | None = None) -> Backend:
    if not engine_configured():
        raise MachineError("no engine answers", "start Docker, or take --sandbox bubblewrap")
    from harness.host.image import connect, ensure_image  # noqa: PLC0415  a third of a second, only with an engine
    from harness.host.sandbox.docker import DockerBackend  # noqa: PLC0415  likewise

    client = connect()
    return DockerBackend(client, ensure_image(client, build=True, progress=note), runtime, note)


def _bubblewrap(note: Callable[[str], None]) -> Backend:
    if sys.platform != "linux":
        raise WallError("bubblewrap needs Linux", "start Docker")
    from harness.host.sandbox.bubblewrap import BubblewrapBackend, probe  # noqa: PLC0415  Linux only

    why_not = probe()
    if why_not:
        raise WallError(
            f"bubblewrap does not work here: {why_not}",
            "allow user namespaces; on Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )
    return BubblewrapBackend(note)
