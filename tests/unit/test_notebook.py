"""Notebooks as submissions: alone, in folders and archives, with what is told of them."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
import zipfile
from datetime import UTC
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from harness.host.assignment import load_assignment
from harness.host.errors import InvalidSubmissionError
from harness.host.grading import report_of
from harness.host.handed_in import find_handed_in
from harness.host.intake import MAX_NOTEBOOK_BYTES
from harness.host.records import Place
from harness.host.report.document import staff_document, write_feedback
from harness.host.report.terminal import render
from harness.host.submission import load_submission
from tests.notebooks import CONFIG, MODEL, notebook
from tests.toy_guests import COURSE
from tests.unit.conftest import REPORT, RUN

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.records import Submission

MAX_BYTES = 64 << 10
TOY = load_assignment(COURSE / "assignments" / "toy")
SOUND = notebook("!ls", MODEL, CONFIG, "print('trained')")


def load(path: Path) -> Submission:
    """Load with a small cap."""
    return load_submission(path, max_bytes=MAX_BYTES)


def write(folder: Path, **files: bytes) -> Path:
    """A folder of files, whose names end in what is behind the last underscore."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_bytes(content)
    return folder


def refusal(path: Path) -> InvalidSubmissionError:
    """The error that `path` is refused with."""
    with pytest.raises(InvalidSubmissionError) as caught:
        load(path)
    assert (caught.value.message + caught.value.hint).isprintable()
    assert caught.value.hint
    return caught.value


def test_a_notebook_is_an_ordinary_submission(tmp_path: Path) -> None:
    """It has a model.py, a config.toml, a name without the ending, and a digest over these files alone."""
    write(tmp_path, s001_ipynb=SOUND, other_IPYNB=notebook("%cd", MODEL, CONFIG, "print('more')"))
    submission = load(tmp_path / "s001.ipynb")
    assert submission.name == "s001"
    assert list(submission.files) == ["config.toml", "model.py"]
    assert submission.config == {"epochs": 3, "batch_size": 8, "optimizer": {"name": "SGD", "lr": 0.1}}
    assert submission.notes[0] == "s001.ipynb: 2 of 4 cells with code are used"
    same = load(tmp_path / "other.IPYNB")
    assert (same.name, same.sha256) == ("other", submission.sha256)
    folder = write(
        tmp_path / "folder",
        model_py=submission.files["model.py"],
        config_toml=submission.files["config.toml"],
    )
    assert load(folder).sha256 == submission.sha256
    assert load(folder).notes == ()


def packed(folder: Path, path: Path, wrapper: str) -> Path:
    """A folder as an archive."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    files = {wrapper + file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as archive_:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive_.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["folder", "hw1.zip", "hw1.tar.gz"])
@pytest.mark.parametrize("wrapper", ["", "hw1/"])
def test_a_notebook_may_lie_in_a_folder_or_an_archive(tmp_path: Path, kind: str, wrapper: str) -> None:
    """With helper files, which it can import; other files and hidden notebooks are left out as always."""
    model = MODEL.replace("class", "from blocks import Block\n\n\nclass").replace(
        "self.linear =", "self.block = Block\n        self.linear ="
    )
    folder = write(
        tmp_path / "folder", hw1_ipynb=notebook(model, CONFIG), blocks_py=b"Block = 1\n", data_csv=b"1,2"
    )
    write(folder / ".ipynb_checkpoints", **{"hw1-checkpoint_ipynb": b""})
    path = folder if kind == "folder" else packed(folder, tmp_path / kind, wrapper)
    submission = load(path)
    assert list(submission.files) == ["blocks.py", "config.toml", "model.py"]
    assert b"from blocks import Block" in submission.files["model.py"]
    assert submission.notes[0].startswith("hw1.ipynb: ")


def test_a_config_file_comes_before_the_notebooks_dictionary(tmp_path: Path) -> None:
    """Whoever puts one beside the notebook means it; the dictionary need not even be sound then."""
    folder = write(
        tmp_path / "s001", hw_ipynb=notebook(MODEL, "config = load()"), config_toml=b"epochs = 7\n"
    )
    submission = load(folder)
    assert submission.config == {"epochs": 7}
    assert "config is read" not in "\n".join(submission.notes)


@pytest.mark.parametrize("other", [b"", b"\xff", SOUND])
def test_a_notebook_beside_a_model_is_left_out(tmp_path: Path, other: bytes) -> None:
    """It is not even opened: a folder with model.py is what it was without."""
    files = {"model_py": MODEL.encode(), "config_toml": b"epochs = 1\n"}
    before = load(write(tmp_path / "before", **files))
    folder = write(tmp_path / "s001", **files, a_ipynb=other, z_ipynb=b"")
    os.link(folder / "a.ipynb", tmp_path / "second name")
    assert load(folder).sha256 == before.sha256


def test_several_notebooks_are_refused_by_name(tmp_path: Path) -> None:
    """The harness does not choose."""
    folder = write(tmp_path / "s001", **{f"try{n}_ipynb": SOUND for n in range(7)})
    assert refusal(folder).message == (
        "there is no model.py, and there are 7 notebooks: "
        "'try0.ipynb', 'try1.ipynb', 'try2.ipynb', 'try3.ipynb', 'try4.ipynb' and 2 more"
    )
    archive = packed(folder, tmp_path / "s001.zip", "")
    assert "there are 7 notebooks" in refusal(archive).message


def test_a_notebook_in_a_deeper_folder_is_none(tmp_path: Path) -> None:
    """As a model.py there would be none."""
    write(tmp_path / "s001" / "a", hw_ipynb=SOUND)
    write(tmp_path / "s001" / "b")
    assert refusal(tmp_path / "s001").message == "there is no model.py"


@pytest.mark.parametrize("place", ["alone", "folder"])
def test_no_link_and_no_pipe_is_followed_or_waited_for(tmp_path: Path, place: str) -> None:
    """A notebook is a file like others."""
    (tmp_path / "secret").write_bytes(SOUND)
    folder = tmp_path / "s001"
    folder.mkdir()
    path = folder / "hw.ipynb"
    named = path if place == "alone" else folder
    path.symlink_to(tmp_path / "secret")
    assert "is a symbolic link" in refusal(named).message
    path.unlink()
    os.mkfifo(path)
    assert "is a named pipe" in refusal(named).message
    if place == "folder":
        path.unlink()
        os.link(tmp_path / "secret", path)
        assert "is a hard link" in refusal(named).message


@pytest.mark.parametrize("kind", ["alone", "folder", "zip"])
def test_only_what_is_taken_counts_for_the_size(tmp_path: Path, kind: str) -> None:
    """Outputs do not count toward a submission's size, and have a cap of their own."""
    outputs = {"outputs": [{"data": {"image/png": "A" * MAX_BYTES * 4}}]}
    large = notebook({"cell_type": "code", "source": MODEL + "\n" + CONFIG, **outputs})
    huge = large + b" " * MAX_NOTEBOOK_BYTES
    for content, is_sound in ((large, True), (huge, False)):
        folder = write(tmp_path / "s001", hw_ipynb=content)
        path = {"alone": folder / "hw.ipynb", "folder": folder}.get(kind) or packed(
            folder, tmp_path / "a.zip", ""
        )
        if is_sound:
            assert load(path).config["epochs"] == 3
        elif kind != "zip":
            assert f"more than the {MAX_NOTEBOOK_BYTES} bytes" in refusal(path).message
            assert "clear all outputs" in refusal(path).hint


