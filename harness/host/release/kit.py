"""What a kit has in it, from a list of what is allowed: what is not named here is not in.

README.md  Makefile  constraints.txt  .gitignore
submission/  submission.ipynb      the starter, to be changed
packages/                          the harness, with its licence
assignments/ID/                    the handout, data without answers, the starter, checks that are not private
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.host.assignment import FILE_NAME
from harness.host.errors import UsageError
from harness.host.release.public import public_toml
from harness.host.release.starter import STARTER, load_starter
from harness.host.release.starter_notebook import starter_notebook
from harness.host.release.wheel import constraints, harness_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.host.assignment import Assignment

TEMPLATES = Path(__file__).with_name("templates")
HANDOUT = "README.md"
BESIDE_THE_DATA = tuple(
    name + ending for name in ("NOTICE", "LICENSE", "LICENCE", "README") for ending in ("", ".md", ".txt")
)
IGNORED = ".venv/\n__pycache__/\n*.pyc\nresults/\nsubmission.zip\n"
_LINK = re.compile(r"\]\(([^)#:\s]+)")


@dataclass(frozen=True, slots=True)
class Kit:
    """What would be written.

    Attributes:
        name: of the folder around it in an archive.
        files: path to content.
        test_file: which of them has the test inputs.
    """

    name: str
    files: dict[str, bytes]
    test_file: str


def make_kit(assignment: Assignment, also: Sequence[str], note: Callable[[str], None]) -> Kit:
    """Put a kit together, in memory.

    Args:
        assignment: what it is of.
        also: further files in the assignment's folder that students get, such as figures of the handout.
        note: is told what the instructor should know.

    Raises:
        UsageError: something that every kit has is missing, or something cannot be handed out.
    """
    starter = load_starter(assignment)
    home = f"assignments/{assignment.id}"
    wheel, packed = harness_wheel()
    versions = constraints().encode()
    files = {
        **_own(assignment, wheel, hashlib.sha256(packed + versions).hexdigest()),
        f"packages/{wheel}": packed,
        "constraints.txt": versions,
        "submission.ipynb": starter_notebook(assignment.title, starter),
        **{f"submission/{path}": content for path, content in starter.files.items()},
        **{f"{home}/{STARTER}/{path}": content for path, content in starter.files.items()},
        f"{home}/{FILE_NAME}": public_toml(assignment).encode(),
        **{f"{home}/{path}": content for path, content in _of_the_assignment(assignment, note).items()},
        **{f"{home}/{path}": _read(assignment, path) for path in also},
    }
    _check_links(files, home, note)
    return Kit(f"{assignment.id}-kit", dict(sorted(files.items())), f"{home}/{assignment.data.test}")


def _own(assignment: Assignment, wheel: str, digest: str) -> dict[str, bytes]:
    """What is the same in every kit but for a few words.

    The digest is of what the kit installs, so that a newer kit unpacked over an older one installs anew: the
    times of files in an archive say nothing.
    """
    words = {"@TITLE@": assignment.title, "@ID@": assignment.id, "@WHEEL@": wheel, "@DIGEST@": digest[:12]}
    files = {".gitignore": IGNORED.encode()}
    for name in ("README.md", "Makefile"):
        text = (TEMPLATES / f"{name}.tmpl").read_text(encoding="utf-8")
        for word, meant in words.items():
            text = text.replace(word, meant)
        files[name] = text.encode()
    return files


def _of_the_assignment(assignment: Assignment, note: Callable[[str], None]) -> dict[str, bytes]:
    files = {path: _read(assignment, path) for path in (HANDOUT, assignment.data.train, assignment.data.test)}
    for folder in {PurePosixPath(assignment.data.train).parent, PurePosixPath(assignment.data.test).parent}:
        for name in BESIDE_THE_DATA:
            path = str(folder / name)
            if (assignment.folder / path).is_file():
                files[path] = _read(assignment, path)
    for check in sorted(assignment.folder.glob("test_*.py")):
        if _is_private(check):
            note(f"{check.name} has checks for staff only, so it is left out")
        else:
            files[check.name] = check.read_bytes()
    return files


def _read(assignment: Assignment, path: str) -> bytes:
    """A file of the assignment's folder.

    Raises:
        UsageError: it is not there, or leads out of it.
    """
    file = assignment.folder / path
    if not file.resolve().is_relative_to(assignment.folder):
        raise UsageError(
            f"{path} is not in {assignment.folder}", "name a file inside of the assignment's folder"
        )
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            f"write {path}: every kit has it" if path == HANDOUT else "",
        ) from error


def _is_private(check: Path) -> bool:
    """Whether a check's marker says ``private``, in whatever way but plainly False."""
    try:
        tree = ast.parse(check.read_bytes())
    except SyntaxError as error:
        raise UsageError(f"{check}: {error.msg}", "mend the file") from error
    keywords = [keyword for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords]
    return any(
        keyword.arg == "private"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in keywords
    )


def _check_links(files: dict[str, bytes], home: str, note: Callable[[str], None]) -> None:
    for link in _LINK.findall(files[f"{home}/{HANDOUT}"].decode(errors="replace")):
        if f"{home}/{link}" not in files and not any(path.startswith(f"{home}/{link}/") for path in files):
            note(f"the handout names {link}, which is not in the kit: --also {link} puts it in")
