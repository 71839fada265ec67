"""What must be the same on two machines, so that a submission gets the same grade on both."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from harness.host.errors import MachineError
from harness.host.runtime import GUEST_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = Path(__file__).parents[1]
SOURCES = frozenset({".py", ".toml"})
HARNESS, PYTHON = "harness", "Python"


@functools.cache
def edition() -> dict[str, str]:
    """A digest of the harness's source, and the versions of Python and of what student code meets.

    Builds of one version for other devices, such as ``2.13.0+cpu``, count as the same.

    Raises:
        MachineError: a package that submissions need is not installed.
    """
    major, minor, _ = platform.python_version_tuple()
    return {HARNESS: _digest(), PYTHON: f"{major}.{minor}"} | {
        name: _version(name) for name in GUEST_PACKAGES
    }


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in SOURCES:
            for part in (path.relative_to(PACKAGE).as_posix().encode(), path.read_bytes()):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return Version(metadata.version(package)).public
    except metadata.PackageNotFoundError as error:
        raise MachineError(
            f"the package {package} is not installed, and submissions need it",
            f"pip install -c constraints.txt {package}",
        ) from error


def differences(theirs: Mapping[str, str]) -> str:
    """What another machine has that is not the same here, as a sentence; empty where all is."""
    found = [
        f"{name} is {theirs.get(name, 'not known')} there and {own} here"
        for name, own in edition().items()
        if theirs.get(name) != own
    ]
    return ", ".join(found)
