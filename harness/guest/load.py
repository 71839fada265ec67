"""From the files of a submission to its `MyModel`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from harness.guest.findings import NO_SUPER_HINT, SUBMISSION_FOLDER, Finding, explain
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType


def unpack(files: list[list[Any]], content: bytes) -> None:
    """Write the submission's files, one after the other in `content`, and make them importable.

    Args:
        files: path and size of each.
        content: all of their bytes.
    """
    folder, position = Path(SUBMISSION_FOLDER), 0
    folder.mkdir()
    for name, size in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[position : position + size])
        position += size
    os.chdir(folder)
    sys.path.insert(0, str(folder))


def import_model_module() -> ModuleType:
    """Import the submission's ``model.py``.

    Raises:
        Finding: it cannot be imported.
    """
    try:
        return importlib.import_module("model")
    except BaseException as error:
        raise explain(error, Outcome.IMPORT_ERROR) from error


def build_model(module: ModuleType, arguments: Mapping[str, Any]) -> nn.Module:
    """Make `MyModel` with the arguments of ``[model]``.

    Raises:
        Finding: there is no such class, or its constructor does not take them or fails.
    """
    model_class = getattr(module, "MyModel", None)
    if model_class is None:
        raise _missing(module)
    if not (isinstance(model_class, type) and issubclass(model_class, nn.Module)):
        raise Finding(
            Outcome.CONTRACT_ERROR, "MyModel is not a torch.nn.Module", "write `class MyModel(nn.Module):`"
        )
    _check_arguments(model_class, arguments)
    model = model_class(**arguments)
    if not any(True for _ in _parameters(model)):
        raise Finding(
            Outcome.CONTRACT_ERROR,
            "MyModel has no parameters, so there is nothing to train",
            "assign layers to self in __init__ (in nn.ModuleList or nn.Sequential, not in a plain list)",
        )
    return model


def _parameters(model: nn.Module) -> Any:  # noqa: ANN401
    try:
        return model.parameters()
    except AttributeError as error:
        raise _no_super() from error


def _no_super() -> Finding:
    return Finding(
        Outcome.CONTRACT_ERROR,
        "MyModel.__init__ does not call super().__init__()",
        NO_SUPER_HINT,
    )


def _missing(module: ModuleType) -> Finding:
    classes = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == "model"
    ]
    near = difflib.get_close_matches("MyModel", classes, n=1, cutoff=0.4)
    found = f"; it defines {', '.join(classes[:5])}" if classes else ""
    return Finding(
        Outcome.CONTRACT_ERROR,
        f"model.py defines no MyModel{found}",
        f"rename {near[0]} to MyModel" if near else "define `class MyModel(nn.Module):` in model.py",
    )


def _check_arguments(model_class: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    signature = inspect.signature(model_class)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        takes = ", ".join(str(parameter) for parameter in signature.parameters.values())
        given = ", ".join(arguments) or "nothing"
        raise Finding(
            Outcome.CONTRACT_ERROR,
            f"MyModel({takes}) was given {given} by [model] of config.toml: {error}",
            "make the keys of [model] in config.toml the arguments of MyModel.__init__",
        ) from error
