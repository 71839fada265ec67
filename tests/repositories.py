"""Bare repositories as students have them, made with git itself, and some that git would not make."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WHO = {"GIT_AUTHOR_NAME": "s001", "GIT_AUTHOR_EMAIL": "s001@example.org"}
WHO |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in WHO.items()}
LONG_AGO = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}
FILE, EXECUTABLE, LINK, SUBMODULE, TREE = "100644", "100755", "120000", "160000", "40000"


class Repository:
    """A bare repository, into which commits are written without a checkout.

    Args:
        path: where it is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", ".")

    def git(self, *arguments: str, data: bytes = b"") -> str:
        """Run git in it; what it prints, without the last line feed."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.path), **WHO, **LONG_AGO},
            input=data,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return done.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        """Write a file's content."""
        return self.git("hash-object", "-w", "--stdin", data=content)

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        """Write a folder of mode, name and object of each entry, whether git would or not."""
        lines = [f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries]
        return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", data=b"".join(lines))

    def files(self, files: Mapping[str, bytes | str]) -> str:
        """Write files, with folders where a path has any; returns the tree."""
        folders: dict[str, dict[str, bytes | str]] = {}
        entries = []
        for path, content in files.items():
            first, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(first, {})[rest] = content
            else:
                data = content.encode() if isinstance(content, str) else content
                entries.append((FILE, first.encode(), self.blob(data)))
        entries += [(TREE, name.encode(), self.files(inner)) for name, inner in folders.items()]
        return self.tree(*sorted(entries, key=lambda each: each[1] + b"/" * (each[0] == TREE)))

    def commit(self, tree: str, *parents: str) -> str:
        """Write a commit, which claims to be of 2001."""
        above = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *above, "-m", "homework")

    def push(self, files: Mapping[str, bytes | str], branch: str = "main") -> str:
        """Have a branch be at a new commit with these files, and nothing else before it."""
        return self.point(self.files(files), branch)

    def point(self, tree: str, branch: str = "main") -> str:
        """Have a branch be at a new commit with this tree."""
        commit = self.commit(tree)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit
