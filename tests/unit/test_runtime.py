"""The guest's packages: what submissions can import, and nothing that tells of this machine."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from harness.host import runtime
from harness.host.runtime import (
    GUEST_PACKAGES,
    GUEST_SITE_PACKAGES,
    ensure_guest_runtime,
    guest_distributions,
    guest_requirements,
)

CHECKOUT = Path(__file__).parents[2]
SMALL = ("filelock", "typing_extensions")


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder, which is made first where it is not there."""
    return ensure_guest_runtime().site_packages


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder of two small distributions, made by somebody whose files others may not read."""
    umask = os.umask(0o077)
    try:
        runtime._build(tmp_path / "made", [metadata.distribution(name) for name in SMALL])
    finally:
        os.umask(umask)
    return tmp_path / "made"


def test_folders_that_are_listed_as_files_are_passed_over(tmp_path: Path) -> None:
    """Virtualenv lists the folders of compiled files with its setuptools, and makes none."""
    info = tmp_path / "site-packages" / "small-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 1\n")
    (info.parent / "small.py").write_text("")
    (info / "RECORD").write_text("small.py,,\nsmall/__pycache__,,\n__pycache__/small.cpython-311.pyc,,\n")
    runtime._build(tmp_path / "made", [metadata.PathDistribution(info)])
    assert (tmp_path / "made" / "small.py").is_file()


def test_requirements_are_pinned_to_what_is_installed() -> None:
    """One exact version each, public, so that an index or an image can have the same."""
    for text in guest_requirements():
        requirement = Requirement(text)
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert metadata.version(requirement.name).partition("+")[0] == specifier.version
        assert "+" not in text


def test_requirements_are_closed_and_no_larger_than_that() -> None:
    """What a package needs is there too, and what the harness needs is not."""
    names = {Requirement(text).name for text in guest_requirements()}
    assert set(GUEST_PACKAGES) <= names
    assert {"sympy", "networkx", "jinja2", "python-dateutil"} <= names
    assert not names & {"pytest", "docker", "pydantic", "scikit-learn", "rich", "harness", "pip"}


def test_folder_is_made_once() -> None:
    """A second call finds what the first made, under the same digest."""
    said: list[str] = []
    first = ensure_guest_runtime()
    assert ensure_guest_runtime(said.append) == first
    assert said == []
    assert first.digest.removeprefix("sha256:").startswith(first.site_packages.name)


def test_submissions_import_these_packages_and_no_others(packages: Path) -> None:
    """As in a sandbox, without site: every distribution is found in the folder, and nothing beside it."""
    code = """
import importlib, importlib.metadata, importlib.util, json, sys
sys.path.append(sys.argv[1])
own = {name: importlib.import_module(name).__file__ for name in sys.argv[2].split()}
found = {name: bool(importlib.util.find_spec(name)) for name in sys.argv[3].split()}
print(json.dumps([own, found, sorted(d.name for d in importlib.metadata.distributions(path=[sys.argv[1]]))]))
"""
    done = subprocess.run(
        [
            *(sys.executable, "-S", "-P", "-s", "-B", "-c", code, str(packages)),
            "torch numpy pandas sympy dateutil jinja2 markupsafe typing_extensions filelock fsspec mpmath",
            "pytest docker pydantic sklearn rich harness pip hypothesis",
        ],
        capture_output=True,
        check=True,
        text=True,
        env={"TMPDIR": os.environ.get("TMPDIR", "/tmp")},  # noqa: S108  torch wants one
    )
    imported, others, distributions = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(packages) for file in imported.values())
    assert not any(others.values())
    assert len(distributions) == len(guest_distributions())


def test_no_file_names_a_path_of_this_machine(packages: Path) -> None:
    """Neither text nor bytecode tells where the harness is installed."""
    needles = [sys.prefix.encode(), str(CHECKOUT).encode()]
    telling = [
        str(path)
        for path in packages.rglob("*")
        if path.suffix in {".pyc", ".py", ".json", ".txt", ".pth", ""} and path.is_file()
        if any(needle in path.read_bytes() for needle in needles)
    ]
    assert telling == []


def test_bytecode_is_compiled_for_the_path_inside(built: Path) -> None:
    """Tracebacks name the sandbox's folder, and Python uses the bytecode without looking at the source."""
    bytecode = (built / "__pycache__" / f"typing_extensions.{sys.implementation.cache_tag}.pyc").read_bytes()
    assert f"{GUEST_SITE_PACKAGES}/typing_extensions.py".encode() in bytecode
    assert str(built).encode() not in bytecode
    assert bytecode[4:8] == (1).to_bytes(4, "little")  # by hash, unchecked (PEP 552)


def test_installers_notes_are_left_out(built: Path) -> None:
    """They are of no use to a program, and some name paths."""
    names = {path.name for path in built.rglob("*")}
    assert "METADATA" in names
    assert not names & {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def test_everybody_can_read_the_folder(built: Path) -> None:
    """A sandbox reads it as a user of its own, however strict the harness's user is about new files."""
    for path in [built, *built.rglob("*")]:
        wanted = 0o005 if path.is_dir() else 0o004
        assert stat.S_IMODE(path.stat().st_mode) & wanted == wanted, path


def test_files_are_linked_and_not_copied(built: Path) -> None:
    """The folder costs no space where links can be made and the installed file can be read by all."""
    (installed,) = [
        file for file in metadata.files("typing_extensions") or () if file.name == "typing_extensions.py"
    ]
    source = Path(str(installed.locate()))
    try:
        os.link(source, built / "can-be-linked")
    except OSError as error:
        pytest.skip(f"no hard links to installed files here: {error}")
    assert (built / "typing_extensions.py").samefile(source)


def test_file_that_others_may_not_read_is_copied(tmp_path: Path) -> None:
    """The installed file keeps its mode, and the copy can be read."""
    source = tmp_path / "private.py"
    source.write_text("x = 1")
    source.chmod(0o600)
    runtime._link(source, tmp_path / "copy.py")
    assert stat.S_IMODE((tmp_path / "copy.py").stat().st_mode) == 0o644
    assert stat.S_IMODE(source.stat().st_mode) == 0o600
    assert (tmp_path / "copy.py").read_text() == "x = 1"


def test_what_a_broken_off_build_left_is_removed(tmp_path: Path) -> None:
    """A harness that was killed while it made the folder costs no space for ever."""
    leftover = tmp_path / ".building-abc" / "folder"
    leftover.mkdir(parents=True)
    runtime._build(tmp_path / "made", [metadata.distribution("filelock")])
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
