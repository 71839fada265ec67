"""Which NVIDIA GPU a sandbox gets, and what bubblewrap needs for it: device files and the driver.

A GPU is named as CUDA names it, by its number or its UUID. ``CUDA_VISIBLE_DEVICES``, as CUDA itself reads it,
says which of this machine's a process may use; a sandbox gets the first of them and no other.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICES = Path("/dev")
DRIVER = Path("/proc/driver/nvidia/gpus")
_NUMBERED = re.compile(r"nvidia(\d+)")


def available() -> bool:
    """Whether an NVIDIA driver is loaded here, and a GPU may be used."""
    return Path("/dev/nvidiactl").exists() and os.environ.get(VISIBLE, "all") not in {"", "-1"}


def names(devices: Path = DEVICES) -> list[str]:
    """The GPUs that this process may use.

    Args:
        devices: the folder of the device files.
    """
    visible = os.environ.get(VISIBLE)
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in {"", "-1"}]
    return [str(number) for number in sorted(_minors(devices))]


def bwrap_arguments(devices: Path = DEVICES, driver: Path = DRIVER) -> list[str]:
    """The device files of one GPU, the driver's libraries and what they read, as arguments of bubblewrap.

    Args:
        devices: the folder of the device files.
        driver: where the driver says which GPU has which device file.
    """
    arguments: list[str] = []
    chosen = next(iter(names(devices)), "")
    others = {f"nvidia{minor}" for minor in _minors(devices) - {_minor_of(chosen, driver)}}
    for path in sorted(devices.glob("nvidia*")):
        if path.name not in others:
            arguments += ["--dev-bind-try", str(path), str(path)]
    for folder in sorted(driver_folders()):
        if not folder.startswith("/usr/lib"):  # bound already
            arguments += ["--ro-bind-try", folder, folder]
    return [*arguments, "--ro-bind-try", "/sys", "/sys"]


def _minors(devices: Path) -> set[int]:
    """The numbers of the GPUs' device files."""
    found = (_NUMBERED.fullmatch(path.name) for path in devices.glob("nvidia*"))
    return {int(match[1]) for match in found if match}


def _minor_of(name: str, driver: Path) -> int | None:
    """The number of a GPU's device file.

    CUDA's numbers are the places in the order of the bus here (``CUDA_DEVICE_ORDER=PCI_BUS_ID``, as in
    nvidia-smi), which is the order of the driver's folders.
    """
    described = [_description(file) for file in sorted(driver.glob("*/information"))]
    if name.isdecimal():
        place = int(name)
        return described[place][1] if place < len(described) else place
    return next((minor for uuid, minor in described if name and uuid.startswith(name)), None)


def _description(file: Path) -> tuple[str, int | None]:
    """A GPU's UUID, and the number of its device file."""
    fields = dict(line.partition(":")[::2] for line in file.read_text().splitlines())
    minor = fields.get("Device Minor", "").strip()
    return fields.get("GPU UUID", "").strip(), int(minor) if minor.isdecimal() else None


def driver_folders() -> set[str]:
    """The folders of libcuda, as the dynamic linker knows them."""
    try:
        listing = subprocess.run(
            ["/sbin/ldconfig", "-p"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except OSError:
        return set()
    lines = (line for line in listing.splitlines() if line.strip().startswith("libcuda.so"))
    return {str(Path(line.rpartition(" => ")[2]).parent) for line in lines}
