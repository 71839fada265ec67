"""Fills in templates, and writes files into a folder that others keep files in too."""

from __future__ import annotations

import json
import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.report.files import write_bytes_atomically
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.host.assignment import Assignment

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = 0o755


def filled(template: str, assignment: Assignment, sandbox: str, submission: str = "") -> str:
    """A template with its words in place: quoted for YAML, and for a shell those that begin with SHELL.

    Args:
        template: the name of its file.
        assignment: names the course's work.
        sandbox: where student code is to run.
        submission: the folder of the submission, relative to the repository.

    Raises:
        UsageError: it is not there, or the folder leads out of the repository.
    """
    path = PurePosixPath(submission)
    if path.is_absolute() or ".." in path.parts or not submission.isprintable():
        raise UsageError(
            f"{quoted(submission)} is no folder in a repository", "name it relative to the repository's root"
        )
    words = {
        "@ID@": assignment.id,
        "@ASSIGNMENT@": json.dumps(assignment.id),
        "@SUBMISSION@": json.dumps(str(path), ensure_ascii=False),
        "@SANDBOX@": json.dumps(sandbox),
        "@SHELL_ID@": shlex.quote(assignment.id),
        "@SHELL_SANDBOX@": shlex.quote(sandbox),
    }
    try:
        text = (TEMPLATES / template).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"this copy of the harness has no {template}", "use the one in the course's own repository"
        ) from None
    for word, meant in words.items():
        text = text.replace(word, meant)
    return text


def write_files(
    files: Mapping[str, bytes], folder: Path, scripts: frozenset[str] = frozenset()
) -> list[Path]:
    """Write files, with the folders that they need; nothing that is there and different is overwritten.

    Args:
        files: path with forward slashes, to content.
        folder: it is made.
        scripts: which of them can be run.

    Returns:
        Where they are.

    Raises:
        UsageError: one is there already with another content, or cannot be written; then none was.
    """
    targets = {folder / path: content for path, content in files.items()}
    for target, content in targets.items():
        try:
            other = target.exists() and target.read_bytes() != content
        except OSError as error:
            raise UsageError(f"{target} cannot be read: {error.strerror}", "name another folder") from error
        if other:
            raise UsageError(
                f"{target} is there already", "remove it first, or name another folder: --out DIR"
            )
    for target, content in targets.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the folder {target.parent} cannot be made: {error.strerror}", "name another: --out DIR"
            ) from error
        write_bytes_atomically(content, target)
        if target.relative_to(folder).as_posix() in scripts:
            target.chmod(SCRIPT)
    return list(targets)
