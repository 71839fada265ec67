"""A sandbox that only gets ready gives way to one that works, as the kernel's own files say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.sandbox.cgroup import cgroup_paths_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Backend, SandboxSpec

    Spec = Callable[..., SandboxSpec]
    Reported = Callable[..., Any]
    LeftOf = Callable[[SandboxSpec], list[str]]

WAIT = "import time; report(0); time.sleep(60)"


def group_of(spec: SandboxSpec, left_of: LeftOf) -> tuple[str, str]:
    """The guest's share of the processors and the ones it may run on, as its control group has them."""
    for name in left_of(spec):
        if name.startswith("/proc/"):
            paths = cgroup_paths_of(int(Path(name).name))
            if "cpu" in paths:
                return _read(paths["cpu"] / "cpu.shares"), _read(paths["cpuset"] / "cpuset.cpus")
            return _read(paths["unified"] / "cpu.weight"), _read(paths["unified"] / "cpuset.cpus")
    raise AssertionError("the guest does not run")


def _read(path: Path) -> str:
    return path.read_text().strip()


def test_low_priority_is_raised(backend: Backend, spec_of: Spec, reported: Reported, left_of: LeftOf) -> None:
    """It starts with a small share on any processor, and ends with a full share of its own."""
    if backend.limits_enforced_by != "cgroup":
        pytest.skip("shares of processors need a control group")
    core = min(os.sched_getaffinity(0))
    spec = spec_of(WAIT, low_priority=True, cores=frozenset({core}))
    usual = spec_of(WAIT, cores=frozenset({core}))
    with backend.open(spec) as sandbox, backend.open(usual) as other:
        reported(sandbox)
        reported(other)
        full_share, own_core = group_of(usual, left_of)
        low_share, any_core = group_of(spec, left_of)
        assert own_core == str(core)
        assert any_core != own_core or os.cpu_count() == 1
        assert int(low_share) < int(full_share) / 10
        sandbox.raise_priority()
        other.raise_priority()
        assert group_of(spec, left_of) == group_of(usual, left_of) == (full_share, own_core)


def test_priority_of_a_sandbox_that_is_gone(any_backend: Backend, spec_of: Spec) -> None:
    """After its end there is nothing to raise, and that is no fault."""
    with any_backend.open(spec_of("", low_priority=True)) as sandbox:
        pass
    sandbox.raise_priority()
