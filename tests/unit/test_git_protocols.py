"""Repositories are reached by https and by ssh, with a login where they ask for one, and in no other way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import RepositoryError
from harness.host.git.address import parse_address
from harness.host.git.command import Caps, Git
from harness.host.git.remote import Remote
from tests import git_server
from tests.repositories import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = {"model.py": "class MyModel: ...\n", "config.toml": "epochs = 1\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a commit."""
    made = Repository(tmp_path / "served" / "s001.git")
    made.push(GOOD)
    return made


@pytest.fixture
def server(tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What addresses of a server begin with that has it."""
    if reason := git_server.why_not():
        pytest.skip(reason)
    with git_server.serving(repository.path.parent, tmp_path) as (port, certificate):
        monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
        yield f"https://localhost:{port}"


def read(address: str, home: Path, credentials: Path | None = None) -> str:
    """The commit that an address leads to, after fetching it."""
    workshop = home / "workshop"
    workshop.mkdir(exist_ok=True)
    git = Git(Caps(seconds=30), threading.Event(), credentials)
    remote = Remote(git, parse_address(address, home), workshop)
    commit = remote.head()
    assert remote.fetch(1 << 16)[0] == commit
    return commit


def test_https_is_spoken_and_certificates_are_looked_at(
    server: str, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that nobody vouches for is not believed."""
    assert read(f"{server}/open/s001.git#main", tmp_path) == repository.git("rev-parse", "main")
    monkeypatch.delenv("GIT_SSL_CAINFO")
    with pytest.raises(RepositoryError, match="certificate"):
        read(f"{server}/open/s001.git", tmp_path)


def test_a_login_is_taken_from_the_file_alone(server: str, repository: Repository, tmp_path: Path) -> None:
    """Nobody is asked; a login for another host is not sent to this one, and none is in a message."""
    address = f"{server}/closed/s001.git"
    credentials = tmp_path / "it's a file"
    for text in (
        None,
        "https://reader:token@other.example.org\n",
        f"{server.replace('//', '//reader:no@')}\n",
    ):
        if text is not None:
            credentials.write_text(text)
        with pytest.raises(RepositoryError) as caught:
            read(address, tmp_path, credentials if text else None)
        assert "token" not in caught.value.message
        assert text is None or credentials.read_text() == text
    credentials.write_text(f"{server.replace('//', f'//{git_server.LOGIN}@')}\n")
    before = credentials.read_bytes()
    assert read(address, tmp_path, credentials) == repository.git("rev-parse", "main")
    assert credentials.read_bytes() == before


def test_a_redirect_is_not_followed(server: str, tmp_path: Path) -> None:
    """Where an address leads is what the roster says, not what a server says."""
    with pytest.raises(RepositoryError, match="error: 302"):
        read(f"{server}/elsewhere/s001.git", tmp_path)


def test_ssh_is_asked_for_nothing_else(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers' hosts must be known, nothing is forwarded, and nobody is asked."""
    programs, said = tmp_path / "bin", tmp_path / "said"
    programs.mkdir()
    (programs / "ssh").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {said}\nfor last; do :; done\nexec sh -c "$last"\n'
    )
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch pwned; false")

    assert read(f"ssh://git@example.org:2222{repository.path}", tmp_path) == repository.git(
        "rev-parse", "main"
    )
    words = set(said.read_text().splitlines())
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ForwardAgent=no",
        "2222",
        "git@example.org",
    } <= words
