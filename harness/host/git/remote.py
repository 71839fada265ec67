"""Asks a repository elsewhere what it has, and brings a submission from there."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.errors import RepositoryError
from harness.host.git.objects import OID, Objects
from harness.host.git.submission import archive_of
from harness.host.intake import MAX_NOTEBOOK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.git.address import Address
    from harness.host.git.command import Git, Said

LOCAL = "refs/harness/submission"
LARGEST_COMMIT = 1 << 20
UNFILTERED = "filtering not recognized by server"  # what git warns of
FETCH = (
    *("--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap="),
    *("--depth=1", "--quiet"),
)
CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
NOWHERE = (
    "see that the address is right, that it can be reached from here, and that the key or token is known"
)


class Remote:
    """One student's repository.

    Args:
        git: runs what speaks to it.
        address: where it is.
        workshop: a folder for what is brought here, which is removed again.
    """

    def __init__(self, git: Git, address: Address, workshop: Path) -> None:
        self._git, self._address, self._workshop = git, address, workshop

    def head(self) -> str:
        """The commit that the branch is at.

        Raises:
            RepositoryError: it cannot be reached, has nothing in it, or has no such branch.
        """
        wanted = self._wanted()
        with self._repository() as folder:
            said = self._speak(folder, "ls-remote", "--", self._address.url, wanted)
        for line in said.output.splitlines():
            commit, _, name = line.partition("\t")
            if name == wanted and OID.fullmatch(commit):
                return commit
        what = f"no branch {self._address.branch}" if self._address.branch else "nothing"
        raise RepositoryError(f"there is {what} in {self._address.url}", "push it")

    def fetch(self, max_bytes: int) -> tuple[str, bytes]:
        """The commit that the branch is at now, and the submission in it as a .zip.

        Args:
            max_bytes: that a submission's files may have together.

        Raises:
            RepositoryError: it cannot be had, or is not as git makes one.
        """
        for largest in (max_bytes, max(max_bytes, MAX_NOTEBOOK_BYTES)):
            commit, archive = self._fetch(max_bytes, largest)
            if archive is not None:
                return commit, archive
        raise RepositoryError(
            f"the notebook in {self._address} is too large", "clear its outputs, and push it"
        )

    def _fetch(self, max_bytes: int, largest: int) -> tuple[str, bytes | None]:
        """Do it with files of up to so many bytes; no archive where that was not enough."""
        with self._repository() as folder:
            # Where the other side knows it, what is too large for a submission does not even travel.
            options = [*FETCH, "--filter", f"blob:limit={largest + 1}"]
            remote = ["-c", f"remote.it.url={self._address.url}"]
            said = self._speak(folder, *remote, "fetch", *options, "it", f"+{self._wanted()}:{LOCAL}")
            (folder / "config").write_text(CONFIG)  # or git would ask there for what did not travel
            commit = self._git.run(folder, ["rev-parse", "--verify", f"{LOCAL}^{{commit}}"]).output.strip()
            with Objects(self._git, folder, self._git.caps.seconds) as objects:
                tree = _tree_of(objects, commit)
                partly = UNFILTERED not in said.errors
                return commit, archive_of(objects, tree, self._address.folder, max_bytes, partly=partly)

    def _wanted(self) -> str:
        return f"refs/heads/{self._address.branch}" if self._address.branch else "HEAD"

    def _speak(self, folder: Path, *arguments: str) -> Said:
        try:
            return self._git.run(folder, arguments, self._address.protocol)
        except RepositoryError as error:
            message = f"{self._address} cannot be read: {error.message}"
            raise RepositoryError(message, error.fix or NOWHERE) from None

    @contextmanager
    def _repository(self) -> Iterator[Path]:
        """An empty bare repository of ours; made without git, which would look for templates."""
        with tempfile.TemporaryDirectory(dir=self._workshop, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "objects").mkdir()
            (folder / "refs").mkdir()
            (folder / "HEAD").write_text("ref: refs/heads/none\n")
            (folder / "config").write_text(CONFIG)
            yield folder


def _tree_of(objects: Objects, commit: str) -> str:
    """The id of a commit's tree, which its first line names."""
    content = objects.content(commit, "commit", LARGEST_COMMIT)
    word, _, tree = (content or b"").partition(b"\n")[0].decode("ascii", "replace").partition(" ")
    if word != "tree" or not OID.fullmatch(tree):
        raise RepositoryError(f"its commit {commit} cannot be read")
    return tree
