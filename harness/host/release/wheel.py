"""Packs the harness, as it runs here, into a wheel, and names the versions that it runs with.

A kit works without the course's repository, so what it installs is made from the installed package alone,
whether that is a checkout or a wheel itself. The format is that of the binary distribution format
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.host.distributions import installed, pinned
from harness.host.errors import MachineError
from harness.host.packing import pack

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "harness"
SUFFIXES = frozenset({".css", ".js", ".jinja", ".json", ".py", ".sh", ".toml", ".typed", ".yaml", ".yml"})
NAMES = frozenset({"Dockerfile"})
HEADERS = (
    *("Metadata-Version", "Name", "Version", "Summary", "License-Expression", "License-File"),
    "Requires-Python",
)
TAG = "py3-none-any"


@cache
def harness_wheel() -> tuple[str, bytes]:
    """The file name and the content of a wheel of this harness, the same bytes for the same code.

    It is made once, so that all that one command writes has the same. In it is the package alone, by the
    kinds of its files: no test, no benchmark, no assignment, and none of the templates that new assignments
    are made from, whose solutions would be in it.

    Raises:
        MachineError: the harness is not installed, only lying there.
    """
    distribution = _this()
    name = f"{NAME}-{distribution.version}"
    files = {f"{NAME}/{path}": content for path, content in package_files().items()}
    files |= {f"{name}.dist-info/{path}": text.encode() for path, text in _about(distribution).items()}
    files[f"{name}.dist-info/RECORD"] = _record(files, f"{name}.dist-info/RECORD")
    return f"{name}-{TAG}.whl", pack(files)


def package_files() -> dict[str, bytes]:
    """The package's files that a kit gets, by their path inside of it."""
    root = Path(harness.__file__).parent
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and (path.suffix in SUFFIXES or path.name in NAMES)
    }


def constraints() -> str:
    """The versions of all that this harness needs, as they are installed here, for ``pip install -c``."""
    needed = installed(_this().requires or ())
    return "".join(f"{requirement}\n" for requirement in pinned(needed))


def _this() -> metadata.Distribution:
    try:
        return metadata.distribution(NAME)
    except metadata.PackageNotFoundError as error:
        raise MachineError("the harness is not installed", "pip install -e .") from error


def _about(distribution: metadata.Distribution) -> Mapping[str, str]:
    """The files of the ``.dist-info`` folder."""
    known = distribution.metadata
    head = [f"{name}: {known[name]}" for name in HEADERS if known[name]]
    needs = [text for text in distribution.requires or () if "extra ==" not in text.replace("'", '"')]
    points: dict[str, list[str]] = {}
    for point in distribution.entry_points:
        points.setdefault(point.group, []).append(f"{point.name} = {point.value}")
    texts = {
        "METADATA": "\n".join([*head, *(f"Requires-Dist: {text}" for text in needs)]) + "\n",
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: true\nTag: {TAG}\n",
        "entry_points.txt": "\n".join(
            f"[{group}]\n" + "\n".join(lines) + "\n" for group, lines in points.items()
        ),
    }
    licence = distribution.read_text("licenses/LICENSE")
    return texts if licence is None else texts | {"licenses/LICENSE": licence}


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    def digest(content: bytes) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

    lines = [f"{path},sha256={digest(content)},{len(content)}" for path, content in sorted(files.items())]
    return "\n".join([*lines, f"{own},,", ""]).encode()
