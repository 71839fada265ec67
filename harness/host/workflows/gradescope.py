"""Makes the bundle that Gradescope calls an autograder: scripts, the harness, and what it grades by.

Without the answers it is what a kit has, since in its container student code may be able to read everything;
with them it takes a sandbox that is a wall. https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.assignment import reference_folder
from harness.host.errors import UsageError
from harness.host.packing import pack
from harness.host.reference import FILE_NAME as REFERENCE_FILE
from harness.host.reference import load_reference
from harness.host.release.kit import make_kit
from harness.host.release.release import searched_kit
from harness.host.release.wheel import constraints, harness_wheel
from harness.host.workflows.writing import filled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.release.kit import Kit

SCRIPTS = frozenset({"setup.sh", "run_autograder"})
ARCHIVE = "autograder.zip"
_OF_A_KIT = ("packages/", "assignments/", "constraints.txt")
_NOT_GRADED_BY = frozenset({"README.md", "build.py"})


def bundle(
    assignment: Assignment, sandbox: str, reference: Path | None, note: Callable[[str], None]
) -> dict[str, bytes]:
    """The files of the bundle, which stand at the root of the archive to be uploaded.

    Args:
        assignment: what is graded.
        sandbox: ``bubblewrap`` or ``none``.
        reference: the folder of the answers, to grade by them; None: by the validation rows.
        note: is told what the instructor should know.

    Raises:
        UsageError: the answers would lie beside student code without a wall, or something cannot be read.
    """
    if reference is not None and sandbox == "none":
        raise UsageError(
            "with --sandbox none, student code could read the answers",
            "leave out --reference, or take --sandbox bubblewrap where that works",
        )
    if reference is None:
        kit = _kit(assignment, note).files
        files = {path: content for path, content in kit.items() if path.startswith(_OF_A_KIT)}
    else:
        files = {**_whole(assignment), **_answers(assignment, reference)}
    return {
        "setup.sh": filled("gradescope-setup.sh", assignment, sandbox).encode(),
        "run_autograder": filled("gradescope-run_autograder.sh", assignment, sandbox).encode(),
        **files,
    }


def archive(files: dict[str, bytes]) -> bytes:
    """The files as the .zip to be uploaded."""
    return pack(files)


def _kit(assignment: Assignment, note: Callable[[str], None]) -> Kit:
    """What students get, searched as it is for them where the answers are at hand."""
    reference = reference_folder(assignment)
    if not reference.is_dir():
        note(f"there is no {reference}, so nobody has searched the bundle for what it tells of the answers")
        return make_kit(assignment, (), note)
    kit, leaks = searched_kit(assignment, reference, (), {}, note)
    if leaks:
        raise UsageError(
            f"student code could read what is hidden: {leaks[0].path}: {leaks[0].what}",
            f"harness release {assignment.id} names all that there is of it",
        )
    return kit


def _whole(assignment: Assignment) -> dict[str, bytes]:
    """The assignment as the course has it, as far as grading needs it, and the harness."""
    name, wheel = harness_wheel()
    folder = assignment.folder
    kept = [assignment.train_path, assignment.test_path]
    kept += [path for path in sorted(folder.iterdir()) if path.is_file() and _judges(path.name)]
    home = f"assignments/{assignment.id}"
    try:
        own = {f"{home}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in kept}
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", "put the file back") from error
    return {f"packages/{name}": wheel, "constraints.txt": constraints().encode(), **own}


def _judges(name: str) -> bool:
    """Whether a file at the top of an assignment's folder is graded by."""
    return name not in _NOT_GRADED_BY and not name.startswith(".")


def _answers(assignment: Assignment, reference: Path) -> dict[str, bytes]:
    """The answers and what names them; no solution."""
    if load_reference(reference, assignment) is None:
        raise UsageError(f"there is no reference in {reference}", "name the folder that holds reference.toml")
    home = f"reference/{assignment.id}"
    names = [REFERENCE_FILE, *(path.name for path in sorted(reference.glob("*.csv")))]
    return {f"{home}/{name}": (reference / name).read_bytes() for name in names}
