"""Repositories are read as data: whatever is in one, nothing of it acts, and none costs more than its cap."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import InterruptedGradingError, InvalidSubmissionError, RepositoryError
from harness.host.git.address import Address, parse_address
from harness.host.git.command import Caps, Git
from harness.host.git.remote import Remote
from harness.host.submission import load_submission
from tests.repositories import EXECUTABLE, FILE, LINK, SUBMODULE, TREE, Repository

if TYPE_CHECKING:
    from harness.host.records import Submission

MAX_BYTES = 64 << 10
GOOD = {"model.py": "class MyModel: ...\n", "config.toml": "epochs = 1\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "s001.git")


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder for what is fetched."""
    folder = tmp_path / "workshop"
    folder.mkdir()
    return folder


def remote(address: Address | Repository, workshop: Path, caps: Caps | None = None) -> Remote:
    """What reads a repository."""
    if isinstance(address, Repository):
        address = Address(str(address.path), "file")
    return Remote(Git(caps or Caps(), threading.Event()), address, workshop)


def fetched(address: Address | Repository, workshop: Path, caps: Caps | None = None) -> Submission:
    """The submission in a repository; nothing of it is left in the workshop."""
    commit, archive = remote(address, workshop, caps).fetch(MAX_BYTES)
    assert list(workshop.iterdir()) == []
    path = workshop.parent / f"{commit[:12]}.zip"
    path.write_bytes(archive)
    return load_submission(path, max_bytes=MAX_BYTES)


def test_a_commit_is_the_submission_that_its_folder_would_be(
    repository: Repository, workshop: Path, tmp_path: Path
) -> None:
    """The digest is that of a checkout, whatever else lies in the repository."""
    files = {**GOOD, "layers/__init__.py": "", "README.md": "hi", "data/rows.csv": "1", ".vscode/x.py": "no"}
    commit = repository.push(files)
    subprocess.run(["git", "clone", "-q", repository.path, tmp_path / "clone"], check=True, timeout=60)

    assert remote(repository, workshop).head() == commit
    found = fetched(repository, workshop)
    folder = load_submission(tmp_path / "clone", max_bytes=MAX_BYTES)
    assert (found.sha256, sorted(found.files)) == (
        folder.sha256,
        ["config.toml", "layers/__init__.py", "model.py"],
    )
    assert found.name == commit[:12]


def test_a_branch_and_a_folder_are_found(repository: Repository, workshop: Path) -> None:
    """An address may name both; what is not there is told as that."""
    repository.push({"README.md": "nothing"})
    repository.push({f"hw1/{name}": content for name, content in GOOD.items()}, "week/2")
    url = repository.path

    assert "model.py" in fetched(parse_address(f"{url}#week/2//hw1", workshop), workshop).files
    with pytest.raises(RepositoryError, match="no folder 'hw2'"):
        fetched(parse_address(f"{url}#week/2//hw2", workshop), workshop)
    with pytest.raises(RepositoryError, match=r"no folder 'hw1/model.py'"):
        fetched(parse_address(f"{url}#week/2//hw1/model.py", workshop), workshop)
    with pytest.raises(RepositoryError, match="there is no branch week in"):
        remote(parse_address(f"{url}#week", workshop), workshop).head()


@pytest.mark.parametrize("allowed", ["true", "false"])
@pytest.mark.parametrize("around", ["", "hw1/"])
def test_a_notebook_stands_for_a_submission(
    repository: Repository, workshop: Path, allowed: str, around: str
) -> None:
    """It may be larger than the files of a submission, with its pictures; beside a model it is left out."""
    source = "from torch import nn\\nclass MyModel(nn.Module): ...\\n"
    cells = f'[{{"cell_type": "code", "metadata": {{}}, "outputs": [], "source": "{source}"}}]'
    large = (
        f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{"x": "{"y" * (1 << 20)}"}}, "cells": {cells}}}'
    )
    repository.git("config", "uploadpack.allowFilter", allowed)
    repository.push({f"{around}work.ipynb": large, f"{around}config.toml": "epochs = 1\n"})
    assert b"MyModel" in fetched(repository, workshop).files["model.py"]
    repository.push({f"{around}{name}": text for name, text in {**GOOD, "work.ipynb": large}.items()})
    assert fetched(repository, workshop).files["model.py"] == GOOD["model.py"].encode()


def test_what_cannot_be_read_is_told(repository: Repository, workshop: Path, tmp_path: Path) -> None:
    """An empty repository, none at all, and one whose branch is gone."""
    with pytest.raises(RepositoryError, match="there is nothing in"):
        remote(repository, workshop).head()
    with pytest.raises(RepositoryError, match=r"cannot be read: .*nowhere"):
        remote(Address(str(tmp_path / "nowhere"), "file"), workshop).head()
    repository.push(GOOD)
    repository.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(RepositoryError, match="there is nothing in"):
        remote(repository, workshop).head()
    assert list(workshop.iterdir()) == []


