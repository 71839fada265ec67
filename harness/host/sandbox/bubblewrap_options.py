"""The walls of a sandbox of bubblewrap, as its arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.runtime import GUEST_PYTHON, GUEST_SITE_PACKAGES
from harness.host.sandbox.base import TELLTALES, Wall
from harness.host.sandbox.gpu import bwrap_arguments as gpu_arguments

if TYPE_CHECKING:
    from harness.host.sandbox.base import SandboxSpec

STAGE = "/mnt"  # as in the launcher
UID_INSIDE = 1000
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "HOME": "/tmp", "USER": "student", "TMPDIR": "/tmp"}  # noqa: S108  inside
SYSTEM_FOLDERS = ("bin", "lib", "lib32", "lib64", "libx32")


def system_python() -> bool:
    """Whether the harness runs with the system's own Python, which is in every sandbox."""
    return sys.base_prefix == "/usr"


def bwrap_arguments(spec: SandboxSpec, policy_descriptor: int) -> list[str]:
    """The argument list of bubblewrap for `spec`; it names no path of this machine but the system's own."""
    walls = spec.walls
    arguments = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    if Wall.NETWORK in walls:
        arguments += ["--unshare-net"]
    if Wall.UNPRIVILEGED in walls:
        arguments += ["--uid", str(UID_INSIDE), "--gid", str(UID_INSIDE)]
    arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += _root_arguments()
    arguments += ["--proc", "/proc"]
    if Wall.UNPRIVILEGED in walls:
        arguments += ["--ro-bind", "/proc/sys", "/proc/sys"]
    for name in TELLTALES:
        if Path("/proc", name).exists():
            arguments += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    arguments += ["--dev", "/dev", "--bind", f"{STAGE}/tmp", "/tmp", "--bind", f"{STAGE}/shm", "/dev/shm"]  # noqa: S108  inside
    if spec.gpu:
        arguments += gpu_arguments()
    if Wall.READ_ONLY_ROOT in walls:
        arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    if Wall.ENVIRONMENT in walls:
        arguments += ["--clearenv"]
    arguments += [
        text for name, value in environment_of(gpu=spec.gpu).items() for text in ("--setenv", name, value)
    ]
    if Wall.SECCOMP in walls:
        arguments += ["--seccomp", str(policy_descriptor)]
    return [*arguments, "--chdir", "/tmp"]  # noqa: S108  inside


def parent_arguments(spec: SandboxSpec) -> list[str]:
    """The same for the parent of a nest, which runs no student code and has to build walls itself."""
    # Not user 0 inside: what is hidden of a process belongs to that one, who would then be the student too.
    arguments = ["--unshare-all", "--uid", str(UID_INSIDE), "--gid", str(UID_INSIDE), "--cap-add", "ALL"]
    arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += [*_root_arguments(), "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--bind", f"{STAGE}/tmp", "/tmp", "--bind", f"{STAGE}/shm", "/dev/shm"]  # noqa: S108  inside
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]
    arguments += [
        text for name, value in environment_of(gpu=spec.gpu).items() for text in ("--setenv", name, value)
    ]
    return [*arguments, "--chdir", "/tmp"]  # noqa: S108  inside


def _root_arguments() -> list[str]:
    arguments: list[str] = []
    for name in SYSTEM_FOLDERS:
        system, link = Path("/usr", name), Path("/", name)
        if system.is_dir():
            arguments += ["--ro-bind", str(system), str(system)]
        if link.is_symlink():
            arguments += ["--symlink", str(link.readlink()), str(link)]
        elif link.is_dir():
            arguments += ["--ro-bind", str(link), str(link)]
    for path in ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/sys/devices/system/cpu"):
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--ro-bind", f"{STAGE}/site-packages", GUEST_SITE_PACKAGES]
    if not system_python():
        arguments += ["--ro-bind", f"{STAGE}/python", GUEST_PYTHON]
    return arguments


def guest_python() -> str:
    """Path of the interpreter inside of a sandbox."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"/usr/bin/{name}" if system_python() else f"{GUEST_PYTHON}/bin/{name}"


def environment_of(*, gpu: bool) -> dict[str, str]:
    """The environment inside of a sandbox, with or without a GPU."""
    environment = dict(ENVIRONMENT)
    if not system_python():
        environment["LD_LIBRARY_PATH"] = f"{GUEST_PYTHON}/lib"
    if not gpu:
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    return environment
