"""Puts off PyTorch's compiler, whose import takes as long as all the rest of torch, until somebody uses it.

Every optimizer imports ``torch._dynamo``, and needs two things of it that do nothing outside of a
compilation, ``graph_break()`` and ``disable(function)``. So a stand-in answers these, and becomes the module
itself, in its place, at the first question about anything else: ``torch.compile``, an attribute, a submodule.
Were a later PyTorch to ask for other things in its optimizers, the module would be imported as ever.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

NAME = "torch._dynamo"
_lock = threading.RLock()


def put_off(torch: types.ModuleType) -> None:
    """Let the stand-in answer, unless the compiler has been imported already.

    Args:
        torch: the package.
    """
    spec = None if NAME in sys.modules else importlib.util.find_spec(NAME)
    if spec is None:
        return
    stand_in = importlib.util.module_from_spec(spec)
    stand_in.__class__ = _StandIn
    stand_in.__dict__.update(_disabled=[], graph_break=_graph_break, disable=_disable)
    sys.modules[NAME] = stand_in
    vars(torch)["_dynamo"] = stand_in  # as an import would
    sys.meta_path.insert(0, _SubmoduleFinder())


class _StandIn(types.ModuleType):
    """What stands in ``sys.modules`` meanwhile."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the module has
        _import_now()
        return getattr(self, name)


def _graph_break(_message: str = "") -> None:
    """Outside of a compilation there is nothing to break."""


def _disable(fn: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as the compiler's own
    """Keep a function from being compiled, which nothing is as yet; PyTorch itself keeps the answer."""
    if fn is None or kwargs.get("wrapping", True):  # a user's question
        return _import_now().disable(fn, *args, **kwargs)
    sys.modules[NAME]._disabled.append(fn)  # noqa: SLF001  ours
    return fn


def _import_now() -> Any:  # noqa: ANN401  a module has any attributes
    """Turn the stand-in into the module, unless that is done; return it."""
    module: Any = sys.modules[NAME]
    with _lock:
        still_stands_in = type(module) is _StandIn
        if not still_stands_in:
            return module
        names = vars(module)
        for function in names.pop("_disabled"):
            vars(function).pop("__dynamo_disable", None)  # PyTorch asks again
        del names["graph_break"], names["disable"]
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _SubmoduleFinder)]
        module.__class__ = types.ModuleType
        try:
            module.__spec__.loader.exec_module(module)
        except BaseException:
            del sys.modules[NAME]
            raise
    return module


class _SubmoduleFinder(importlib.abc.MetaPathFinder):
    """Notices the import of a submodule, which would not ask the stand-in for anything."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Import the package, and find the submodule among what that has imported."""
        if not fullname.startswith(f"{NAME}."):
            return None
        _import_now()
        there = sys.modules.get(fullname)
        if there is not None:
            return importlib.util.spec_from_loader(fullname, _There(there))
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None


class _There(importlib.abc.Loader):
    """Loads a module by handing over the one that is there."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Return the module."""
        del spec
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        """Give it back its own specification; it has been executed."""
        module.__spec__ = self._spec
