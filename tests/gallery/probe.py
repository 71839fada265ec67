"""Searches everything that its process can read for forbidden bytes, and says where it found which.

It is handed what to look for with every byte raised by one, and compares with what it reads raised likewise,
so that neither its own source nor its own buffers hold what it looks for. The gallery's probes carry it into
a sandbox; run as a program, outside of any, it shows that it finds what is there::

    python probe.py FORBIDDEN.json ROOT...
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

RAISED = bytes((value + 1) % 256 for value in range(256))
CHUNK = 4 << 20
OVERLAP = 256  # longer than anything that is looked for
LARGEST_FILE = 8 << 20  # beyond are torch's own libraries, which an image or an installer brought
MOST_OF_A_KERNEL_FILE = 1 << 20  # their size is given as 0
SMALLEST_READ = 1 << 16
MOST_DESCRIPTORS = 1024
NEVER_ENDING = ("trace_pipe", "kmsg")
CANARY = "canary"


class Search:
    """What is looked for, and what was found so far."""

    def __init__(self, shifted: Mapping[str, bytes]) -> None:
        self._shifted = shifted
        self.found: dict[tuple[str, str], str] = {}
        self.files = self.links = self.memory = 0

    def look(self, content: bytes, place: str, kind: str) -> None:
        """Look through bytes; of each thing, the first place of a kind is kept."""
        raised = content.translate(RAISED)
        for name, wanted in self._shifted.items():
            if (name, kind) not in self.found and wanted in raised:
                self.found[name, kind] = place

    def report(self) -> str:
        """One line; what was planted to be found is told apart from what must not be there."""
        head = f"searched {self.files} files, {self.links} links and {self.memory >> 20} MiB of memory; "
        places = sorted(self.found.items(), key=lambda item: item[0][0] != CANARY)
        told = [f"{name if name == CANARY else f'FOUND {name}'} in {place}" for (name, _), place in places]
        return head + "; ".join(told or ["nothing"])


def search(shifted: Mapping[str, bytes], roots: Iterable[str], *, other_processes: bool = True) -> str:
    """Search files under `roots`, open descriptors, and the memory of processes; return the report.

    Objects, frames, the environment and the arguments are bytes of this process's memory, and so searched.
    """
    searching = Search(shifted)
    for root in roots:
        _search_files(searching, root)
    for number in range(MOST_DESCRIPTORS):
        _search_link(searching, f"/proc/self/fd/{number}")
        _search_file(searching, f"/proc/self/fd/{number}", "descriptor")
    own = str(os.getpid())
    _search_memory(searching, own, "memory")
    others = {folder.name for folder in Path("/proc").glob("[0-9]*")} - {own} if other_processes else ()
    for process in others:
        _search_memory(searching, process, f"the memory of process {process}")
    return searching.report()


def _search_files(searching: Search, root: str) -> None:
    for folder, folders, files in os.walk(root):
        for name in files:
            _search_file(searching, f"{folder}/{name}", "file")
        for name in (*folders, *files):
            path = f"{folder}/{name}"
            searching.look(os.fsencode(path), f"the name {path}", "name")
            _search_link(searching, path)


def _search_link(searching: Search, path: str) -> None:
    try:
        target = os.readlink(path)  # noqa: PTH115  likewise
    except OSError:
        return
    searching.links += 1
    searching.look(os.fsencode(target), f"the target of {path}", "link")


def _search_file(searching: Search, path: str, kind: str) -> None:
    try:
        status = os.stat(path)  # noqa: PTH116  a Path for each file would double the time
        if path.endswith(NEVER_ENDING) or not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_FILE:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        content = os.read(descriptor, max(status.st_size, SMALLEST_READ))
        while len(content) < MOST_OF_A_KERNEL_FILE and (part := os.read(descriptor, SMALLEST_READ)):
            content += part
    except OSError:
        return
    finally:
        os.close(descriptor)
    searching.files += 1
    searching.look(content, path, kind)


def _search_memory(searching: Search, process: str, place: str) -> None:
    try:
        regions = list(_regions(Path(f"/proc/{process}/maps").read_text()))
        memory = os.open(f"/proc/{process}/mem", os.O_RDONLY)
    except OSError:
        return
    for start, end in regions:
        for position in range(start, end, CHUNK):
            try:
                content = os.pread(memory, min(CHUNK + OVERLAP, end - position), position)
            except (OSError, OverflowError):  # the kernel's own part of the addresses, as gVisor lists it
                continue
            searching.memory += len(content)
            searching.look(content, place, place)
    os.close(memory)


def _regions(maps: str) -> Iterator[tuple[int, int]]:
    """Start and end of what is readable and no plain copy of a library's file."""
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        library = len(fields) > 5 and ".so" in fields[5] and "w" not in fields[1]
        if fields[1].startswith("r") and not library:
            start, _, end = fields[0].partition("-")
            yield int(start, 16), int(end, 16)


if __name__ == "__main__":
    carried = json.loads(Path(sys.argv[1]).read_text())
    wanted = {name: bytes.fromhex(digits) for name, digits in carried.items()}
    sys.stdout.write(search(wanted, sys.argv[2:], other_processes=False))
