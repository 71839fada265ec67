"""What this machine can do, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.host.backends import engine_configured
from harness.host.errors import HarnessError
from harness.host.report.text import printable
from harness.host.runtime import guest_distributions
from harness.host.sandbox import cgroup, gpu

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

GVISOR = "runsc"  # as its own installer names it to the engine
FREE_BYTES_NEEDED = 4 << 30  # an image's build holds the packages three times for a while


class Status(Enum):
    """How one thing stands."""

    WORKS = ("works", "green")
    LIMITED = ("limited", "yellow")
    MISSING = ("missing", "red")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    subject: str
    status: Status
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """Look at everything that grading can make use of."""
    examinations: tuple[Callable[[], Finding], ...] = (
        _packages,
        _docker,
        _image,
        _gvisor,
        _bubblewrap,
        _limits,
        _gpu,
        _disk,
    )
    return [_safely(examination) for examination in examinations]


def can_grade(findings: list[Finding]) -> bool:
    """Whether at least one sandbox works."""
    works = {finding.subject for finding in findings if finding.status is Status.WORKS}
    return "packages" in works and ("bubblewrap" in works or {"docker", "image"} <= works)


def render(findings: list[Finding], console: Console) -> None:
    """Show the findings as a table, and what to do below it."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        word, colour = finding.status.value
        table.add_row(finding.subject, Text(word, style=colour), Text(printable(finding.detail)))
    console.print(table, highlight=False)
    fixes = [(finding.subject, finding.fix) for finding in findings if finding.fix]
    if fixes:
        console.print()
    for subject, fix in fixes:
        console.print(Text(f"{subject}: {printable(fix)}"), highlight=False)
    console.print()
    verdict = "this machine can grade" if can_grade(findings) else "this machine cannot grade yet"
    console.print(Text(verdict, style="bold"))


def _safely(examination: Callable[[], Finding]) -> Finding:
    try:
        return examination()
    except HarnessError as error:
        return Finding(examination.__name__.strip("_"), Status.MISSING, error.message, error.fix)


def _packages() -> Finding:
    found = guest_distributions()
    versions = ", ".join(f"{name} {found[name].version}" for name in ("torch", "numpy", "pandas"))
    return Finding("packages", Status.WORKS, f"Python {platform.python_version()}, {versions}")


def _docker() -> Finding:
    if not engine_configured():
        return Finding(
            "docker",
            Status.MISSING,
            "no engine answers; grading goes on in bubblewrap",
            "install and start Docker, on Debian: apt-get install docker.io",
        )
    from harness.host.image import connect  # noqa: PLC0415  only with an engine

    client = connect()
    runtimes = ", ".join(sorted(client.info().get("Runtimes", {}))) or "unknown"
    version = client.version().get("Version", "of unknown version")
    return Finding("docker", Status.WORKS, f"engine {version}, runtimes: {runtimes}")


def _image() -> Finding:
    if _docker_is_missing():
        return Finding("image", Status.MISSING, "needs a Docker engine")
    from harness.host.image import can_build, connect, find_image  # noqa: PLC0415  only with an engine

    client = connect()
    tag = find_image(client)
    if tag is not None:
        return Finding("image", Status.WORKS, tag)
    possible, how = can_build(client)
    detail = f"not built yet; {how}"
    return Finding(
        "image", Status.LIMITED if possible else Status.MISSING, detail, "make image" if possible else how
    )


def _docker_is_missing() -> bool:
    return _safely(_docker).status is Status.MISSING


def _gvisor() -> Finding:
    if _docker_is_missing():
        return Finding("gvisor", Status.LIMITED, "needs a Docker engine; no grading depends on it")
    from harness.host.image import connect  # noqa: PLC0415  only with an engine

    if GVISOR in connect().info().get("Runtimes", {}):
        return Finding("gvisor", Status.WORKS, f"--sandbox docker --runtime {GVISOR} puts it in between")
    return Finding(
        "gvisor",
        Status.LIMITED,
        f"the engine has no runtime {GVISOR}; no grading depends on it",
        f"on Debian: apt-get install {GVISOR} && {GVISOR} install -- --network=none, then restart the engine",
    )


def _bubblewrap() -> Finding:
    if sys.platform != "linux":
        return Finding("bubblewrap", Status.MISSING, "needs Linux")
    from harness.host.sandbox.bubblewrap import probe  # noqa: PLC0415  Linux only

    why_not = probe()
    if why_not:
        return Finding(
            "bubblewrap",
            Status.MISSING,
            why_not,
            "allow user namespaces (Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)",
        )
    return Finding("bubblewrap", Status.WORKS, "namespaces and the system-call filter work")


def _limits() -> Finding:
    groups = cgroup.parents()
    if groups:
        version = "version 2" if "unified" in groups else "version 1"
        return Finding("limits", Status.WORKS, f"control groups ({version}) can be made for bubblewrap")
    return Finding(
        "limits",
        Status.LIMITED,
        "no control group can be made here; bubblewrap's memory and processes are watched from the host",
        "for exact limits run the harness as root, or use Docker",
    )


def _gpu() -> Finding:
    if gpu.available():
        return Finding(
            "gpu", Status.WORKS, f"NVIDIA driver; libraries in {', '.join(sorted(gpu.driver_folders()))}"
        )
    return Finding("gpu", Status.LIMITED, "no NVIDIA driver; submissions run on the CPU")


def _disk() -> Finding:
    folder = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108  where the image's parts are put together
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):.1f} GiB free in {folder}"
    if free < FREE_BYTES_NEEDED:
        return Finding(
            "disk", Status.LIMITED, detail, f"building the image needs {FREE_BYTES_NEEDED >> 30} GiB"
        )
    return Finding("disk", Status.WORKS, detail)
