"""The guest's image: named after what goes into it, and built where it is not there yet.

It holds Python 3.11 and the packages that submissions may import, at the versions that are installed here.
The guest's own code is not in it: that is sent over standard input with each run. Packages are downloaded by
pip on this machine, with its own settings, and the build itself has no network.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.host.cache import locked, user_cache
from harness.host.errors import MachineError
from harness.host.image_base import Base, base_reference, choose_base, ensure_base, is_local
from harness.host.runtime import guest_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from docker import DockerClient

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
KNOCK_SECONDS = 5.0
REPOSITORY = "harness-guest"
PYTHON_VERSION = "3.11"
STAGE_LABEL = "harness.stage=build"  # as in the Dockerfile
DOWNLOAD_SECONDS = 1800
LAST_LINES = 12
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # as the engine says it, as wheels say it
GLIBC_VERSIONS = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35")  # Debian 12 has 2.36


def connect() -> DockerClient:
    """A client of the engine that ``DOCKER_HOST`` names, or of this machine's.

    Raises:
        MachineError: no engine answers.
    """
    address = os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET
    try:
        if address.startswith("unix://"):
            _knock(address.removeprefix("unix://"))
        return docker.from_env()  # it asks the engine for its version
    except (DockerException, OSError) as error:
        raise _no_engine(error) from error


def image_tag(base: Base, requirements: Iterable[str], dockerfile: str) -> str:
    """The name of the image that is made of these parts; another part is another name."""
    parts = "\0".join([dockerfile, *requirements, base_reference(base), PYTHON_VERSION])
    return f"{REPOSITORY}:{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


def find_image(client: DockerClient) -> str | None:
    """The reference of the image for what is installed here, if the engine has it; nothing is built.

    Raises:
        DockerException: the engine did not answer.
    """
    tags = (image_tag(base, guest_requirements(), _dockerfile()) for base in Base)
    return next((tag for tag in tags if is_local(client, tag)), None)


def can_build(client: DockerClient) -> tuple[bool, str]:
    """Whether `ensure_image` could build here, and the reason; it asks a registry, which may take seconds."""
    if not _pip_is_there():
        return False, f"pip is not installed for {sys.executable}"
    try:
        base, reason = choose_base(client)
    except (DockerException, RequestException) as error:
        return False, f"the engine does not answer: {error}"
    return base is not None, reason


def ensure_image(client: DockerClient, *, build: bool, progress: Callable[[str], None]) -> str:
    """Return the reference of the guest's image, building it first if it is not there.

    Args:
        client: the engine.
        build: whether it may be built; that takes minutes, and gigabytes of downloads.
        progress: is told what goes on, line by line.

    Raises:
        MachineError: the image is not there and may not or cannot be built.
    """
    try:
        reference = find_image(client)
        if reference is not None:
            return reference
        if not build:
            raise MachineError(
                "the engine has no image of the guest for the packages that are installed here",
                "harness image",
            )
        return _build_once(client, progress)
    except (DockerException, RequestException) as error:
        raise MachineError(f"the image of the guest could not be made: {error}", "harness doctor") from error


def make_image(progress: Callable[[str], None]) -> str:
    """What ``harness image`` does: build the guest's image on the engine in use unless it is there.

    Raises:
        MachineError: no engine answers, or the image cannot be built.
    """
    client = connect()
    try:
        return ensure_image(client, build=True, progress=progress)
    finally:
        client.close()


def _knock(path: str) -> None:
    """See whether anyone listens, since docker-py leaves a socket open when nobody does."""
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(KNOCK_SECONDS)
        knocking.connect(path)


def _no_engine(error: Exception) -> MachineError:
    return MachineError(
        f"no Docker engine answers: {error}",
        "start Docker, or set DOCKER_HOST to where an engine listens",
    )


def _dockerfile() -> str:
    return (importlib.resources.files("harness.host") / "image_context" / "Dockerfile").read_text()


def _pip_is_there() -> bool:
    done = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    return done.returncode == 0


def _cache_folder() -> Path:
    folder = user_cache("image")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"{folder} cannot be made, and the image is prepared there: {error}",
            "set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return folder


def _remove_leftovers(cache: Path) -> None:
    """Remove what a killed build left; whoever holds the lock is the only one who builds."""
    for leftover in (*cache.glob("context-*"), *cache.glob("debian-*")):
        shutil.rmtree(leftover, ignore_errors=True)


def _build_once(client: DockerClient, progress: Callable[[str], None]) -> str:
    cache = _cache_folder()
    with locked(cache / "lock", lambda: progress("another process builds the image; waiting for it")):
        reference = find_image(client)  # while this process waited for the lock
        if reference is not None:
            return reference
        _remove_leftovers(cache)
        base, reason = choose_base(client)
        if base is None:
            raise MachineError(
                f"the image of the guest cannot be built here: {reason}",
                "apt-get install debootstrap (then run as root), or let the engine reach a registry",
            )
        progress(f"base: {reason}")
        reference = ensure_base(client, base, cache, progress)
        tag = image_tag(base, guest_requirements(), _dockerfile())
        with tempfile.TemporaryDirectory(prefix="context-", dir=cache) as folder:
            _write_context(Path(folder), _engine_machine(client), progress)
            try:
                _build(client, folder, reference, tag, progress)
            finally:
                client.images.prune(filters={"dangling": True, "label": STAGE_LABEL})
    return tag


def _engine_machine(client: DockerClient) -> str:
    architecture = client.version()["Arch"]
    if architecture not in MACHINES:
        raise MachineError(f"there are no packages for an engine on {architecture!r}; use amd64 or arm64")
    return MACHINES[architecture]


def _write_context(folder: Path, machine: str, progress: Callable[[str], None]) -> None:
    """Lay out what the build reads: the Dockerfile, the list of packages and their wheels."""
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{requirement}\n" for requirement in guest_requirements()))
    (folder / "Dockerfile").write_text(_dockerfile())
    progress(f"downloading {len(guest_requirements())} packages with pip")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
        *("--dest", str(folder / "wheels"), "--requirement", str(requirements)),
        *platform_arguments(machine),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MachineError(
            f"pip took more than {DOWNLOAD_SECONDS} s to download the guest's packages",
            "see its index settings",
        ) from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
        raise MachineError(
            f"pip could not download the guest's packages; the last it said:\n{last}",
            "see that pip's index has these versions; `pip config list` shows its settings",
        )


def platform_arguments(machine: str) -> list[str]:
    """What pip has to be told about the image; nothing where this Python could run in it.

    Args:
        machine: the image's processor as wheels name it, such as ``x86_64``.
    """
    here = (sys.platform, platform.machine(), platform.python_implementation(), sys.version_info[:2])
    if here == ("linux", machine, "CPython", (3, 11)):
        return []
    arguments = ["--implementation", "cp", "--python-version", PYTHON_VERSION]
    arguments += [
        "--abi",
        "cp311",
        "--abi",
        "abi3",
        "--abi",
        "none",
        "--platform",
        f"manylinux2014_{machine}",
    ]
    for version in reversed(GLIBC_VERSIONS):
        arguments += ["--platform", f"manylinux_{version}_{machine}"]
    return arguments


def _build(client: DockerClient, folder: str, base: str, tag: str, progress: Callable[[str], None]) -> None:
    size = sum(wheel.stat().st_size for wheel in (Path(folder) / "wheels").iterdir())
    free = shutil.disk_usage(folder).free
    if free < 2 * size:  # the client writes the context once more, as one file
        raise MachineError(
            f"{free >> 20} MiB are free in {folder}, and {2 * size >> 20} are needed", "free some space"
        )
    lines: list[str] = []
    events: Iterable[Any] = client.api.build(
        path=folder,
        tag=tag,
        buildargs={"BASE": base},
        network_mode="none",
        rm=True,
        forcerm=True,
        decode=True,
        use_config_proxy=False,
    )
    for event in events:
        line = str(event.get("stream", event.get("error", ""))).strip()
        if line:
            lines.append(line)
        if line.startswith("Step "):
            progress(line.splitlines()[0][:100])
        if "error" in event:
            last = "\n".join(lines[-LAST_LINES:])
            raise MachineError(f"the engine could not build {tag}; the last it said:\n{last}")
