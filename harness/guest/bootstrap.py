"""The program that a sandbox starts with: it takes the guest's code from standard input and runs it.

The host passes this text on the command line. Modules live in memory only, so nothing in the sandbox's
scratch space can change them. On the wire: eight bytes of length, then JSON of module name to source.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import types
from collections.abc import Sequence


def read_exactly(size: int) -> bytes:
    """Read that many bytes of standard input."""
    chunks = []
    while size:
        chunk = os.read(0, min(size, 1 << 20))
        if not chunk:
            os._exit(0)
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


class MemoryImporter(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads the guest's modules among their sources."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Say that a module is here."""
        del path, target  # there is one place, and modules are made anew
        if fullname not in self.sources:
            return None
        package = any(other.startswith(fullname + ".") for other in self.sources)
        return importlib.util.spec_from_loader(
            fullname, self, origin=self.get_filename(fullname), is_package=package
        )

    def get_filename(self, fullname: str) -> str:
        """A readable name for tracebacks."""
        return f"<{fullname}>"

    def get_source(self, fullname: str) -> str:
        """Return the text, as `InspectLoader` asks for it."""
        return self.sources[fullname]

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module's text in its namespace."""
        code = self.source_to_code(self.sources[module.__name__], self.get_filename(module.__name__))
        exec(code, module.__dict__)  # noqa: S102  this is what a loader does


PACKAGES = os.environ.pop("HARNESS_PACKAGES", "/opt/harness/site-packages")
if os.path.isdir(PACKAGES):  # noqa: PTH112  pathlib would be imported for this alone
    sys.path.append(PACKAGES)
else:
    import site

    site.main()
sys.meta_path.insert(0, MemoryImporter(json.loads(read_exactly(int.from_bytes(read_exactly(8), "big")))))

if sys.argv[1:2] == ["nest"]:
    from harness.guest import nest  # only now can it be found

    nest.main(sys.argv[2])
else:
    from harness.guest import supervisor  # likewise

    supervisor.main()
