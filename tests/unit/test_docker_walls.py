"""What an engine is asked for, and what happens when it leaves something of it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import docker
import pytest
from docker.errors import NotFound

from harness.host.errors import WallError
from harness.host.sandbox.base import SandboxSpec
from harness.host.sandbox.cgroup import FULL_SHARES, LOW_SHARES
from harness.host.sandbox.docker import DockerBackend
from harness.host.sandbox.docker_options import container_config, host_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

MIB = 1 << 20


def spec_of(**changes: Any) -> SandboxSpec:
    """Limits with all walls up."""
    limits: dict[str, Any] = {
        "command": ("-c", "pass"),
        "run_id": "run",
        "memory_bytes": 64 * MIB,
        "cpus": 4.0,
        "processes": 16,
        "scratch_bytes": 8 * MIB,
        "shared_memory_bytes": 4 * MIB,
    }
    return SandboxSpec(**(limits | changes))


@pytest.fixture
def client() -> Iterator[DockerClient]:
    """A client that never connects: with a version given, it has nothing to ask."""
    unconnected = docker.DockerClient(base_url="unix:///nonexistent", version="1.41")
    yield unconnected
    unconnected.close()


class ForgetfulEngine:
    """Creates containers, but says that it leaves the limit of processes out."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client
        self.api = self
        self.images = self
        self.id = "sha256:image"
        self.removed: list[str] = []

    def get(self, _reference: str) -> ForgetfulEngine:
        """Be the image too."""
        return self

    def info(self) -> dict[str, Any]:
        """Describe a small machine."""
        return {"OSType": "linux", "NCPU": 2}

    def create_host_config(self, **options: Any) -> Any:
        """As docker-py does it."""
        return self._client.api.create_host_config(**options)

    def create_container(self, _image: str, **_options: Any) -> dict[str, Any]:
        """Create it with one limit less."""
        warning = "Your kernel does not support pids limit capabilities. PIDs limit discarded."
        return {"Id": "c" * 64, "Warnings": [warning]}

    def kill(self, _container: str) -> None:
        """Nothing runs yet."""

    def remove_container(self, container: str, **_options: Any) -> None:
        """Note what is removed; the second time it is gone."""
        if container in self.removed:
            raise NotFound(container)
        self.removed.append(container)


def test_limit_that_the_engine_leaves_out_means_no_run(client: DockerClient) -> None:
    """A container without one of its limits is removed before anything runs in it."""
    engine = ForgetfulEngine(client)
    with pytest.raises(WallError, match="PIDs limit discarded"):
        DockerBackend(cast("Any", engine), "image").open(spec_of())
    assert engine.removed == ["c" * 64]


def test_memory_has_no_swap_beside_it(client: DockerClient) -> None:
    """The limit on memory is the limit on memory and swap together."""
    config = host_config(client, spec_of(), 8, None)
    assert config["Memory"] == config["MemorySwap"] == 64 * MIB


@pytest.mark.parametrize(("machine", "granted"), [(2, 2), (8, 4)])
def test_no_more_processors_than_the_engine_has(client: DockerClient, machine: int, granted: int) -> None:
    """An assignment that allows four processors can be graded on a machine of two."""
    assert host_config(client, spec_of(), machine, None)["NanoCpus"] == granted * 10**9


@pytest.mark.parametrize(
    ("low", "runtime", "shares"),
    [(False, None, FULL_SHARES), (True, None, LOW_SHARES), (True, "runsc", FULL_SHARES)],
)
def test_share_of_the_processors_is_always_given(
    client: DockerClient, runtime: str | None, shares: int, *, low: bool
) -> None:
    """A low one only where it can be raised later, which gVisor's runtime cannot do."""
    config = host_config(client, spec_of(low_priority=low, cores=frozenset({2, 1})), 8, runtime)
    assert config["CpuShares"] == shares
    assert config.get("CpusetCpus") == ("1,2" if shares == FULL_SHARES else None)


def test_nothing_of_the_host_is_mounted(client: DockerClient) -> None:
    """There are two tmpfs and no bind mount, volume or device."""
    config = host_config(client, spec_of(), 8, None)
    assert set(config["Tmpfs"]) == {"/tmp", "/dev/shm"}  # noqa: S108  paths inside
    assert not {"Binds", "Mounts", "Devices", "VolumesFrom", "DeviceRequests"} & set(config)


def test_gpu_is_passed_in_when_it_is_asked_for(client: DockerClient) -> None:
    """One GPU and no more; a run on the CPU is told that there is none."""
    with_gpu = spec_of(gpu=True)
    (request,) = host_config(client, with_gpu, 8, None)["DeviceRequests"]
    assert (request["Count"], request["Capabilities"]) == (1, [["gpu"]])
    assert "NVIDIA_VISIBLE_DEVICES" not in container_config(with_gpu, {})["environment"]
    assert container_config(spec_of(), {})["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_runtime_is_the_one_that_was_chosen(client: DockerClient) -> None:
    """The runtime of gVisor can be asked for; otherwise the engine's default serves."""
    assert host_config(client, spec_of(), 8, "runsc")["Runtime"] == "runsc"
    assert "Runtime" not in host_config(client, spec_of(), 8, None)
