"""What makes two runs the same work, and two scores the same judgement, as digests.

A run depends on the submission, on those parts of the assignment that reach a sandbox, and on the harness
that runs it. A score depends on the predictions and on the rest: answers, metric, tiers, points, checks, and
the code here that judges by them. So new tiers ask for new scores and not for new runs, and a new deadline
for neither.
"""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import harness
from harness.host.assignment import FILE_NAME
from harness.host.cache import Latest
from harness.host.errors import UsageError
from harness.host.guest_code import guest_bundle, guest_command
from harness.host.intake import ignored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.host.assignment import Assignment

_OF_A_RUN = ("id", "task", "data", "loss", "limits", "ranges")
_OF_A_SCORE = ("id", "task", "data", "metric", "split", "tiers", "points", "limits")
_JUDGES = ("bootstrap", "checks", "judge", "metrics", "scoring")  # the modules that make scores and points
_FOR_PEOPLE = ".md"
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
    return _digest(_fields(assignment, _OF_A_RUN), *_file_digests(files, _run_files))


def score_digest(assignment: Assignment, reference: Path) -> str:
    """Of all beside the run that a score depends on; it is secret, since the answers are in it.

    A check may import or read whatever lies beside it, so every file of the assignment's folder counts, but
    for texts, caches and hidden files.

    Args:
        assignment: states the metric, the tiers and the points.
        reference: the folder of the hidden answers; it need not exist.

    Raises:
        UsageError: a file cannot be read.
    """
    folder, data = assignment.folder, (assignment.train_path, assignment.test_path)
    own = {f"own/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*")) if path not in data}
    hidden = {f"hidden/{path.name}": path for path in sorted(reference.glob("*"))}
    files = {name: path for name, path in {**own, **hidden}.items() if _judges(name, path)}
    digests = _file_digests((*data, *files.values()), _score_files)
    return _digest(_fields(assignment, _OF_A_SCORE), _judging_code(), *files, *digests)


def _judges(name: str, path: Path) -> bool:
    """Whether a file may have a say; of ``assignment.toml``, the keys count one by one."""
    plain = path.suffix != _FOR_PEOPLE and path.name != FILE_NAME
    return plain and not ignored(tuple(name.split("/"))) and path.is_file()


@functools.cache
def _judging_code() -> str:
    host = resources.files("harness") / "host"
    return _digest(harness.__version__, *((host / f"{name}.py").read_text("utf-8") for name in _JUDGES))


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
    return hashlib.sha256(json.dumps(_spelled(config), sort_keys=True).encode()).hexdigest()


def _spelled(value: Any) -> Any:  # noqa: ANN401  whatever TOML can say
    """A value with each leaf as text that names its type; Python spells long integers in base 16 only."""
    if isinstance(value, dict):
        return {key: _spelled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_spelled(inner) for inner in value]
    return f"{type(value).__name__} {f'{value:x}' if type(value) is int else value}"


def _fields(assignment: Assignment, names: Iterable[str]) -> str:
    """The values of some keys; where the data lie is left out, since their content counts by itself."""
    moved = {"data": {"train", "test"}}
    fields = assignment.model_dump(mode="json", include=set(names), exclude=moved)
    return json.dumps(fields, sort_keys=True)


def _file_digests(files: tuple[Path, ...], kept: Latest[tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return kept.of(None, files, lambda: tuple(_file_digest(path) for path in files))
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", "put the file back") from error


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(*parts: str) -> str:
    """SHA-256 over parts, each with its length before it, so that no two lists of parts are alike."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "backslashreplace")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
