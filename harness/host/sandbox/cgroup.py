"""Control groups, versions 1 and 2: limits for a sandbox, and what its processes used.

Version 1 has a tree for each controller, version 2 one tree for all (called ``unified`` here). A group of
ours is named after the harness process that made it, so that a later start can tell an orphan.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.errors import SandboxError
from harness.host.records import Usage
from harness.host.sandbox.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "harness-"
V1_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct", "cpuset")
PERIOD_MICROSECONDS = 100_000
# Shares of the processors when more want them than there are, as version 1 counts them; 1024 is the usual.
FULL_SHARES, LOW_SHARES = 1024, 8
SHARES_PER_WEIGHT = 1024 / 100  # version 2 counts in weights, and 100 is the usual
WITHOUT_SWAP_ACCOUNTING = ("memory.memsw.limit_in_bytes", "memory.swap.max")  # missing in such kernels


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one group; None leaves that one off (tests only)."""

    memory_bytes: int | None
    processes: int | None
    cpus: float


@dataclass(frozen=True, slots=True)
class Priority:
    """Which processors a group runs on, and what it gets of them when others want them too.

    Attributes:
        shares: `FULL_SHARES` or `LOW_SHARES`.
        cores: numbers of processors; empty for all that there are.
    """

    shares: int = FULL_SHARES
    cores: frozenset[int] = frozenset()


def cgroup_mounts() -> dict[str, Path]:
    """Where each controller's tree is mounted: ``memory``, ``pids``... or ``unified``."""
    mounts: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            mounts["unified"] = Path(folder)
        elif kind == "cgroup":
            mounts |= {name: Path(folder) for name in options.split(",") if name in V1_CONTROLLERS}
    return mounts


def cgroup_paths_of(pid: int) -> dict[str, Path]:
    """The group of a process in each tree; controllers that are not mounted here are left out.

    Raises:
        OSError: there is no such process.
    """
    mounts = cgroup_mounts()
    paths: dict[str, Path] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(",") if names else ["unified"]:
            if name in mounts:
                paths[name] = mounts[name] / path.lstrip("/")
    return paths


