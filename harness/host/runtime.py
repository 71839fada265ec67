"""The packages that a submission may import, as one read-only folder for sandboxes that have no image.

Student code sees torch, NumPy, pandas and what these need, and nothing else that is installed beside the
harness, so that it meets the same packages in bubblewrap as in the Docker image. The folder is made once
per set of versions out of hard links to the installed files. Its bytecode is compiled anew under the path
that the folder has inside a sandbox, so that no path of this machine can be read out of it.
"""

from __future__ import annotations

import compileall
import functools
import hashlib
import os
import py_compile
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.cache import locked, user_cache
from harness.host.distributions import installed, pinned
from harness.host.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib import metadata

GUEST_PACKAGES = ("torch", "numpy", "pandas")
GUEST_SITE_PACKAGES = "/opt/harness/site-packages"
GUEST_PYTHON = "/opt/harness/python"
FORMAT = "1"  # of the folder; a change makes every machine build it anew

# Written by the installer, of no use to a program, and some of them name paths of this machine.
_COMPILED = "__pycache__"  # which virtualenv lists as a file of its setuptools
_INSTALLER_FILES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


@dataclass(frozen=True, slots=True)
class GuestRuntime:
    """The folder of packages, and a digest of what is in it."""

    site_packages: Path
    digest: str


@functools.cache
def guest_distributions() -> dict[str, metadata.Distribution]:
    """The installed distributions of `GUEST_PACKAGES` and all that they require, by normalised name.

    Raises:
        MachineError: one of them is not installed.
    """
    return installed(GUEST_PACKAGES)


def guest_requirements() -> tuple[str, ...]:
    """The same packages as pinned requirements, for building an image with what is installed here."""
    return pinned(guest_distributions())


def ensure_guest_runtime(progress: Callable[[str], None] = lambda _: None) -> GuestRuntime:
    """Return the folder of guest packages, after making it if it is not there.

    Args:
        progress: is told once when the folder has to be made.

    Raises:
        MachineError: it cannot be made here.
    """
    digest = _digest()
    root = _cache_folder()
    folder = root / digest[:16]
    if not folder.exists():
        with locked(root / "lock"):
            if not folder.exists():
                progress("preparing the guest's packages, once for this set of versions")
                _build(folder, guest_distributions().values())
    return GuestRuntime(folder, f"sha256:{digest}")


def _digest() -> str:
    parts = [FORMAT, sys.version, *(f"{n}=={d.version}" for n, d in guest_distributions().items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _cache_folder() -> Path:
    """Beside the installed packages where that can be written, since hard links need the same file system."""
    beside = Path(sys.prefix) / "var" / "harness-guest"
    own = user_cache("guest")
    for folder in (beside, own):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise MachineError(
        f"neither {beside} nor {own} can be written, and the guest's packages must lie somewhere",
        "set XDG_CACHE_HOME to a folder that can be written",
    )


def _build(folder: Path, distributions: Iterable[metadata.Distribution]) -> None:
    for leftover in folder.parent.glob(".building-*"):
        shutil.rmtree(leftover)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    umask = os.umask(0o022)  # sandboxes read the folder as a user of their own
    try:
        building.chmod(0o755)
        for distribution in distributions:
            _link_files(distribution, building)
        compileall.compile_dir(
            building,
            maxlevels=64,
            quiet=2,  # packages carry a few files for other versions of Python
            workers=0,
            stripdir=str(building),
            prependdir=GUEST_SITE_PACKAGES,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        building.rename(folder)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise MachineError(f"the guest's packages could not be laid out in {folder}: {error}") from error
    finally:
        os.umask(umask)


def _link_files(distribution: metadata.Distribution, target: Path) -> None:
    made: set[Path] = set()
    for file in distribution.files or ():
        if {"..", _COMPILED} & {*file.parts} or file.suffix == ".pyc" or file.name in _INSTALLER_FILES:
            continue
        source, copy = Path(str(file.locate())), target / file
        if copy.parent not in made:
            copy.parent.mkdir(parents=True, exist_ok=True)
            made.add(copy.parent)
        _link(source, copy)


def _link(source: Path, copy: Path) -> None:
    """Link a file, or copy it where the file system or its permissions ask for that."""
    if source.stat().st_mode & 0o004:
        with suppress(OSError):  # another file system, or one without hard links
            os.link(source, copy)
            return
    shutil.copyfile(source, copy)
    copy.chmod(0o644)
