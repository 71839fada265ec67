"""A class that hands in all sorts: honest variants of one model, and the gallery's submissions among them."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "tests" / "gallery"
TOY = GALLERY / "course" / "assignments" / "toy" / "assignment.toml"
HONEST = ROOT / "examples" / "hw1-bikes" / "medium"
ASSIGNMENT = "hw1-bikes"


def make_course(folder: Path) -> Path:
    """The course's assignment of the bikes, with the limits of the gallery's, so that attacks end soon."""
    assignment = folder / "assignments" / ASSIGNMENT
    shutil.copytree(ROOT / "assignments" / ASSIGNMENT, assignment)
    shutil.copytree(ROOT / "reference" / ASSIGNMENT, folder / "reference" / ASSIGNMENT)
    file = assignment / "assignment.toml"
    limits = _section(TOY.read_text(), "limits")
    file.write_text(file.read_text().replace(_section(file.read_text(), "limits"), limits))
    return folder


def _section(text: str, name: str) -> str:
    found = re.search(rf"^\[{name}\]\n(?:[^\[\n].*\n|\n)*", text, re.MULTILINE)
    if found is None:
        raise ValueError(name)
    return found[0]


def fill(folder: Path, size: int) -> list[str]:
    """Put so many submissions into a folder, every second one of the gallery; return their names in order.

    A case that has to be built anew for each grading is left out; of the others each comes again and again
    under another name.
    """
    folder.mkdir(parents=True)
    cases = [
        file.parent
        for file in sorted(GALLERY.glob("*/expect.toml"))
        if "build" not in tomllib.loads(file.read_text()) and (file.parent / "submission").is_dir()
    ]
    step = max(1, 2 * len(cases) // size)  # a small class has cases of all kinds too
    names = []
    for number in range(size):
        if number % 2:
            case = cases[number // 2 * step % len(cases)]
            name = f"s{number:03}-{case.name}"
            shutil.copytree(case / "submission", folder / name, symlinks=True)
            _adapt(folder / name)
        else:
            name = f"s{number:03}-honest"
            shutil.copytree(HONEST, folder / name)
            config = folder / name / "config.toml"
            text = re.sub(r"^seed = .*$", f"seed = {number}", config.read_text(), flags=re.MULTILINE)
            config.write_text(
                re.sub(r"^epochs = .*$", f"epochs = {3 + number % 7}", text, flags=re.MULTILINE)
            )
        names.append(name)
    return names


def _adapt(submission: Path) -> None:
    """Have a submission of the gallery's four features take the bikes', and get to its attack."""
    for path in (submission / "model.py", submission / "config.toml"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes().replace(b"Linear(4,", b"Linear(56,")
            path.write_bytes(content.replace(b'assignment = "toy"', f'assignment = "{ASSIGNMENT}"'.encode()))
