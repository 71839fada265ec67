"""Notebooks through the public command: they are graded as the same code in files is."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.pages import write_pages
from harness.host.store.place import place_of
from harness.host.store.store import Store
from tests.end_to_end.conftest import MODEL, ROOT
from tests.end_to_end.test_batch import batch, results_in
from tests.end_to_end.test_watch import next_report, watching
from tests.notebooks import notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLES = ROOT / "examples"
DICTIONARY = """\
config = {"assignment": "sum", "seed": 1, "n_epochs": 30, "batch_size": 16, "learning_rate": 0.2,
          "optimizer": "SGD", "model": {"features": 2}}
"""
ROUNDING = 1e-6  # the order of the test rows follows from the digest, and a row's last bits from its place


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """What must be the same of two runs of the same code."""
    return {
        "outcome": report["outcome"],
        "points": report["points"],
        "checks": [(check["name"], check["outcome"], check["points"]) for check in report["checks"]],
        "curve": (report["loss"]["train"], report["loss"]["valid"], report["loss"]["best_epoch"]),
        "scores": pytest.approx(
            [report["metric"]["public"], report["metric"]["private"], report["loss"]["test"]], rel=ROUNDING
        ),
    }


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    "example", ["hw1-bikes/medium", "hw1-bikes/simple-with-own-dataset", "hw2-digits/cnn-with-own-dataset"]
)
def test_a_notebook_is_graded_as_its_code_in_files(grade: Callable[..., Any], example: str) -> None:
    """Outcome, points, every loss and every score are those of the folder beside it."""
    folder = grade(EXAMPLES / example, "--sandbox", "bubblewrap")
    found = grade(EXAMPLES / f"{example}.ipynb", "--sandbox", "bubblewrap")
    assert found.status == 0, found.errors
    scores = found.report["metric"]
    expected = figures(folder.report)
    assert expected.pop("scores") == [scores["public"], scores["private"], found.report["loss"]["test"]]
    assert figures(found.report) | {"scores": None} == expected | {"scores": None}
    assert found.report["submission"]["name"] == folder.report["submission"]["name"]
    assert "Notebook  what was taken of it" in found.output
    assert "Notebook" not in folder.output


@pytest.mark.bubblewrap
def test_what_was_taken_is_in_the_feedback_and_a_failure_names_its_cell(
    grade: Callable[..., Any], course: Path, tmp_path: Path
) -> None:
    """A student sees the notebook's cells, and nothing of the files that were made of them."""
    broken = MODEL.replace("        return", "        x = x @ x\n        return")
    (tmp_path / "s001.ipynb").write_bytes(notebook("%cd /content", "print('hello')", broken, DICTIONARY))
    feedback = tmp_path / "feedback.md"
    done = grade(tmp_path / "s001.ipynb", "--sandbox", "bubblewrap", "--feedback", str(feedback), cwd=course)
    assert done.report["outcome"] == "runtime_error"
    assert done.report["message"].startswith("s001.ipynb:cell 3:11: RuntimeError: mat1 and mat2")
    assert "cell 2: left out: a call of print (line 1)" in feedback.read_text()
    assert "s001.ipynb:cell 3:11" in feedback.read_text()


@pytest.mark.bubblewrap
def test_a_notebook_is_graded_again_when_it_is_saved(course: Path, tmp_path: Path) -> None:
    """Editors write a notebook anew or put another file in its place; both are seen."""
    submission, report, terminal = tmp_path / "hw.ipynb", tmp_path / "report.json", tmp_path / "terminal"
    submission.write_bytes(notebook(MODEL, DICTIONARY))
    with watching(submission, report, terminal, course) as command:
        assert next_report(report)["outcome"] == "ok", terminal.read_text()
        time.sleep(0.5)
        submission.write_bytes(notebook(MODEL, DICTIONARY.replace("30", "many")))
        assert next_report(report)["outcome"] == "invalid_submission", terminal.read_text()
        time.sleep(0.5)
        (tmp_path / "new").write_bytes(notebook(MODEL, DICTIONARY.replace("30", "3")))
        (tmp_path / "new").replace(submission)
        assert next_report(report)["outcome"] == "ok", terminal.read_text()
        time.sleep(0.5)
        command.terminate()
        assert command.wait(60) == 0


@pytest.mark.bubblewrap
def test_a_class_of_notebooks_and_folders_is_graded_side_by_side(
    course: Path, submission: Path, tmp_path: Path
) -> None:
    """Each is a submission with a page; of a notebook its files are kept, by which it is known again."""
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()
    submission.rename(handed_in / "s001")
    (handed_in / "s002.ipynb").write_bytes(notebook(MODEL, DICTIONARY))
    (handed_in / "s003.ipynb").write_bytes(notebook("x = 1"))
    done = batch(handed_in, tmp_path, course)
    assert done.returncode == 0, done.stderr
    found = results_in(tmp_path)
    assert {student: report["outcome"] for student, report in found.items()} == {
        "s001": "ok",
        "s002": "ok",
        "s003": "invalid_submission",
    }
    assert found["s001"]["loss"]["train"] == found["s002"]["loss"]["train"]
    store = Store(place_of(str(tmp_path / "runs.sqlite"), None, tmp_path))
    write_pages(store, "sum", tmp_path / "pages")
    pages = [file.read_text() for file in (tmp_path / "pages").glob("*.html")]
    assert sum("s002.ipynb: 2 of 2 cells with code are used" in page for page in pages) == 1
    again = batch(handed_in, tmp_path, course)
    assert re.search(r"graded before +3", again.stdout), again.stdout
