"""Control groups of both versions: what is read from them, what is written to them, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import SandboxError
from harness.host.records import Usage
from harness.host.sandbox import cgroup
from harness.host.sandbox.cgroup import Cgroup, Limits, Priority, read_usage
from harness.host.sandbox.owner import Owner

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
SLEEP = "import time; time.sleep(60)"
LIMITS = Limits(memory_bytes=64 * MIB, processes=8, cpus=0.5)

makes_groups = pytest.mark.skipif(not cgroup.parents(), reason="no control group can be made here")


def tree(folder: Path, files: dict[str, str]) -> Path:
    """A folder that looks like a group."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def test_usage_of_version_1(tmp_path: Path) -> None:
    """Each controller tells its part."""
    memory = {"memory.max_usage_in_bytes": "1048576\n", "memory.oom_control": "under_oom 0\noom_kill 2\n"}
    paths = {
        "memory": tree(tmp_path / "memory", memory),
        "pids": tree(tmp_path / "pids", {"pids.events": "max 3\n"}),
        "cpuacct": tree(tmp_path / "cpuacct", {"cpuacct.usage": "1500000000\n"}),
    }
    assert read_usage(paths) == Usage(1.5, MIB, out_of_memory=2, processes_refused=3)


def test_usage_of_version_2(tmp_path: Path) -> None:
    """One folder tells all."""
    files = {
        "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
        "memory.peak": "1048576\n",
        "memory.events": "low 0\nhigh 0\nmax 9\noom 5\noom_kill 2\n",
        "pids.events": "max 3\n",
    }
    usage = read_usage({"unified": tree(tmp_path / "group", files)})
    assert usage == Usage(1.5, MIB, out_of_memory=2, processes_refused=3)


@pytest.mark.parametrize("name", ["memory", "unified"])
def test_usage_that_cannot_be_read_is_unknown(tmp_path: Path, name: str) -> None:
    """A group that is gone, or a kernel without a counter, is no error and no zero."""
    assert read_usage({name: tmp_path / "gone"}) == Usage(None, None)
    files = {"memory.peak": "?", "memory.max_usage_in_bytes": "", "cpu.stat": "usage_usec max\n"}
    assert read_usage({name: tree(tmp_path / "odd", files)}) == Usage(None, None)
    assert read_usage({}) == Usage(None, None)


def test_limits_of_version_1(tmp_path: Path) -> None:
    """Memory with and without swap are the same number, and swap that is not counted is left out."""
    paths = {name: tree(tmp_path / name, {}) for name in ("memory", "pids", "cpu")}
    (paths["memory"] / "memory.memsw.limit_in_bytes").touch()
    cgroup._limit(paths, LIMITS)
    written = {file.name: file.read_text() for folder in paths.values() for file in folder.iterdir()}
    assert written == {
        "memory.limit_in_bytes": str(64 * MIB),
        "memory.memsw.limit_in_bytes": str(64 * MIB),
        "pids.max": "8",
        "cpu.cfs_quota_us": "50000",
    }
    without_swap = {name: tree(tmp_path / f"{name}2", {}) for name in paths}
    cgroup._limit(without_swap, LIMITS)
    assert [file.name for file in without_swap["memory"].iterdir()] == ["memory.limit_in_bytes"]


def test_limits_of_version_2(tmp_path: Path) -> None:
    """The same limits in one folder, and no swap."""
    group = tree(tmp_path / "group", {"memory.swap.max": ""})
    cgroup._limit({"unified": group}, LIMITS)
    assert {file.name: file.read_text() for file in group.iterdir()} == {
        "cpu.max": "50000 100000",
        "memory.max": str(64 * MIB),
        "memory.swap.max": "0",
        "pids.max": "8",
    }


@pytest.mark.parametrize(
    ("trees", "cores", "written"),
    [
        (("cpu",), {3, 0}, {"cpu.shares": "8"}),
        (("cpu", "cpuset"), {3, 0}, {"cpu.shares": "8", "cpuset.cpus": "0,3", "cpuset.mems": "0"}),
        (("cpu", "cpuset"), set(), {"cpu.shares": "8", "cpuset.cpus": "0-7", "cpuset.mems": "0"}),
        (("unified",), {3, 0}, {"cpu.weight": "1"}),
    ],
)
def test_priority_of_either_version(
    tmp_path: Path, trees: tuple[str, ...], cores: set[int], written: dict[str, str]
) -> None:
    """A low share is a small part of the usual one, and without cores of its own a group has its parent's."""
    paths = {}
    for name in trees:
        parent = tree(tmp_path / name, {"cpuset.cpus": "0-7", "cpuset.mems": "0"})
        paths[name] = tree(parent / "group", {})
    Cgroup(paths).set_priority(Priority(cgroup.LOW_SHARES, frozenset(cores)))
    files = [file for folder in paths.values() for file in folder.iterdir()]
    assert {file.name: file.read_text() for file in files} == written