def test_code_counts_toward_the_size(tmp_path: Path) -> None:
    """As it would in a model.py."""
    table = "TABLE = [" + "1," * MAX_BYTES + "]\n"
    write(tmp_path, hw_ipynb=notebook(table, MODEL.replace("features=4", "features=TABLE[0]"), CONFIG))
    assert "the largest is 'model.py'" in refusal(tmp_path / "hw.ipynb").message


def test_a_class_may_hand_in_notebooks(tmp_path: Path) -> None:
    """In a folder of submissions each one is a student's."""
    write(tmp_path, s001_ipynb=SOUND, s002_zip=b"", notes_txt=b"")
    (tmp_path / "s003").mkdir()
    found = find_handed_in(tmp_path, UTC)
    assert [(each.name, each.path.name) for each in found] == [
        ("s001", "s001.ipynb"),
        ("s002", "s002.zip"),
        ("s003", "s003"),
    ]


def test_a_place_in_model_py_is_told_as_a_place_in_the_notebook(tmp_path: Path) -> None:
    """Nobody has seen the model.py that was made; other files and lines stay as they are."""
    write(tmp_path, hw_ipynb=notebook("x = 1", "%time\n" + MODEL, CONFIG))
    submission = load(tmp_path / "hw.ipynb")
    lines = submission.files["model.py"].decode().splitlines()
    forward = lines.index("    def forward(self, x):") + 1
    other = (Place("model.py", 1), Place("model.py", 99), Place("blocks.py", forward))
    for place, told in (
        (Place("model.py", forward), Place("hw.ipynb:cell 2", 10)),
        *zip(other, other, strict=True),
    ):
        run = dataclasses.replace(RUN, place=place)
        assert report_of(TOY, tmp_path / "hw.ipynb", submission, run, ()).run.place == told


@pytest.mark.parametrize("ending", ["md", "html", "json"])
def test_the_notes_are_in_what_people_read(tmp_path: Path, ending: str) -> None:
    """In the terminal and in a student's feedback; the documents for programs keep their keys."""
    hostile = "<img src=x onerror=alert(1)> `x` ::error::\x1b[31m"
    report = dataclasses.replace(
        REPORT, notes=("hw.ipynb: 1 of 2 cells with code are used", f"cell 2: {hostile}")
    )
    without = dataclasses.replace(report, notes=())
    file = tmp_path / f"feedback.{ending}"
    write_feedback(report, file)
    text = file.read_text()
    write_feedback(without, file)
    assert ("1 of 2 cells with code" in text) == (ending != "json")
    assert (file.read_text() == text) == (ending == "json")
    assert "\x1b" not in text
    assert "<img" not in text or ending == "md"  # where it stands in a block that nothing ends
    assert staff_document(report) == staff_document(without)


def test_the_terminal_shows_the_notes_behind_a_gutter() -> None:
    """So that none of a student's names is taken for a command by what reads the log."""
    report = dataclasses.replace(REPORT, notes=("hw.ipynb: 1 of 2 cells with code are used", "::error::x"))
    output = io.StringIO()
    render(report, Console(file=output, width=80))
    assert (
        "Notebook  what was taken of it\n  │ hw.ipynb: 1 of 2 cells with code are used\n" in output.getvalue()
    )
    assert "\n  │ \\x3a:error::x\n" in output.getvalue()