def test_corrupt_objects_are_a_fault(repository: Repository, workshop: Path) -> None:
    """A repository that lost an object, or has another one in its place, gives nothing."""
    repository.push(GOOD)
    whole = tuple(
        repository.path / "objects" / oid[:2] / oid[2:]
        for oid in (repository.git("rev-parse", f"main:{name}") for name in GOOD)
    )
    content = whole[0].read_bytes()
    for broken in (None, whole[1].read_bytes(), b"", content[:-5]):
        whole[0].unlink()
        if broken is not None:
            whole[0].write_bytes(broken)
        with pytest.raises(RepositoryError):
            fetched(repository, workshop)
        whole[0].unlink(missing_ok=True)
        whole[0].write_bytes(content)
    assert fetched(repository, workshop).files.keys() == GOOD.keys()


def test_the_same_fault_is_told_in_the_same_words(repository: Repository, workshop: Path) -> None:
    """Git and the other side write of a lost object at once, in any order."""
    repository.push(GOOD)
    lost = repository.git("rev-parse", "main:model.py")
    (repository.path / "objects" / lost[:2] / lost[2:]).unlink()
    told = set()
    for _ in range(20):
        with pytest.raises(RepositoryError) as raised:
            remote(repository, workshop).fetch(1 << 20)
        told.add(raised.value.message)
    (words,) = told
    assert f"unable to read {lost}" in words


@pytest.fixture
def hostile_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's settings that make git run things; returns the file that these leave."""
    home, marker = tmp_path / "home", tmp_path / "pwned"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {marker}\n")
        (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n"
        f'[filter "evil"]\n\tsmudge = "echo smudge >> {marker}; cat"\n'
        f'[protocol "ext"]\n\tallow = always\n[protocol "file"]\n\tallow = always\n'
        f'[url "ext::sh -c echo% rewritten% >> {marker} "]\n\tinsteadOf = https://rewritten.example.org/\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(hooks))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(home))
    return marker


def cloned(repository: Repository, folder: Path, *options: str) -> None:
    """What a checkout does: the control of what is not done here."""
    subprocess.run(
        ["git", "clone", "--quiet", *options, str(repository.path), str(folder)],
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_no_hook_and_no_filter_is_run(
    repository: Repository, workshop: Path, tmp_path: Path, hostile_home: Path
) -> None:
    """Those of a checkout run, with the user's settings; here none does, and content is as it was pushed."""
    hooks = {f"hooks/{name}": "#!/bin/sh\ntouch pwned\n" for name in ("post-checkout", "post-merge")}
    repository.push({**GOOD, ".gitattributes": "*.py filter=evil ident text eol=crlf\n", **hooks})
    for name in ("post-checkout", "pre-receive", "reference-transaction", "post-upload-pack"):
        Path(repository.path, "hooks").mkdir(exist_ok=True)
        hook = Path(repository.path, "hooks", name)
        hook.write_text(f"#!/bin/sh\necho remote-{name} >> {hostile_home}\n")
        hook.chmod(0o755)
    repository.git("config", "uploadpack.packObjectsHook", f"echo pack >> {hostile_home}; exec git")
    repository.git("config", "core.fsmonitor", f"echo fsmonitor >> {hostile_home}")

    assert fetched(repository, workshop).files["model.py"] == GOOD["model.py"].encode()
    assert not hostile_home.exists()
    cloned(repository, tmp_path / "control")
    assert {"post-checkout", "smudge"} <= set(hostile_home.read_text().split())


def test_no_submodule_is_followed(
    repository: Repository, workshop: Path, tmp_path: Path, hostile_home: Path
) -> None:
    """A clone with submodules would run a command and copy a neighbour; here each is an empty folder."""
    neighbour = Repository(tmp_path / "neighbour.git")
    secret = neighbour.push({"secret.py": "answers"})
    modules = (
        f'[submodule "a"]\n\tpath = a\n\turl = ext::sh -c echo% ext% >>% {hostile_home}\n'
        f'[submodule "b"]\n\tpath = b\n\turl = {neighbour.path}\n'
    )
    entries = [(FILE, name.encode(), repository.blob(content.encode())) for name, content in GOOD.items()]
    entries += [(FILE, b".gitmodules", repository.blob(modules.encode()))]
    entries += [(SUBMODULE, b"a", secret), (SUBMODULE, b"b", secret)]
    repository.point(repository.tree(*sorted(entries, key=lambda each: each[1])))

    assert fetched(repository, workshop).files.keys() == GOOD.keys()
    assert not hostile_home.exists()
    cloned(repository, tmp_path / "control", "--recurse-submodules")
    assert "ext" in hostile_home.read_text()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "config.toml"])
