"""New assignments and submissions are there at once, and nothing is written over."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from harness.host.assignment import load_assignment
from harness.host.cli import app
from harness.host.config import parse_config
from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.reference import load_reference
from harness.host.scaffold.assignment import TEMPLATES, new_assignment
from harness.host.submission import load_submission
from harness.host.tasks import TASKS

if TYPE_CHECKING:
    from typer.testing import Result

ROOT = Path(__file__).parents[2]
TIERS = ("simple", "medium", "strong", "boss")


def command(*arguments: str) -> Result:
    """What ``harness new`` did."""
    return CliRunner().invoke(app, ["new", *arguments])


@pytest.mark.parametrize("task", TASKS)
def test_everything_fits_together(task: str, tmp_path: Path) -> None:
    """Data, answers, starter and solutions are those of one assignment, and no placeholder is left."""
    folder, reference = new_assignment(tmp_path, "hw3-rides", task)
    assignment = load_assignment(folder)
    data, answers = load_data(assignment), load_reference(reference, assignment)

    assert assignment.task == task
    assert answers is not None
    assert len(answers.answers_for(data.test_ids)) == len(data.test_ids) > 1000
    for submission in (folder / "starter", *(reference / "solutions" / tier for tier in TIERS)):
        loaded = load_submission(submission, max_bytes=1 << 20)
        assert parse_config(loaded.config, assignment).assignment == "hw3-rides"
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if "@ID@" in text or "@KEY@" in text or "@TITLE@" in text]
    assert (folder / "test_hw3_rides.py").is_file()


def test_each_assignment_has_a_key_of_its_own(tmp_path: Path) -> None:
    """So two that are made alike share neither rows nor answers."""
    keys = {
        tomllib.loads((new_assignment(tmp_path, name, "regression")[1] / "reference.toml").read_text())[
            "split_key"
        ]
        for name in ("one", "two")
    }
    first, second = ((tmp_path / "reference" / name / "answers.csv").read_text() for name in ("one", "two"))

    assert len(keys) == 2
    assert first != second


def test_the_data_can_be_made_again(tmp_path: Path) -> None:
    """``build.py`` makes the same bytes from the same key."""
    folder, reference = new_assignment(tmp_path, "made", "classification")
    files = [folder / "data" / "train.csv", folder / "data" / "test.csv", reference / "answers.csv"]
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    subprocess.run([sys.executable, folder / "build.py"], check=True, capture_output=True, timeout=60)

    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("task", TASKS)
def test_what_is_made_passes_the_courses_own_checks(task: str, tmp_path: Path) -> None:
    """The files are as neat as those that come with the harness."""
    new_assignment(tmp_path, "made", task)
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [
                Path(sys.prefix, "bin", "ruff"),
                *arguments,
                "--no-cache",
                "--config",
                ROOT / "pyproject.toml",
                ".",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("there", ["assignments/made", "reference/made"])
def test_an_assignment_is_never_written_over(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where either folder is there, nothing is made, not even the other."""
    (tmp_path / "assignments").mkdir()
    (tmp_path / there).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = command("assignment", "made")

    assert isinstance(done.exception, UsageError)
    assert "nothing is written over" in done.exception.message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["Hw3", "../out", "a b", ""])
def test_an_id_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    """Nothing is made outside of the course's folders."""
    with pytest.raises(UsageError, match="is no id"):
        new_assignment(tmp_path, name, "regression")
    assert list(tmp_path.iterdir()) == []


def test_it_is_made_where_the_course_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called from a folder below, it goes beside the other assignments."""
    (tmp_path / "assignments" / "other").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "assignments" / "other")
    done = command("assignment", "made", "--task", "classification")

    assert done.exit_code == 0, done.output
    assert load_assignment(tmp_path / "assignments" / "made").data.classes == 4
    assert (tmp_path / "reference" / "made" / "answers.csv").is_file()


def test_a_submission_is_the_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that can be graded, under a name of its own or the one that was asked for."""
    folder, _ = new_assignment(tmp_path, "made", "regression")
    monkeypatch.chdir(tmp_path)
    done, named = command("submission", "made"), command("submission", "made", "--out", "work/mine")

    assert done.exit_code == named.exit_code == 0, named.output
    for made in (tmp_path / "my-made", tmp_path / "work" / "mine"):
        assert {path.name: path.read_bytes() for path in made.iterdir()} == {
            path.name: path.read_bytes() for path in (folder / "starter").iterdir()
        }


def test_a_submission_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A student's work stays as it is."""
    new_assignment(tmp_path, "made", "regression")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-made").mkdir()
    (tmp_path / "my-made" / "model.py").write_text("mine")
    done = command("submission", "made")

    assert isinstance(done.exception, UsageError)
    assert (tmp_path / "my-made" / "model.py").read_text() == "mine"


def test_every_template_is_for_a_file() -> None:
    """They all end alike, so that none of them is taken for Python of the harness, or gets into a kit."""
    assert {path.suffix for path in TEMPLATES.rglob("*") if path.is_file()} == {".tmpl"}