def read_usage(paths: Mapping[str, Path]) -> Usage:
    """What the processes of a group used so far; what cannot be read is None or 0."""
    memory, pids = paths.get("memory"), paths.get("pids")
    unified = paths.get("unified")
    if memory is not None:
        nanoseconds = _number(paths["cpuacct"] / "cpuacct.usage") if "cpuacct" in paths else None
        return Usage(
            cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
            peak_memory_bytes=_number(memory / "memory.max_usage_in_bytes"),
            out_of_memory=_keyed(memory / "memory.oom_control").get("oom_kill", 0),
            processes_refused=_keyed(pids / "pids.events").get("max", 0) if pids is not None else 0,
        )
    if unified is None:
        return Usage()
    microseconds = _keyed(unified / "cpu.stat").get("usage_usec")
    return Usage(
        cpu_seconds=None if microseconds is None else microseconds / 1e6,
        peak_memory_bytes=_number(unified / "memory.peak"),
        out_of_memory=_keyed(unified / "memory.events").get("oom_kill", 0),
        processes_refused=_keyed(unified / "pids.events").get("max", 0),
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _keyed(path: Path) -> dict[str, int]:
    """Read a file of ``key value`` lines."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines) if value.isdigit()}


class Cgroup:
    """A group of our own for one sandbox."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self.paths = paths

    @property
    def joins(self) -> list[str]:
        """The files to which a process writes ``0`` to move itself in."""
        return [str(path / "cgroup.procs") for path in self.paths.values()]

    def join(self, pid: int) -> None:
        """Move a process in.

        Raises:
            OSError: it is gone, or the kernel refused.
        """
        for path in self.joins:
            Path(path).write_text(str(pid))

    def usage(self) -> Usage:
        """What its processes used so far."""
        return read_usage(self.paths)

    def set_priority(self, priority: Priority) -> None:
        """Change what it gets of the processors.

        Raises:
            SandboxError: the kernel refused.
        """
        try:
            _prioritise(self.paths, priority)
        except OSError as error:
            raise SandboxError(f"the sandbox's share of the processors could not be set: {error}") from error

    def remove(self, deadline: float) -> None:
        """End what is left in the group and remove it.

        Args:
            deadline: a time of `time.monotonic`.

        Raises:
            SandboxError: a process would not end.
        """
        for path in self.paths.values():
            while path.exists() and not _remove_when_empty(path):
                if time.monotonic() > deadline:
                    raise SandboxError(
                        f"processes of a sandbox would not end; they are listed in {path / 'cgroup.procs'}",
                        "a process that waits on a device can only be ended by a restart of the machine",
                    )
                time.sleep(0.002)


def _remove_when_empty(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        with suppress(OSError):
            for pid in (path / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        return False
    return True


def parents() -> dict[str, Path]:
    """The groups under which this process can make groups of its own; empty where it can make none."""
    mounts = cgroup_mounts()
    own = cgroup_paths_of(os.getpid())
    if {"memory", "pids"} <= mounts.keys():
        found = {name: own.get(name, mounts[name]) for name in V1_CONTROLLERS if name in mounts}
        if "cpuset" in found and not os.access(found["cpuset"], os.W_OK):
            del found["cpuset"]  # it limits nothing, so its lack is no reason to make no group
    elif "unified" in mounts:
        found = {
            "unified": mounts["unified"]
        }  # a group with processes of its own may not hand controllers on
        if not {"memory", "pids", "cpu"} <= set(_words(mounts["unified"] / "cgroup.subtree_control")):
            return {}
    else:
        return {}
    return found if all(os.access(path, os.W_OK) for path in found.values()) else {}


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def create(name: str, limits: Limits, priority: Priority) -> Cgroup | None:
    """Make a group with `limits`; None where this process may not make groups.

    Args:
        name: of the run and the sandbox; the owner's mark is put before it.
        limits: what its processes may use together.
        priority: what they get of the processors at first.

    Raises:
        SandboxError: the kernel refused a limit.
    """
    group = Cgroup(
        {key: path / f"{PREFIX}{Owner.of_this_process()}-{name}" for key, path in parents().items()}
    )
    if not group.paths:
        return None
    try:
        for path in group.paths.values():
            path.mkdir()
        _limit(group.paths, limits)
        _prioritise(group.paths, priority)
    except PermissionError:
        group.remove(time.monotonic() + 1)
        return None
    except OSError as error:
        group.remove(time.monotonic() + 1)
        raise SandboxError(f"a limit of the sandbox could not be set: {error}") from error
    return group


def _limit(paths: Mapping[str, Path], limits: Limits) -> None:
    quota = str(int(limits.cpus * PERIOD_MICROSECONDS))
    if "unified" in paths:
        group = paths["unified"]
        settings = [(group / "cpu.max", f"{quota} {PERIOD_MICROSECONDS}")]
        if limits.memory_bytes is not None:
            settings += [(group / "memory.max", str(limits.memory_bytes)), (group / "memory.swap.max", "0")]
        if limits.processes is not None:
            settings.append((group / "pids.max", str(limits.processes)))
    else:
        settings = [(paths["cpu"] / "cpu.cfs_quota_us", quota)] if "cpu" in paths else []
        if limits.memory_bytes is not None:
            names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")  # in this order
            settings += [(paths["memory"] / name, str(limits.memory_bytes)) for name in names]
        if limits.processes is not None:
            settings.append((paths["pids"] / "pids.max", str(limits.processes)))
    for file, value in settings:
        if file.exists() or file.name not in WITHOUT_SWAP_ACCOUNTING:
            file.write_text(value)


def _prioritise(paths: Mapping[str, Path], priority: Priority) -> None:
    cores = ",".join(map(str, sorted(priority.cores)))
    if "unified" in paths:
        group = paths["unified"]
        (group / "cpu.weight").write_text(str(max(1, round(priority.shares / SHARES_PER_WEIGHT))))
        if (group / "cpuset.cpus").exists():  # not every system hands this controller on
            (group / "cpuset.cpus").write_text(cores or "\n")
    if "cpu" in paths:
        (paths["cpu"] / "cpu.shares").write_text(str(priority.shares))
    if "cpuset" in paths:  # a new group of version 1 has neither processors nor memory
        group = paths["cpuset"]
        (group / "cpuset.mems").write_text((group.parent / "cpuset.mems").read_text())
        (group / "cpuset.cpus").write_text(cores or (group.parent / "cpuset.cpus").read_text())


def sweep(progress: Callable[[str], None] = lambda _: None) -> int:
    """Remove the groups of harness processes that are gone; return how many.

    Args:
        progress: is told of a group whose processes would not end. It stays, and the others go.
    """
    swept = 0
    for parent in parents().values():
        for path in parent.glob(f"{PREFIX}*"):
            owner = Owner.parse("-".join(path.name.removeprefix(PREFIX).split("-")[:2]))
            if owner is not None and not owner.alive():
                try:
                    Cgroup({"": path}).remove(time.monotonic() + 5)
                except SandboxError as error:
                    progress(f"{error.message} ({error.fix})")
                else:
                    swept += 1
    return swept
