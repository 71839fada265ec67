"""What a bubblewrap sandbox needs of this machine to use its NVIDIA GPU: device files and the driver."""

from __future__ import annotations

import glob
import subprocess
from pathlib import Path


def available() -> bool:
    """Whether an NVIDIA driver is loaded here."""
    return Path("/dev/nvidiactl").exists()


def bwrap_arguments() -> list[str]:
    """Device files, the driver's libraries and what they read, as arguments of bubblewrap."""
    arguments: list[str] = []
    for path in sorted(glob.glob("/dev/nvidia*")):  # noqa: PTH207  device files, some of them folders
        arguments += ["--dev-bind-try", path, path]
    for path in sorted(driver_folders()):
        if not path.startswith("/usr/lib"):  # bound already
            arguments += ["--ro-bind-try", path, path]
    return [*arguments, "--ro-bind-try", "/sys", "/sys"]


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
