"""What can run on this machine, and why the rest cannot."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

from processes import HARNESS
from stores import REFERENCE

from harness.host.errors import HarnessError

SANDBOXES = ("bubblewrap", "docker")


def why_no_sandbox(sandbox: str) -> str | None:
    """Why submissions cannot be graded in a sandbox; None if they can."""
    try:
        return _why_no_docker() if sandbox == "docker" else _why_no_bubblewrap()
    except HarnessError as error:
        return error.message


def why_no_batch(sandbox: str) -> str | None:
    """Why ``harness batch`` cannot run in a sandbox; None if it can."""
    asked = subprocess.run([HARNESS, "batch", "--help"], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        return f"harness batch --help says {asked.stderr.strip().splitlines()[-1:]}"
    return why_no_sandbox(sandbox)


def why_no_module(module: str) -> str | None:
    """Why a package that the harness does not depend on cannot be timed; None if it can."""
    return None if importlib.util.find_spec(module) else "not installed"


def why_no_reference() -> str | None:
    """Why stored runs cannot be scored again; None if they can."""
    return None if REFERENCE.is_dir() else f"there is no {REFERENCE}"


def why_no_xargs() -> str | None:
    """Why the plain script cannot run many times at once; None if it can."""
    return None if shutil.which("xargs") else "there is no xargs"


def _why_no_docker() -> str | None:
    from harness.host.backends import engine_configured  # noqa: PLC0415  only where it is timed

    if not engine_configured():
        return "no Docker engine answers"
    from harness.host.image import connect, find_image  # noqa: PLC0415  it needs the client

    client = connect()
    try:
        return None if find_image(client) else "the engine has no image of the guest; make one: harness image"
    finally:
        client.close()


def _why_no_bubblewrap() -> str | None:
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    from harness.host.sandbox.bubblewrap import probe  # noqa: PLC0415  Linux only

    return probe() or None
