"""A kit works by itself: unpacked somewhere else, without the course's repository and without a reference."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESS = Path(sys.prefix, "bin", "harness")


def packages_but_the_harness(folder: Path) -> Path:
    """A folder with what is installed here, so that a kit's own set-up finds it and downloads nothing."""
    folder.mkdir()
    for place in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not re.match(r"(__editable__)?_*harness|pip", place.name):
            (folder / place.name).symlink_to(place)
    return folder


def score_in(output: str) -> list[str]:
    """The lines of a report that have the score on the validation rows."""
    return re.findall(r"validation +[\d.]+ .*", output)


def make_grade(kit: Path, submission: str) -> subprocess.CompletedProcess[str]:
    """What a student types, with nothing to be had from an index."""
    return subprocess.run(
        ["make", "--no-print-directory", "grade", f"SUBMISSION={submission}", "ARGS=--sandbox bubblewrap"],
        cwd=kit,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.bubblewrap
def test_a_kit_grades_its_starter_by_itself(tmp_path: Path) -> None:
    """``make grade`` in an unpacked kit sets itself up and shows the score on the validation rows.

    It goes on doing so where its folder was moved to, which the scripts of a virtual environment do not.
    """
    archive, kit = tmp_path / "kit.zip", tmp_path / "elsewhere" / "hw1-bikes-kit"
    released = subprocess.run(
        [HARNESS, "release", "hw1-bikes", "--zip", archive],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert released.returncode == 0, released.stderr
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(kit.parent)
    subprocess.run([sys.executable, "-m", "venv", kit / ".venv"], check=True, timeout=120)
    site_packages = next((kit / ".venv" / "lib").glob("python*/site-packages"))
    for bundled in site_packages.glob("setuptools*"):
        shutil.rmtree(bundled)  # else pip would have to fetch the version that torch is pinned with
    subprocess.run([HARNESS, "runtime"], check=True, capture_output=True, timeout=280)
    (kit / ".venv" / "var").symlink_to(Path(sys.prefix, "var"))  # where the sandbox's packages are laid out
    installed = kit / re.findall(r"^INSTALLED = (.+)$", (kit / "Makefile").read_text(), re.MULTILINE)[0]
    installed.touch()
    os.utime(installed, (0, 0))  # made, but before the wheel came: only that is installed
    (site_packages / "here.pth").write_text(f"{packages_but_the_harness(tmp_path / 'packages')}\n")

    done = make_grade(kit, "submission")
    moved = kit.rename(tmp_path / "another folder")
    from_notebook = make_grade(moved, "submission.ipynb")
    with zipfile.ZipFile(next(moved.glob("packages/*.whl"))) as wheel:
        handed_out = wheel.read("harness/protocol.py")

    assert done.returncode == 0, done.stderr
    assert next(moved.glob(".venv/lib/python*/site-packages/harness/protocol.py")).read_bytes() == handed_out
    assert "There is no hidden reference on this machine" in done.stdout
    assert "6 / 10 points" in done.stdout
    assert "beats_boss[validation]" in done.stdout
    assert "private" not in done.stdout
    assert score_in(from_notebook.stdout) == score_in(done.stdout) != []
