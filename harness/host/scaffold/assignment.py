"""A new assignment from templates: made-up data, answers, a handout, a starter, a check, four solutions."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.assignment import ID
from harness.host.errors import MachineError, UsageError
from harness.host.schema_errors import quoted
from harness.host.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES = Path(__file__).with_name("templates")
COMMON = "common"
PARTS = ("assignment", "reference")
ENDING = ".tmpl"
BUILD_SECONDS = 120


def new_assignment(course: Path, assignment_id: str, task: str) -> list[Path]:
    """Write ``assignments/ID`` and ``reference/ID``, with data under a fresh secret key.

    Args:
        course: the folder that has ``assignments/``, or will have.
        assignment_id: lower-case letters, digits and ``-``.
        task: one of `harness.host.tasks.TASKS`.

    Returns:
        The two folders.

    Raises:
        UsageError: the id or the task is none, or one of the folders is there already.
        MachineError: this harness has no templates, or the data could not be made.
    """
    if not ID.fullmatch(assignment_id):
        raise UsageError(
            f"{quoted(assignment_id)} is no id",
            "take up to 64 lower-case letters, digits and -, such as hw3-rides",
        )
    if task not in TASKS:
        raise UsageError(f"there is no task {quoted(task)}", f"there are {', '.join(TASKS)}")
    folders = [course / "assignments" / assignment_id, course / "reference" / assignment_id]
    refuse_what_is_there(*folders)
    words = {
        "@ID@": assignment_id,
        "@NAME@": assignment_id.replace("-", "_"),
        "@TITLE@": assignment_id.replace("-", " ").capitalize(),
        "@KEY@": secrets.token_hex(32),
    }
    with tempfile.TemporaryDirectory(prefix=".new-", dir=course) as making:
        made = [Path(making) / folder.relative_to(course) for folder in folders]
        for part, folder in zip(PARTS, made, strict=True):
            for kind in (COMMON, task):
                _fill_in(TEMPLATES / kind / part, folder, words)
        _build(made[0] / "build.py")
        _move(made, folders)
    return folders


def refuse_what_is_there(*targets: Path) -> None:
    """Refuse before the work what would be written over.

    Raises:
        UsageError: something is there already.
    """
    for target in targets:
        if target.exists() or target.is_symlink():
            raise UsageError(f"{target} is there already, and nothing is written over", "take another name")


def _fill_in(templates: Path, folder: Path, words: Mapping[str, str]) -> None:
    """Write each template below a folder into the same place below another."""
    found = sorted(templates.rglob(f"*{ENDING}"))
    if not found:
        raise MachineError(
            "this harness has no templates of assignments: it came with a kit for students",
            "use the course's own installation",
        )
    for template in found:
        text, place = template.read_text(encoding="utf-8"), str(template.relative_to(templates))
        for word, meant in words.items():
            text, place = text.replace(word, meant), place.replace(word, meant)
        file = folder / place.removesuffix(ENDING)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _build(script: Path) -> None:
    """Have the assignment's own script make its data, as an instructor would."""
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode:
        raise MachineError(f"the data could not be made:\n{done.stderr}")


def _move(made: list[Path], folders: list[Path]) -> None:
    """Put both folders into their places, or none."""
    moved: list[Path] = []
    try:
        for source, target in zip(made, folders, strict=True):
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
            moved.append(target)
    except OSError as error:
        for target in moved:
            shutil.rmtree(target)
        raise UsageError(f"{target} cannot be made: {error.strerror}", "look at what is there") from error
