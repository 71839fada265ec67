"""The image that the guest's image starts from: the official Python one, or one made without a registry.

Where a registry answers, or the image was pulled before, it is ``python:3.11-slim``. Elsewhere root can make
a minimal Debian 12, which has the same Python, with debootstrap.
"""

from __future__ import annotations

import enum
import hashlib
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, cast

from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from harness.host.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docker import DockerClient

OFFICIAL = "python:3.11-slim"
SUITE = "bookworm"
DEBOOTSTRAP = (
    "debootstrap",
    "--variant=minbase",
    "--force-check-gpg",
    "--include=python3,python3-venv",
    SUITE,
)
# What debootstrap takes over from this machine or writes about it; students can read what is in the image.
LEFT_OUT = (
    *("etc/resolv.conf", "etc/hostname", "etc/apt/sources.list"),
    *("var/log/*", "var/cache/apt/*", "var/lib/apt/*"),
)
DEBOOTSTRAP_SECONDS = 1800
LAST_LINES = 12


class Base(enum.Enum):
    """Where the guest's Python comes from."""

    OFFICIAL = "official"
    DEBOOTSTRAP = "debootstrap"


def debootstrapped_tag() -> str:
    """The tag of the base that debootstrap makes; it names the recipe."""
    recipe = hashlib.sha256(" ".join(DEBOOTSTRAP + LEFT_OUT).encode()).hexdigest()
    return f"harness-base:{SUITE}-{recipe[:16]}"


def base_reference(base: Base) -> str:
    """The image that a base is."""
    return OFFICIAL if base is Base.OFFICIAL else debootstrapped_tag()


def is_local(client: DockerClient, reference: str) -> bool:
    """Whether the engine has this image.

    Raises:
        DockerException: the engine did not answer.
    """
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def choose_base(client: DockerClient) -> tuple[Base | None, str]:
    """Find the base that can be had here, without making it.

    Returns:
        The base and where it comes from, or None and what is missing.
    """
    if is_local(client, OFFICIAL):
        return Base.OFFICIAL, f"{OFFICIAL} is on the engine"
    if is_local(client, debootstrapped_tag()):
        return Base.DEBOOTSTRAP, f"{debootstrapped_tag()} is on the engine"
    if _registry_answers(client):
        return Base.OFFICIAL, f"a registry has {OFFICIAL}"
    missing = [tool for tool in ("debootstrap", "tar", "unshare") if shutil.which(tool) is None]
    if missing:
        return None, f"no registry answers, and {', '.join(missing)} is not installed"
    if os.geteuid() != 0:
        return None, "no registry answers, and debootstrap needs root"
    return Base.DEBOOTSTRAP, "no registry answers; debootstrap is installed"


def ensure_base(client: DockerClient, base: Base, cache: Path, progress: Callable[[str], None]) -> str:
    """Pull or make the base unless it is there; return its `base_reference`.

    Args:
        client: the engine.
        base: what `choose_base` found.
        cache: a folder for the half-made Debian; it needs about 400 MB.
        progress: is told what goes on, line by line.

    Raises:
        MachineError: it could not be had.
        DockerException: the engine refused something or did not answer.
    """
    reference = base_reference(base)
    if is_local(client, reference):
        return reference
    if base is Base.OFFICIAL:
        progress(f"pulling {reference}")
        client.images.pull(reference)
    else:
        progress(f"making a minimal Debian ({SUITE}) with debootstrap, about a minute")
        with tempfile.TemporaryDirectory(prefix="debian-", dir=cache) as folder:
            _debootstrap(folder)
            _import(client, folder, reference)
    return reference


def _registry_answers(client: DockerClient) -> bool:
    """Ask for the image's digest; the engine itself gives up on a silent registry after some 15 seconds."""
    try:
        client.images.get_registry_data(OFFICIAL)
    except (DockerException, RequestException):
        return False
    return True


def _debootstrap(folder: str) -> None:
    # in a mount namespace of its own, so that /proc inside the folder cannot outlive it
    command = ["unshare", "--mount", "--propagation", "private", *DEBOOTSTRAP, folder]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEBOOTSTRAP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MachineError(
            f"debootstrap took more than {DEBOOTSTRAP_SECONDS} s",
            "see whether the Debian mirror is reachable",
        ) from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
        raise MachineError(
            f"debootstrap ended with status {done.returncode}; the last it said:\n{last}",
            "see whether the Debian mirror is reachable and debian-archive-keyring is installed",
        )


def _import(client: DockerClient, folder: str, tag: str) -> None:
    """Make an image of one layer out of a folder, streaming it to the engine."""
    repository, _, version = tag.partition(":")
    excludes = [f"--exclude=./{path}" for path in LEFT_OUT]
    command = ["tar", "--numeric-owner", *excludes, "-C", folder, "-c", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        stream = cast("Any", tar.stdout)  # the stubs ask for bytes, requests streams a file
        answer = client.api.import_image_from_stream(stream, repository=repository, tag=version)
    if not is_local(client, tag):
        raise MachineError(f"the engine did not take the Debian base; it said: {str(answer)[-500:]}")
    if tar.returncode != 0:
        client.images.remove(tag, force=True)
        raise MachineError(
            f"tar ended with status {tar.returncode} while it packed the Debian base in {folder}"
        )
