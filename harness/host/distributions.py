"""The distributions that are installed here: with all that they need, and their versions."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from harness.host.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def installed(requirements: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Distributions and all that they require without extras, by normalised name, in its order.

    Args:
        requirements: as a ``Requires-Dist`` has them; of those with a marker, only what is for this machine.

    Raises:
        MachineError: one is not installed.
    """
    found: dict[str, metadata.Distribution] = {}
    wanted = [Requirement(text) for text in requirements]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise MachineError(
                f"the package {name} is not installed, and is needed",
                f"pip install -c constraints.txt {name}",
            ) from error
        wanted += [Requirement(text) for text in found[name].requires or ()]
    return dict(sorted(found.items()))


def pinned(distributions: Mapping[str, metadata.Distribution]) -> tuple[str, ...]:
    """The same versions as requirements; a build of torch, such as ``+cpu``, is this machine's choice."""
    return tuple(
        f"{name}=={Version(distribution.version).public}" for name, distribution in distributions.items()
    )
