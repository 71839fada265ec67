"""The walls of a container, as what docker-py takes to create it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from docker.types import DeviceRequest, LogConfig, Ulimit

from harness.host.sandbox import gpu
from harness.host.sandbox.base import Wall
from harness.host.sandbox.cgroup import FULL_SHARES, LOW_SHARES
from harness.host.sandbox.seccomp import docker_profile

if TYPE_CHECKING:
    from docker import DockerClient

    from harness.host.sandbox.base import SandboxSpec

IMAGE_PYTHON = "/opt/harness/bin/python3"
HOSTNAME = "sandbox"
GVISOR = "runsc"  # as its own installer names it; runsc-kvm and the like are gVisor too
GVISOR_THREADS, GVISOR_THREADS_A_PROCESS = 64, 4
LOW_PRIORITY = {"cpu_shares": LOW_SHARES}
# What the engine hides of /proc beside `TELLTALES`, and of /sys.
FURTHER_TELLTALES = ("acpi", "asound", "latency_stats", "scsi", "timer_stats")
HIDDEN_OF_SYS = ["/sys/firmware", "/sys/devices/virtual/powercap"]
UID = 1000
SCRATCH, SHARED_MEMORY = "/tmp", "/dev/shm"  # noqa: S108  paths inside the container
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "HOME": SCRATCH}


def container_config(spec: SandboxSpec, labels: dict[str, str]) -> dict[str, Any]:
    """What is run and as whom: keyword arguments of `create_container`, without image and host's part."""
    return {
        "entrypoint": [IMAGE_PYTHON],
        "command": list(spec.command),
        "hostname": HOSTNAME,
        "user": f"{UID}:{UID}" if Wall.UNPRIVILEGED in spec.walls else "0:0",
        "working_dir": SCRATCH,
        "environment": _environment(spec),
        "labels": labels,
        "stdin_open": True,  # for one attached client: when that is gone, the guest reads the end
        "network_disabled": Wall.NETWORK in spec.walls,
        "use_config_proxy": False,  # it would put the client's proxy settings into the environment
    }


def host_config(client: DockerClient, spec: SandboxSpec, cpus: float, runtime: str | None) -> dict[str, Any]:
    """What the container may use: the `host_config` of `create_container`.

    Args:
        client: the engine; it only says which version of its interface it speaks.
        spec: the limits and the walls that are up.
        cpus: how many the engine's machine has; it refuses a larger share.
        runtime: an OCI runtime that the engine knows, such as ``runsc``; None for its default.
    """
    walls = spec.walls
    options: dict[str, Any] = {
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "ipc_mode": "private",
        "cgroupns": "private",
        "init": False,
        "network_mode": "none" if Wall.NETWORK in walls else "host",
        "nano_cpus": int(min(spec.cpus, cpus) * 1e9),
        **(LOW_PRIORITY if starts_low(spec, runtime) else full_priority(spec)),
        "read_only": Wall.READ_ONLY_ROOT in walls,
        "tmpfs": _tmpfs(spec),
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=spec.open_files, hard=spec.open_files),
        ],
        "runtime": runtime,
        "security_opt": [
            f"seccomp={docker_profile()}" if Wall.SECCOMP in walls else "seccomp=unconfined",
        ],
    }
    if Wall.MEMORY in walls:
        options |= {"mem_limit": spec.memory_bytes, "memswap_limit": spec.memory_bytes}
    if Wall.PROCESSES in walls:
        options["pids_limit"] = _process_limit(spec.processes, runtime)
    if Wall.UNPRIVILEGED in walls:
        options["cap_drop"] = ["ALL"]
        options["security_opt"].append("no-new-privileges:true")
    else:
        options["cap_add"] = ["SYS_ADMIN"]
    if spec.gpu:
        options["device_requests"] = [_one_gpu()]
    return client.api.create_host_config(**options)


def _one_gpu() -> DeviceRequest:
    """The first GPU that this process may use; any, where the engine's machine is another one."""
    chosen = gpu.names()[:1]
    which = {"device_ids": chosen} if chosen else {"count": 1}
    return DeviceRequest(**which, capabilities=[["gpu"]])


def parent_host_config(client: DockerClient, spec: SandboxSpec, cpus: float) -> dict[str, Any]:
    """The same for the parent of a `Nest`, which runs no student code and builds the walls of others.

    The engine's own policies would keep it from making namespaces and mounts, which needs no privilege of
    this machine; and a new ``/proc`` can be mounted only where all of the one that is there can be seen.
    """
    config = host_config(client, spec, cpus, None)
    config["SecurityOpt"] = ["seccomp=unconfined", "apparmor=unconfined", "no-new-privileges:true"]
    return config | {"MaskedPaths": HIDDEN_OF_SYS, "ReadonlyPaths": []}


def full_priority(spec: SandboxSpec) -> dict[str, Any]:
    """The share of the processors, and which: options to create a container and to update it."""
    return {"cpu_shares": FULL_SHARES, "cpuset_cpus": ",".join(map(str, sorted(spec.cores)))}


def starts_low(spec: SandboxSpec, runtime: str | None) -> bool:
    """Whether a container begins with a low share of the processors; gVisor can not change that later."""
    return spec.low_priority and not is_gvisor(runtime)


def is_gvisor(runtime: str | None) -> bool:
    """Whether a runtime is gVisor, by its name."""
    return runtime is not None and runtime.startswith(GVISOR)


def _process_limit(processes: int, runtime: str | None) -> int:
    """What the engine is told: under gVisor it counts, and ends, the threads of gVisor's own kernel."""
    if is_gvisor(runtime):
        return GVISOR_THREADS + GVISOR_THREADS_A_PROCESS * processes
    return processes


def environment_of(*, gpu: bool) -> dict[str, str]:
    """The environment inside of a sandbox, with or without a GPU."""
    if gpu:
        return dict(ENVIRONMENT)
    return {**ENVIRONMENT, "NVIDIA_VISIBLE_DEVICES": "void"}  # an engine whose default runtime is NVIDIA's


def _environment(spec: SandboxSpec) -> dict[str, str]:
    environment = environment_of(gpu=spec.gpu)
    if Wall.ENVIRONMENT not in spec.walls:
        return {**os.environ, **environment}
    return environment


def _tmpfs(spec: SandboxSpec) -> dict[str, str]:
    sizes = {SCRATCH: spec.scratch_bytes, SHARED_MEMORY: spec.shared_memory_bytes}
    # exec: compiled kernels are mapped from /tmp, and forbidding it would stop nobody who has Python
    options = "rw,exec,nosuid,nodev,mode=1777"
    if Wall.SCRATCH not in spec.walls:
        return dict.fromkeys(sizes, options)
    return {path: f"{options},size={size},nr_inodes={spec.scratch_files}" for path, size in sizes.items()}
