"""What grading can leave on a machine, told from what else goes on there."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.host.errors import MachineError

PR_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>
SECONDS_TO_VANISH = 20.0  # for what is somebody else's, or on its way out
SHARED_FOLDERS = ("/tmp", "/dev/shm")  # noqa: S108  others write there too, so only our names are looked for
OUR_PREFIX = "harness"
CONNECTIONS_KEPT = 32  # by the client of the engine; one a run would be more than that


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process holds."""

    memory_bytes: int
    descriptors: int
    threads: int


def own_resources() -> Resources:
    """Resident memory, open descriptors and threads of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return Resources(pages * os.sysconf("SC_PAGE_SIZE"), descriptors, threading.active_count())


def available_bytes() -> int:
    """Memory of the machine that could be had without swapping."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends, so that none of them gets out of sight.

    Raises:
        OSError: the kernel refused.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot become a subreaper")


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before the first run."""

    mounts: frozenset[str]
    files: frozenset[str]
    resources: Resources

    @classmethod
    def look(cls) -> Before:
        """Take it down."""
        return cls(frozenset(_mounts()), frozenset(_files()), own_resources())

    def what_is_left(self, run_ids: list[str], temporary: Path) -> list[str]:
        """Name everything that is there now because of the runs.

        It waits for what is on its way out. Others may use the machine too, so what comes while it waits
        is not of these runs.

        Args:
            run_ids: of the runs.
            temporary: the folder that they had for their temporary files.
        """
        deadline = time.monotonic() + SECONDS_TO_VANISH
        left = self._left(set(run_ids), temporary)
        while left and time.monotonic() < deadline:
            time.sleep(0.5)
            left &= self._left(set(run_ids), temporary)
        return sorted(left)

    def _left(self, run_ids: set[str], temporary: Path) -> set[str]:
        found = {
            "process": _children(),
            "container": _containers(run_ids),
            "control group": _groups(run_ids),
            "mount": list(_mounts() - self.mounts),
            "file": list(_files() - self.files) + [str(path) for path in temporary.iterdir()],
        }
        now = own_resources()
        grown = now.descriptors - self.resources.descriptors, now.threads - self.resources.threads
        found["descriptor"] = [f"{grown[0]} more"] if grown[0] > CONNECTIONS_KEPT else []
        found["thread"] = [f"{grown[1]} more"] if grown[1] > 0 else []
        return {f"{kind}: {name}" for kind, names in found.items() for name in names}


def take_notice() -> None:
    """Let go of the children that have ended, as the first process of the machine would."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _children() -> list[str]:
    """Children of this process that still run."""
    take_notice()
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [f"{pid} {Path(f'/proc/{pid}/cmdline').read_text()[:80]!r}" for pid in pids]


def _containers(run_ids: set[str]) -> list[str]:
    from harness.host.image import connect  # noqa: PLC0415  a third of a second, only at the end
    from harness.host.sandbox.docker_end import RUN_LABEL  # noqa: PLC0415  likewise

    try:
        client = connect()
    except MachineError:
        return []  # no engine, no container
    try:
        found = client.api.containers(all=True, filters={"label": RUN_LABEL})
    finally:
        client.close()
    return [each["Id"] for each in found if each["Labels"][RUN_LABEL] in run_ids]


def _groups(run_ids: set[str]) -> list[str]:
    folders = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if OUR_PREFIX in Path(folder).name]
    return [folder for folder in folders if any(run_id and run_id in folder for run_id in run_ids)]


def _mounts() -> set[str]:
    """Mount points; an engine's mount of a container has the container's name, so no two are alike."""
    return {line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines()}


def _files() -> set[str]:
    return {str(path) for folder in SHARED_FOLDERS for path in Path(folder).glob(f"*{OUR_PREFIX}*")}