def test_cores_of_version_2_where_they_can_be_chosen(tmp_path: Path) -> None:
    """The controller of processors is there or not; an empty line gives all of them back."""
    group = Cgroup({"unified": tree(tmp_path / "group", {"cpuset.cpus": ""})})
    group.set_priority(Priority(cores=frozenset({1})))
    assert (tmp_path / "group" / "cpuset.cpus").read_text() == "1"
    group.set_priority(Priority())
    assert (tmp_path / "group" / "cpuset.cpus").read_text() == "\n"
    assert (tmp_path / "group" / "cpu.weight").read_text() == "100"


@pytest.mark.parametrize("name", ["cpu", "cpuset", "unified"])
def test_priority_that_is_refused_is_a_fault(tmp_path: Path, name: str) -> None:
    """It is not passed over: the times of a run depend on it."""
    with pytest.raises(SandboxError, match="share of the processors"):
        Cgroup({name: tmp_path / "gone"}).set_priority(Priority())


@pytest.mark.parametrize("trees", [("memory", "pids", "cpu"), ("unified",)], ids=["version 1", "version 2"])
def test_limits_that_are_off_are_not_written(tmp_path: Path, trees: tuple[str, ...]) -> None:
    """Without a limit of memory or processes the kernel's default stays."""
    paths = {name: tree(tmp_path / name, {}) for name in trees}
    cgroup._limit(paths, Limits(memory_bytes=None, processes=None, cpus=1.0))
    written = [file.name for folder in paths.values() for file in folder.iterdir()]
    assert written in (["cpu.cfs_quota_us"], ["cpu.max"])


def test_processes_are_killed_before_a_group_is_given_up(tmp_path: Path) -> None:
    """A group that cannot be removed is a fault that names where to look, after its processes were killed."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", SLEEP]) as process:
        group = tree(
            tmp_path / "group", {"cgroup.procs": f"{process.pid}\n"}
        )  # a real folder stays, as it is
        with pytest.raises(SandboxError, match="would not end") as raised:
            Cgroup({"memory": group}).remove(time.monotonic() + 0.1)
        assert str(group / "cgroup.procs") in raised.value.message
        assert process.wait(10) == -signal.SIGKILL


def test_group_that_is_gone_is_removed(tmp_path: Path) -> None:
    """Somebody else was faster: that is what was wanted."""
    empty = tree(tmp_path / "empty", {})
    Cgroup({"memory": empty, "pids": tmp_path / "gone"}).remove(time.monotonic() + 1)
    assert not empty.exists()


def test_own_groups_are_known() -> None:
    """Each path is a folder of a tree that is mounted here."""
    mounts = cgroup.cgroup_mounts()
    for name, path in cgroup.cgroup_paths_of(os.getpid()).items():
        assert path.is_relative_to(mounts[name])


@makes_groups
def test_group_holds_limits_and_takes_its_processes_along() -> None:
    """A group of ours has the limits, counts what joins it, and ends it."""
    group = cgroup.create(f"test{uuid.uuid4().hex[:8]}", LIMITS, Priority())
    assert group is not None
    join = f"for path in {group.joins!r}: open(path, 'w').write('0')\nprint(flush=True)\n{SLEEP}"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", join], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            listed = [path.joinpath("cgroup.procs").read_text().split() for path in group.paths.values()]
            assert listed == [[str(process.pid)]] * len(group.paths)
            assert group.usage().peak_memory_bytes
            limit = next(
                (path / name).read_text().strip()
                for path in group.paths.values()
                for name in ("memory.limit_in_bytes", "memory.max")
                if (path / name).exists()
            )
            assert int(limit) == 64 * MIB
        finally:
            group.remove(time.monotonic() + 10)
        assert process.wait(10) == -signal.SIGKILL
    assert not any(path.exists() for path in group.paths.values())


@makes_groups
def test_limit_that_the_kernel_refuses_is_a_fault_and_leaves_nothing() -> None:
    """A sandbox without its limit does not start."""
    name = f"test{uuid.uuid4().hex[:8]}"
    with pytest.raises(SandboxError, match="could not be set"):
        cgroup.create(name, Limits(memory_bytes=-5, processes=8, cpus=1.0), Priority())
    assert not [found for parent in cgroup.parents().values() for found in parent.glob(f"*{name}*")]


@makes_groups
def test_sweep_removes_the_groups_of_harnesses_that_are_gone() -> None:
    """What a killed harness left goes, what a running one uses stays, and what is not ours too."""
    parent = next(iter(cgroup.parents().values()))
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "pass"]) as gone:
        pass
    name = f"test{uuid.uuid4().hex[:8]}"
    orphan = parent / f"{cgroup.PREFIX}{Owner(gone.pid, 1)}-{name}"
    in_use = parent / f"{cgroup.PREFIX}{Owner.of_this_process()}-{name}"
    other = parent / f"{cgroup.PREFIX}{name}"
    try:
        for path in (orphan, in_use, other):
            path.mkdir()
        cgroup.sweep()
        assert [path.exists() for path in (orphan, in_use, other)] == [False, True, True]
    finally:
        for path in (in_use, other):
            path.rmdir()
