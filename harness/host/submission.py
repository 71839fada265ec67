"""Loads what a student handed in, a folder, an archive or a notebook, into one frozen record in memory."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.host.archives import read_archive
from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.intake import CONFIG, MAX_NOTEBOOK_BYTES, NOTEBOOK, Intake, read_folder, read_named
from harness.host.records import MODEL, Submission
from harness.host.schema_errors import nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ARCHIVES = (".zip", ".tar.gz", ".tgz")
ENDINGS = (*ARCHIVES, NOTEBOOK)  # of what may be handed in beside folders
MAX_CONFIG_BYTES = (
    16 << 10
)  # tomllib takes quadratic time over dotted keys: 0.7 s for 16 KiB of dots, 17 s for 64
MAX_CONFIG_DEPTH = 32
MAX_REASON = 200
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
WHAT_TO_HAND_IN = (
    "hand in a folder, or a .zip or .tar.gz of one, with model.py and config.toml in it; or a notebook"
)


def load_submission(path: Path, *, max_bytes: int) -> Submission:
    """Read a submission.

    Taken are all ``.py`` files and the ``config.toml`` at the top. Where there is no ``model.py``, the one
    notebook at the top is taken for it, and for the config if that is not there either. Other files are no
    part of a submission and are left out; hidden files and caches are not looked at. A link, hard or
    symbolic, a pipe, a socket or a device is refused, never followed or opened.

    Args:
        path: a folder, a ``.zip``, a ``.tar.gz``, a ``.tgz`` or an ``.ipynb``; a single folder around an
            archive's content is taken off.
        max_bytes: the most that the files taken may have together.

    Raises:
        UsageError: nothing is there.
        InvalidSubmissionError: it cannot be graded as it is; the message names the file.
    """
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError) as error:
        raise UsageError(
            f"there is no submission {path}", "name the folder, archive or notebook to grade"
        ) from error
    intake = Intake(max_bytes)
    if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
        read_folder(path, intake)
    elif path.name.lower().endswith(ARCHIVES):
        read_archive(path, intake)
    elif path.name.lower().endswith(NOTEBOOK):
        intake.notebook = path.name, read_named(path, MAX_NOTEBOOK_BYTES)
    else:
        raise InvalidSubmissionError(
            f"{quoted(path.name)} is no folder, .zip, .tar.gz or .ipynb", WHAT_TO_HAND_IN
        )
    if intake.notebook is not None:
        return _of_notebook(intake.notebook, intake, path)
    for required in (MODEL, CONFIG):
        _require(required, intake)
    return submission_of(_name(path), intake.files, path)


def submission_of(name: str, files: Mapping[str, bytes], source: Path) -> Submission:
    """The record of files that were read.

    Args:
        name: of the submission.
        files: path inside it, with forward slashes, to content; `CONFIG` among them.
        source: where they came from.

    Raises:
        InvalidSubmissionError: the config is no TOML that can be taken.
    """
    return Submission(
        name=name,
        sha256=_digest(files),
        files=dict(sorted(files.items())),
        config=_parse(files[CONFIG]),
        source=source,
    )


def _of_notebook(notebook: tuple[str, bytes], intake: Intake, path: Path) -> Submission:
    """The record of a notebook, with the files that lie beside it."""
    from harness.host.notebook.reading import read_notebook  # noqa: PLC0415  20 ms that few submissions need

    name, content = notebook
    found = read_notebook(content, name, with_config=CONFIG not in intake.files)
    intake.add((MODEL,), found.model)
    if found.config is not None:
        intake.add((CONFIG,), found.config)
    submission = submission_of(_name(path), intake.files, path)
    return replace(submission, notes=found.notes, lines=found.lines)


def _require(required: str, intake: Intake) -> None:
    if required in intake.files:
        return
    present = [PurePosixPath(path) for path in (*intake.files, *intake.left_out)]
    raise InvalidSubmissionError(f"there is no {required}", _missing_hint(required, present), file=required)


def _missing_hint(required: str, present: Iterable[PurePosixPath]) -> str:
    """The likeliest reason why a file is not where it should be."""
    here = [path.name for path in present if len(path.parts) == 1]
    deeper = sorted(str(path.parent) for path in present if path.name == required and len(path.parts) > 1)
    if deeper:
        return f"{required} lies in {quoted(deeper[0])}: hand in that folder itself"
    if near := nearest(required, [name for name in here if name not in {MODEL, CONFIG}]):
        return f"{quoted(near)} is there: the name that is read is {required}"
    return WHAT_TO_HAND_IN


def _parse(content: bytes) -> dict[str, Any]:
    """Parse ``config.toml``; its values are checked later, against the assignment.

    Raises:
        InvalidSubmissionError: it is too long, no UTF-8, no TOML, or nested out of all reason.
    """
    if len(content) > MAX_CONFIG_BYTES:
        raise _config_error(f"has {len(content)} bytes, more than the {MAX_CONFIG_BYTES} allowed")
    if content.startswith(UTF16_MARKS):
        raise _config_error("is saved as UTF-16", "save it as UTF-8")
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _config_error(f"is not valid UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+), column \d+\)$", str(error))
        reason = str(error)[:MAX_REASON]
        raise _config_error(
            f"is no TOML: {reason}", "correct that line", int(line[1]) if line else None
        ) from None
    except (ValueError, RecursionError):
        raise _config_error("has a number that is too long, or arrays nested too deep") from None
    if _deeper_than(table, MAX_CONFIG_DEPTH):
        raise _config_error(f"is nested deeper than {MAX_CONFIG_DEPTH} levels")
    return table


def _config_error(
    reason: str, hint: str = "write it by hand, as in the example", line: int | None = None
) -> InvalidSubmissionError:
    return InvalidSubmissionError(f"{CONFIG} {reason}", hint, file=CONFIG, line=line)


def _deeper_than(table: dict[str, Any], depth: int) -> bool:
    level: list[Any] = [table]
    for _ in range(depth):
        containers = [each for each in level if isinstance(each, dict | list)]
        level = [
            inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _name(path: Path) -> str:
    """A folder's own name, or that of an archive or notebook without its ending; always valid Unicode."""
    name = Path(os.path.abspath(path)).name  # noqa: PTH100 - `resolve` would follow links
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    stem = name[: -len(ending)] if ending and len(name) > len(ending) and not path.is_dir() else name
    return os.fsencode(stem).decode("utf-8", "replace")


def _digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over each file, by path: both lengths (8 bytes, big-endian), the path, the content."""
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        for part in (path.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
