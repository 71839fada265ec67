"""Finds out which CI system this is, and what to say to it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from harness.host.report.annotations import Annotation, Sources, annotations_of, folder_in
from harness.host.report.github import github_of
from harness.host.report.gitlab import GitLab

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from harness.host.records import Report, Submission

CONFIG = "config.toml"
ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")  # where a job finds the repository


class Ci(Protocol):
    """A CI system that reads along."""

    def section(self, name: str, title: str) -> AbstractContextManager[None]:
        """What is written meanwhile belongs together, and is shown as it is."""

    def conclude(self, summary: str, annotations: Sequence[Annotation]) -> None:
        """Tell how it went, to whoever looks at the job; that may be the student."""

    def fault(self, message: str) -> None:
        """Tell why nothing could be graded."""


class Nobody:
    """No CI system."""

    def section(self, name: str, title: str) -> AbstractContextManager[None]:  # noqa: ARG002  see `Ci`
        """Nothing is said."""
        return nullcontext()

    def conclude(self, summary: str, annotations: Sequence[Annotation]) -> None:
        """Nothing is said."""

    def fault(self, message: str) -> None:
        """Nothing is said."""


def ci_of(choice: str, environment: Mapping[str, str]) -> str:
    """The CI system: ``github``, ``gitlab`` or ``none``.

    Args:
        choice: one of these, or ``auto``: the one that says that it is there.
        environment: the variables of this process.
    """
    if choice != "auto":
        return choice
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environment.get("GITLAB_CI") == "true" else "none"


def speak_to(system: str, environment: Mapping[str, str], write: Callable[[str], None]) -> Ci:
    """What speaks to a CI system.

    Args:
        system: as `ci_of` has it.
        environment: the variables of this process.
        write: takes a line of the log.
    """
    if system == "github":
        return github_of(dict(environment), write)
    return GitLab(write) if system == "gitlab" else Nobody()


def remarks_on(
    report: Report, submission: Submission | None, where: Path, environment: Mapping[str, str]
) -> tuple[list[Annotation], Sources]:
    """What there is to remark, and the files to put it on.

    Args:
        report: its public side, where students read along.
        submission: as it was read; None if it could not be: then only its config may be at fault in a line.
        where: it lies.
        environment: the variables of this process.
    """
    root = next((environment[name] for name in ROOTS if environment.get(name)), "")
    folder = folder_in(where, root)
    files = submission.files if submission is not None else {}
    if submission is None and folder is not None and report.run.place is not None:
        files = {CONFIG: b"\n" * report.run.place.line}  # the line is our own parser's
    sources = Sources(folder, files)
    return annotations_of(report, sources), sources
