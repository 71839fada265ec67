"""Looks at what a class has pushed: which commits are new, since when, and what was handed in with them.

What was seen, and when, is written down once and stays (`Sightings`): a commit counts from the moment at
which it was first seen as the newest, by the clock of this machine, whatever date it claims.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.host.batch import Result, before
from harness.host.cache import try_lock
from harness.host.errors import InterruptedGradingError, MachineError, RepositoryError, UsageError
from harness.host.git.address import parse_address
from harness.host.git.command import Caps, Git
from harness.host.git.remote import Remote
from harness.host.handed_in import HandedIn
from harness.host.report.files import write_bytes_atomically
from harness.host.schema_errors import joined
from harness.host.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.host.batch import Plan
    from harness.host.git.address import Address
    from harness.host.roster import Roster

SIDE_BY_SIDE = 8  # repositories that are asked at once
SHORT = 12  # digits of a commit that people are shown
_SIGHTINGS, _LOCK, _WORKSHOP = "seen.jsonl", "lock", "unfinished"


@dataclass(frozen=True, slots=True)
class Repository:
    """A line of the roster.

    Attributes:
        name: for people; no two of a class have the same.
        student: whose it is.
    """

    name: str
    student: str
    address: Address

    @property
    def key(self) -> str:
        """What it is known by: the student and the address."""
        return hashlib.sha256(f"{self.student}\0{self.address}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a class found.

    Attributes:
        new: what is to be graded.
        before: what has its result.
        faults: repositories that could not be read, and why.
    """

    new: list[HandedIn] = field(default_factory=list)
    before: list[Result] = field(default_factory=list)
    faults: list[Result] = field(default_factory=list)


def repositories_of(roster: Roster) -> list[Repository]:
    """The repositories of a class.

    Raises:
        UsageError: there is none, or an address is none; all that are wrong are named.
    """
    found: list[Repository] = []
    problems, names = [], set()
    for entry in roster.entries:
        if not entry.address:
            continue
        try:
            address = parse_address(entry.address, roster.path.parent)
        except UsageError as error:
            problems.append(f"line {entry.line}, column submission: {error.message}; {error.fix}")
            continue
        name = entry.student if entry.student not in names else f"{entry.student}: line {entry.line}"
        names.add(name)
        found.append(Repository(name, entry.student, address))
    if problems:
        raise UsageError(f"{roster.path}: {joined(problems)}", "mend the file; docs/how-to/ci.md says how")
    if not found:
        raise UsageError(
            f"{roster.path} names no repository", "put their addresses into the column submission"
        )
    return found


class Sightings:
    """Since when a repository's branch is where it is: a file with a line for each change, only added to.

    Args:
        file: it is made when the first line comes; a last line that a crash has torn is left out.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._newest: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.Lock()
        with suppress(FileNotFoundError):
            for line in file.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    seen = json.loads(line)
                    self._newest[seen["key"]] = (seen["commit"], datetime.fromisoformat(seen["seen"]))

    def see(self, repository: Repository, commit: str) -> datetime:
        """Note that a branch is at a commit.

        Returns:
            Since when it is, as far as it was seen.

        Raises:
            MachineError: it cannot be written down.
        """
        with self._lock:
            newest = self._newest.get(repository.key)
            if newest is not None and newest[0] == commit:
                return newest[1]
            now = datetime.now(UTC)
            line = {
                "key": repository.key,
                "student": repository.student,
                "address": str(repository.address),
                "commit": commit,
                "seen": now.isoformat(),
            }
            self._append(json.dumps(line))
            self._newest[repository.key] = (commit, now)
            return now

    def _append(self, line: str) -> None:
        try:
            with self._file.open("ab+") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - 1))
                torn = file.read(1) not in {b"", b"\n"}
                file.write(b"\n" * torn + f"{line}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise MachineError(
                f"{self._file} cannot be written: {error.strerror}", "free some space, or make it writable"
            ) from error


class Poll:
    """Looks at repositories; see `poll_in`.

    Args:
        plan: what graded submissions are compared with.
        folder: of what is kept from one look to the next.
        credentials: for https; see `Git`.
        caps: of each repository.
    """

    def __init__(self, plan: Plan, folder: Path, credentials: Path | None, caps: Caps) -> None:
        self._plan, self._folder, self._stop = plan, folder, threading.Event()
        self._git = Git(caps, self._stop, credentials)
        self._sightings = Sightings(folder / _SIGHTINGS)
        self._store = Store(plan.place)

    def look(self, repositories: Sequence[Repository]) -> Look:
        """Ask all repositories, and bring what is new.

        Raises:
            InterruptedGradingError: Ctrl-C; what was seen is written down.
            MachineError: this machine, or its store, cannot do it.
        """
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            try:
                answers = list(threads.map(self._ask, repositories))
            except BaseException as error:
                self._stop.set()
                threads.shutdown(cancel_futures=True)
                if isinstance(error, KeyboardInterrupt):
                    raise InterruptedGradingError(
                        "interrupted; what was seen is kept", "start the same command again to go on"
                    ) from None
                raise
        look, graded = Look(), self._store.graded(self._plan.assignment.id)
        for answer in answers:
            found = answer if isinstance(answer, Result) else before(self._plan, graded, answer)
            if isinstance(answer, HandedIn) and found is None:
                look.new.append(answer)
            elif found is not None:
                (look.faults if found.fault else look.before).append(found)
        return look

    def _ask(self, repository: Repository) -> HandedIn | Result:
        """What a repository has handed in; a fault of it is nobody else's."""
        remote = Remote(self._git, repository.address, self._folder / _WORKSHOP)
        try:
            commit = remote.head()
            seen = self._sightings.see(repository, commit)
            path = self._path(repository, commit)
            if not path.is_file():
                commit, archive = remote.fetch(self._plan.assignment.limits.submission_kb * 1024)
                seen = self._sightings.see(repository, commit)
                path = self._path(repository, commit)
                self._keep(path, archive)
        except RepositoryError as error:
            whose = HandedIn(repository.name, repository.student, self._folder, datetime.now(UTC))
            return Result(whose, fault=error.message, fix=error.fix)
        return HandedIn(repository.name, repository.student, path, seen)

    def _path(self, repository: Repository, commit: str) -> Path:
        """Where a commit's submission is kept, which was read under the assignment's cap on its size."""
        cap = f"{self._plan.assignment.limits.submission_kb}"
        return self._folder / repository.key / cap / f"{commit[:SHORT]}.zip"

    def _keep(self, path: Path, archive: bytes) -> None:
        """Keep what was handed in last; what was before is in the store."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(archive, path)
        for other in path.parent.parent.glob("*/*.zip"):
            if other != path:
                other.unlink(missing_ok=True)


@contextmanager
def poll_in(plan: Plan, folder: Path, credentials: Path | None, caps: Caps | None = None) -> Iterator[Poll]:
    """A poll that is alone in its folder, which is made; the arguments are those of `Poll`.

    Raises:
        UsageError: another poll works there, or the folder cannot be made.
    """
    with ExitStack() as until:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            alone = try_lock(folder / _LOCK, until)
            if alone:
                shutil.rmtree(folder / _WORKSHOP, ignore_errors=True)  # what one that was killed has left
                (folder / _WORKSHOP).mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be used: {error.strerror}", "make it writable, or name another store"
            ) from error
        if not alone:
            raise UsageError(f"another poll works in {folder}", "end it first, or let it go on")
        yield Poll(plan, folder, credentials, caps or Caps())
