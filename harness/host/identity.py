"""What makes two runs the same work, and two scores the same judgement, as digests.

A run depends on the submission, on those parts of the assignment that reach a sandbox, and on the harness
that runs it. A score depends on the predictions and on the rest: answers, metric, tiers, points and checks.
So new tiers ask for new scores and not for new runs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any

import harness
from harness.host.cache import Latest
from harness.host.errors import UsageError
from harness.host.guest_code import guest_bundle, guest_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.host.assignment import Assignment

_OF_A_RUN = ("id", "task", "data", "loss", "limits", "ranges")
_OF_A_SCORE = ("id", "task", "metric", "split", "tiers", "points", "limits")
_CHECKS = "test_*.py"
_run_files: Latest[tuple[str, ...]] = Latest()
_score_files: Latest[tuple[str, ...]] = Latest()


@functools.cache
def harness_version() -> str:
    """The release, and a digest of the code that runs beside a submission: 0.1.0+9f86d081884c."""
    code = b"\0".join((*(argument.encode() for argument in guest_command()), guest_bundle()))
    return f"{harness.__version__}+{hashlib.sha256(code).hexdigest()[:12]}"


def run_digest(assignment: Assignment) -> str:
    """Of all in an assignment that a run depends on, its data files included.

    Raises:
        UsageError: a file cannot be read.
    """
    files = (assignment.train_path, assignment.test_path)
    return _digest(_fields(assignment, _OF_A_RUN), _file_digests(files, _run_files))


def score_digest(assignment: Assignment, reference: Path) -> str:
    """Of all beside the run that a score depends on; it is secret, since the answers are in it.

    Args:
        assignment: states the metric, the tiers and the checks.
        reference: the folder of the hidden answers; it need not exist.

    Raises:
        UsageError: a file cannot be read.
    """
    checks = sorted(assignment.folder.glob(_CHECKS))
    hidden = sorted(path for path in reference.glob("*") if path.suffix in {".csv", ".toml"})
    data = (assignment.train_path, assignment.test_path)
    return _digest(_fields(assignment, _OF_A_SCORE), _file_digests((*data, *checks, *hidden), _score_files))


def run_key(assignment_sha256: str, submission: str, config: Mapping[str, Any]) -> str:
    """What two runs have in common that are the same work.

    Args:
        assignment_sha256: `run_digest`.
        submission: the submission's digest; of one that could not be read, why.
        config: as it was parsed; empty where it could not be.
    """
    return _digest(assignment_sha256, submission, config_digest(config), harness_version())


def config_digest(config: Mapping[str, Any]) -> str:
    """Of a parsed config, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def _fields(assignment: Assignment, names: Iterable[str]) -> str:
    fields = assignment.model_dump(mode="json", include=set(names))
    return json.dumps(fields, sort_keys=True)


def _file_digests(files: tuple[Path, ...], kept: Latest[tuple[str, ...]]) -> str:
    def read() -> tuple[str, ...]:
        return tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)

    try:
        return "".join(kept.of(None, files, read))
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", "put the file back") from error


def _digest(*parts: str) -> str:
    """SHA-256 over parts, each with its length before it, so that no two lists of parts are alike."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "backslashreplace")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
