"""Tells constants from work: whether a value can be made anew wherever ``model.py`` is imported.

Nothing is run to find out. Literals, arithmetic and names are harmless, and so are calls of the functions
below, of the notebook's own classes and functions, and of methods of what is harmless itself. A call of
anything else may read a file, train or wait for somebody.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from harness.host.notebook.changes import Objects

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULES = (
    "abc",
    "collections",
    "copy",
    "dataclasses",
    "enum",
    "fractions",
    "functools",
    "itertools",
    "math",
    "operator",
    "string",
    "torch.nn",
    "types",
    "typing",
    "typing_extensions",
)
_FUNCTIONS = frozenset(
    f"{module}.{name}"
    for module, names in (
        (
            "builtins",
            "abs all any bool bytes chr complex dict divmod enumerate filter float format frozenset",
        ),
        (
            "builtins",
            "getattr hasattr int isinstance issubclass iter len list map max min next object ord pow",
        ),
        ("builtins", "property range repr reversed round set slice sorted str sum super tuple type zip"),
        ("os.path", "join"),
        ("pathlib", "Path PurePath"),
        ("re", "compile"),
        (
            "torch",
            "Size Tensor arange as_tensor device empty eye finfo full iinfo linspace log logspace ones rand",
        ),
        ("torch", "exp randn randperm sqrt stack tensor zeros from_numpy"),
        ("torch.cuda", "is_available device_count"),
        ("torch.backends.mps", "is_available"),
        ("torch.jit", "script"),
        (
            "numpy",
            "arange array asarray exp eye float32 float64 full int64 linspace log logspace ones sqrt zeros",
        ),
    )
    for name in names.split()
)
_WAITS = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
LONGEST = 40


class Names:
    """What is known of a notebook's names at one of its statements.

    Attributes:
        objects: what they stand for.
        changing: those of functions that change what they are given.
    """

    def __init__(self) -> None:
        self.objects = Objects()
        self.changing: set[str] = set()
        self._imported: dict[str, str] = {}
        self._defined: set[str] = set()

    def imported(self, name: str, origin: str) -> None:
        """`name` is now what Python knows as `origin`, such as torch.nn."""
        self._defined.discard(name)
        self._imported[name] = origin

    def follow_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Go over an import."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                self.imported(alias.asname or alias.name, f"{node.module or ''}.{alias.name}")
            elif alias.asname:
                self.imported(alias.asname, alias.name)
            else:
                package = alias.name.partition(".")[0]  # `import torch.nn` binds torch
                self.imported(package, package)

    def defined(self, name: str) -> None:
        """`name` is now a class or function of the notebook."""
        self._imported.pop(name, None)
        self._defined.add(name)

    def bound(self, names: Iterable[str]) -> None:
        """`names` are now something else."""
        for name in names:
            self._imported.pop(name, None)
            self._defined.discard(name)
            self.changing.discard(name)

    def is_imported(self, name: str) -> bool:
        """Whether `name` is somebody else's module, class or function."""
        return name in self._imported

    def is_own(self, name: str) -> bool:
        """Whether `name` is a class or function of the notebook."""
        return name in self._defined

    def origin(self, node: ast.expr) -> str:
        """The full name of what an imported name leads to, such as torch.optim.Adam; empty for all else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._imported:
            return ""
        return ".".join((self._imported[node.id], *reversed(parts)))

    def may_call(self, function: ast.expr) -> bool:
        """Whether a call of `function` is harmless if its parts are."""
        if origin := self.origin(function):
            return origin in _FUNCTIONS or origin.startswith(tuple(f"{module}." for module in _MODULES))
        if isinstance(function, ast.Name):
            return function.id in self._defined or f"builtins.{function.id}" in _FUNCTIONS
        return isinstance(function, ast.Attribute)


def why_not(value: ast.expr, names: Names) -> str:
    """Why a value cannot be made anew, as the end of "it ..."; empty where it can."""
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Lambda):
            continue  # what is in it happens later
        if isinstance(node, _WAITS):
            return "is worked out step by step"
        if isinstance(node, ast.Name) and node.id == "__name__":
            return "asks for __name__"  # which is another one in model.py
        if isinstance(node, ast.Call) and not names.may_call(node.func):
            return f"calls {called(node.func)}"
        waiting.extend(ast.iter_child_nodes(node))
    return ""


def called(function: ast.expr) -> str:
    """The name of what is called, to be shown."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute | ast.Call):
        if isinstance(function, ast.Call):
            parts.append("()")
            function = function.func
        else:
            parts.append(f".{function.attr}")
            function = function.value
    first = function.id if isinstance(function, ast.Name) else "..."
    name = "".join((first, *reversed(parts)))
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