def test_a_link_is_refused_and_not_followed(repository: Repository, workshop: Path, target: str) -> None:
    """As in a folder or an archive, by its name."""
    repository.point(
        repository.tree(
            (FILE, b"config.toml", repository.blob(b"")),
            (LINK, b"model.py", repository.blob(target.encode())),
        )
    )
    with pytest.raises(InvalidSubmissionError, match=r"'model.py' is a symbolic link"):
        fetched(repository, workshop)


@pytest.mark.parametrize(
    "name", [b".git", b".GIT", b"..", b".", b"a/b", b"", b"git~1", b".g\xe2\x80\x8cit"], ids=repr
)
def test_names_that_git_would_not_make_are_a_fault(
    repository: Repository, workshop: Path, name: bytes
) -> None:
    """A tree that would write into .git, or elsewhere, is not taken at all."""
    inner = repository.tree((EXECUTABLE, b"post-checkout", repository.blob(b"#!/bin/sh\n")))
    repository.point(repository.tree((TREE, name, inner)))
    with pytest.raises(RepositoryError):
        fetched(repository, workshop)


@pytest.mark.parametrize(
    "name", [b"a\\..\\..\\x.py", b"C:\\x.py", b"\xff.py", b"a\x1b[2J.py", b"x" * 300 + b".py"], ids=ascii
)
def test_odd_names_are_the_students_fault(repository: Repository, workshop: Path, name: bytes) -> None:
    """Git takes them; the door for submissions does not, in its own words."""
    repository.point(repository.tree((FILE, name, repository.blob(b""))))
    with pytest.raises(InvalidSubmissionError, match=r"name|leads out"):
        fetched(repository, workshop)


def test_what_is_huge_does_not_travel_or_stay(repository: Repository, workshop: Path) -> None:
    """Where the other side can leave it out, it is; else the repository is over its cap."""
    repository.push({**GOOD, "weights.bin": os.urandom(4 << 20)})
    small = Caps(disk=1 << 20)
    with pytest.raises(RepositoryError, match="takes more than 1 MiB"):
        fetched(repository, workshop, small)
    assert list(workshop.iterdir()) == []
    repository.git("config", "uploadpack.allowFilter", "true")
    assert fetched(repository, workshop, small).files.keys() == GOOD.keys()


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_model_that_unfolds_is_refused_unread(repository: Repository, workshop: Path, allowed: str) -> None:
    """A hundred megabytes of zeros are a hundred kilobytes to fetch, and one byte too many to take."""
    repository.git("config", "uploadpack.allowFilter", allowed)
    repository.push({**GOOD, "model.py": bytes(100 << 20)})
    with pytest.raises(
        InvalidSubmissionError, match=r"over the 65536 bytes allowed; the largest is 'model.py'"
    ):
        fetched(repository, workshop, Caps(disk=1 << 20))


def test_a_tree_without_end_is_cut_off(repository: Repository, workshop: Path) -> None:
    """Ten folders of ten folders and so on, in a few hundred bytes, cost no more than the cap on entries."""
    tree = repository.files(GOOD)
    for _ in range(12):
        tree = repository.tree(*[(TREE, f"d{n}".encode(), tree) for n in range(10)])
    repository.point(tree)
    started = time.monotonic()
    with pytest.raises(InvalidSubmissionError, match=r"more than 10000|deeper than"):
        fetched(repository, workshop)
    assert time.monotonic() - started < 30


def test_a_remote_that_hangs_is_given_up(workshop: Path) -> None:
    """It costs its time and no more; nothing that was started for it is left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(f"https://127.0.0.1:{server.getsockname()[1]}/s001.git", "https")
        started = time.monotonic()
        with pytest.raises(RepositoryError, match="longer than 1 seconds"):
            remote(address, workshop, Caps(seconds=1.0)).head()
    assert time.monotonic() - started < 10
    assert list(workshop.iterdir()) == []


def test_whoever_stops_does_not_wait(workshop: Path) -> None:
    """Ctrl-C ends what is being fetched."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(f"https://127.0.0.1:{server.getsockname()[1]}/s001.git", "https")
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(InterruptedGradingError):
            Remote(Git(Caps(), stop), address, workshop).head()


def test_no_protocol_but_the_address_own_is_spoken(
    workshop: Path, tmp_path: Path, hostile_home: Path
) -> None:
    """Even an address that was never parsed, or that the user's settings rewrite, runs no command."""
    for url, protocol in (
        (f"ext::sh -c echo% ext% >>% {hostile_home}", "https"),
        ("https://rewritten.example.org/x", "file"),
        (str(tmp_path), "https"),
    ):
        with pytest.raises(RepositoryError):
            remote(Address(url, protocol), workshop, Caps(seconds=5)).head()
    assert not hostile_home.exists()
