"""Ends containers, and tells those that a killed harness left behind."""

from __future__ import annotations

import functools
import platform
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from harness.host.errors import SandboxError
from harness.host.sandbox.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

RUN_LABEL, OWNER_LABEL, MACHINE_LABEL = "harness.run", "harness.owner", "harness.machine"
KILL_SECONDS = 20.0
FOREIGN_SECONDS = 24 * 3600.0  # no run takes a day, wherever its harness lives
CONFLICT = 409  # of a container that is not in the state that a request asks for
ENGINE_ERRORS = (DockerException, RequestException)  # a timeout is a RequestException


def owner_labels(run_id: str) -> dict[str, str]:
    """Labels that name the run and the harness process that a container belongs to."""
    return {RUN_LABEL: run_id, OWNER_LABEL: str(Owner.of_this_process()), MACHINE_LABEL: machine()}


def is_orphan(labels: Mapping[str, str], age_seconds: float) -> bool:
    """Whether the harness that made a container is gone.

    A process of another machine or pid namespace cannot be seen from here; its containers count as left
    behind after a day.
    """
    owner = Owner.parse(labels.get(OWNER_LABEL, ""))
    if owner is None or not owner.started or labels.get(MACHINE_LABEL) != machine():
        return age_seconds > FOREIGN_SECONDS
    return not owner.alive()


@functools.cache
def machine() -> str:
    """Names what process ids are counted in: this start of this machine, and the pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def end_container(client: DockerClient, container: str, seconds: float = KILL_SECONDS) -> None:
    """Kill and remove a container, whatever state it is in; one that is gone is well.

    Raises:
        SandboxError: it is still there after `seconds`, which a process that waits on a device can cause.
    """
    deadline = time.monotonic() + seconds
    failures: list[Exception] = []

    def work() -> None:
        try:
            _kill_and_remove(client, container, deadline)
        except ENGINE_ERRORS as error:
            failures.append(error)

    thread = threading.Thread(target=work, name=f"end {container[:12]}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive() or failures:
        reason = failures[0] if failures else f"the engine did not answer within {seconds:.0f} s"
        raise SandboxError(
            f"container {container} would not end: {reason}",
            f"docker rm --force {container[:12]}; a process that waits on a device takes a restart",
        )


def _kill_and_remove(client: DockerClient, container: str, deadline: float) -> None:
    try:
        client.api.kill(container)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != CONFLICT:  # not running
            raise
    while True:
        try:
            client.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != CONFLICT or time.monotonic() > deadline:  # being removed by someone else
                raise
            time.sleep(0.05)
