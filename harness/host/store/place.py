"""Where a course's store is: a database, and a folder of artifacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.host.store.database import url_of

RESULTS = "results"  # under the course's root
DATABASE = f"{RESULTS}/runs.sqlite"
ARTIFACTS = "artifacts"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is.

    Attributes:
        url: of the database, with its password if it has one: not to be shown.
        artifacts: the folder of what runs are made of.
    """

    url: str = field(repr=False)
    artifacts: Path


def place_of(named: str | None, artifacts: Path | None, root: Path) -> Place:
    """Where the store is that a command works with.

    Args:
        named: the database's URL or path; None: ``results/runs.sqlite`` in `root`.
        artifacts: their folder; None: beside the database if that is a file, else ``results/artifacts``.
        root: the course's folder, which holds ``assignments/``.

    Raises:
        UsageError: the URL cannot be read.
    """
    url = url_of(named) if named else url_of(root / DATABASE)
    home = root / RESULTS
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "").absolute()
        url, home = url.set(database=str(file)), file.parent
    return Place(url.render_as_string(hide_password=False), (artifacts or home / ARTIFACTS).absolute())
