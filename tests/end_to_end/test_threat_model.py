"""The threat model names tests that exist, and leaves no case of the gallery out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = re.findall(r"`([^`\s]+)`", (ROOT / "docs/explanation/threat-model.md").read_text(encoding="utf-8"))
CASES = {path.parent.name for path in (ROOT / "tests/gallery").glob("*/expect.toml")}


def test_every_test_that_is_named_exists() -> None:
    """``tests/file.py`` is a file, and ``tests/file.py::name`` a function in it."""
    missing = []
    for name in NAMES:
        if name.startswith("tests/") and ".py" in name:
            file, _, function = name.partition("::")
            path = ROOT / file
            functions = _functions(path) if path.is_file() else set()
            if not path.is_file() or (function and function not in functions):
                missing.append(name)

    assert missing == []


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_case_of_the_gallery_is_named() -> None:
    """A new case says in the threat model what it is for."""
    assert sorted(CASES - set(NAMES)) == []


def test_every_case_that_is_named_exists() -> None:
    """What looks like a case's name is one."""
    classes = {name.partition("-")[0] for name in CASES}
    named = {
        name for name in NAMES if re.fullmatch(r"[a-z]+-\w+", name) and name.partition("-")[0] in classes
    }

    assert sorted(named - CASES) == []
