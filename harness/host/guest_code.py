"""The guest's code as it is sent into a sandbox. It is read as text here and never imported."""

from __future__ import annotations

import functools
import json
from importlib import resources

_TOP_LEVEL = ("__init__", "protocol")
_BOOTSTRAP = "bootstrap"


@functools.cache
def guest_command() -> tuple[str, ...]:
    """Arguments of the sandbox's Python: no site, no user folder, no bytecode, and the bootstrap program."""
    program = (resources.files("harness") / "guest" / f"{_BOOTSTRAP}.py").read_text(encoding="utf-8")
    return ("-S", "-P", "-s", "-B", "-c", program)


@functools.cache
def guest_bundle() -> bytes:
    """The modules that the bootstrap waits for: eight bytes of length, then JSON of name to source."""
    package = resources.files("harness")
    sources = {
        "harness" if name == "__init__" else f"harness.{name}": package / f"{name}.py" for name in _TOP_LEVEL
    }
    for file in (package / "guest").iterdir():
        name, dot, suffix = file.name.rpartition(".")
        if dot and suffix == "py" and name != _BOOTSTRAP:
            sources["harness.guest" if name == "__init__" else f"harness.guest.{name}"] = file
    text = json.dumps({name: file.read_text(encoding="utf-8") for name, file in sources.items()}).encode()
    return len(text).to_bytes(8, "big") + text
