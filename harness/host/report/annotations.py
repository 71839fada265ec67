"""What a CI system shows beside a student's files: the outcome where it went wrong, and failed checks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from harness.host.report.figures import points
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.host.records import Check, Place, Report

MODEL = "model.py"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One remark; its texts may be a student's and are to be escaped for wherever they go.

    Attributes:
        rule: what it is about: an outcome, or the name of a check.
        serious: whether the run came to nothing for it.
        file: relative to the repository's root, with forward slashes; empty: of no file.
        line: from 1; None: of no line.
    """

    rule: str
    text: str
    serious: bool
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The files that remarks may be put on.

    Attributes:
        folder: of the submission in the repository, with forward slashes; None: it is not in there.
        files: path inside the submission, to content.
    """

    folder: str | None
    files: Mapping[str, bytes]

    def find(self, place: Place) -> tuple[str, int] | None:
        """A claimed line of the student's code as the repository knows it; None: there is no such line."""
        if self.folder is None or place.file not in self.files:
            return None
        lines = self.files[place.file].count(b"\n") + 1
        return (self.path(place.file), place.line) if 1 <= place.line <= lines else None

    def path(self, file: str) -> str:
        """A file of the submission as the repository knows it."""
        return str(PurePosixPath(self.folder or "") / file)


def folder_in(submission: Path, job: str) -> str | None:
    """A submission's folder relative to its repository's root; None: it is no folder in one.

    Args:
        submission: as it was named.
        job: the folder of the CI job, which is the root where no folder above the submission says that it is;
            empty: it is not known.
    """
    if not submission.is_dir():
        return None
    here = Path(os.path.abspath(submission))  # noqa: PTH100  no link is followed on the way
    root = next((str(each) for each in (here, *here.parents) if os.path.lexists(each / ".git")), job)
    if not root:
        return None
    relative = PurePath(os.path.relpath(here, os.path.abspath(root)))  # noqa: PTH100  likewise
    return None if relative.parts[:1] == (os.pardir,) else relative.as_posix()


def annotations_of(report: Report, sources: Sources) -> list[Annotation]:
    """The remarks on a report.

    Args:
        report: its public side, where students read along.
        sources: what they are put on.
    """
    run = report.run
    found = []
    if run.outcome is not Outcome.OK:
        where = sources.find(run.place) if run.place is not None else None
        file, line = where or ("", None)
        text = "\n".join(filter(None, (run.message or f"The outcome is {run.outcome.value}.", run.hint)))
        found.append(Annotation(run.outcome.value, text, serious=True, file=file, line=line))
    failed = (check for check in report.checks if check.outcome == "failed")
    return found + [Annotation(check.name, _lost(check), serious=False) for check in failed]


def _lost(check: Check) -> str:
    earned = f"{points(check.points)} of {points(check.max_points)} points"
    return f"{earned}: {check.message}" if check.message else earned
