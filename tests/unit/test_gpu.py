"""Each sandbox gets one GPU, and it is the one that this process was told to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.host.sandbox import gpu

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Device files and the driver's folders of a machine with two GPUs, numbered unlike their files."""
    monkeypatch.delenv(gpu.VISIBLE, raising=False)
    devices, driver = tmp_path / "dev", tmp_path / "gpus"
    devices.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (devices / name).touch()
    for bus, uuid, minor in (("0000:01:00.0", "GPU-aaaa", 1), ("0000:02:00.0", "GPU-bbbb", 0)):
        (driver / bus).mkdir(parents=True)
        text = f"Model: \t\t Some GPU\nGPU UUID: \t {uuid}-1\nDevice Minor: \t {minor}\n"
        (driver / bus / "information").write_text(text)
    return devices, driver


def passed_in(devices: Path, driver: Path) -> list[str]:
    """The names of the device files that a sandbox gets."""
    arguments = gpu.bwrap_arguments(devices, driver)
    return [path.rpartition("/")[2] for path in arguments if path.startswith(str(devices))][::2]


def test_all_gpus_of_a_machine_are_known(machine: tuple[Path, Path]) -> None:
    """By their numbers."""
    assert gpu.names(machine[0]) == ["0", "1"]


@pytest.mark.parametrize(
    ("visible", "file"), [("0", "nvidia1"), ("1", "nvidia0"), ("GPU-bbbb", "nvidia0"), ("1,0", "nvidia0")]
)
def test_sandbox_gets_the_first_visible_gpu_alone(
    machine: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, visible: str, file: str
) -> None:
    """A number is a place in the order of the bus, a UUID may be cut short, as CUDA has it."""
    monkeypatch.setenv(gpu.VISIBLE, visible)

    assert gpu.names(machine[0]) == visible.split(",")
    assert passed_in(*machine) == ["nvidia-uvm", file, "nvidiactl"]


def test_unknown_gpu_is_none(machine: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No other one is taken for it."""
    monkeypatch.setenv(gpu.VISIBLE, "GPU-cccc")

    assert passed_in(*machine) == ["nvidia-uvm", "nvidiactl"]


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_gpus_are_not_used(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    """Whoever hides them from CUDA hides them from us."""
    monkeypatch.setenv(gpu.VISIBLE, visible)

    assert gpu.names() == []
    assert not gpu.available()
