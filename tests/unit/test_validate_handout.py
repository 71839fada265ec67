"""What students get is looked at before they do, and an assignment as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from typer.testing import CliRunner

from harness.host.cli import app
from harness.host.errors import UsageError
from tests.made import PASSED, PROBLEM, TARGETS, WARNING

if TYPE_CHECKING:
    from tests.made import Made


@pytest.mark.parametrize("task", list(TARGETS))
def test_a_sound_assignment_passes(task: str, request: pytest.FixtureRequest) -> None:
    """Nothing is to be looked at in a new assignment, and every part of it was looked at."""
    made = request.getfixturevalue("numbers" if task == "regression" else "classes")
    findings = made.findings()

    assert [finding for finding in findings if finding.level is not PASSED] == []
    assert {finding.subject for finding in findings} >= {
        *("twins", "near twins", "look-up", "features", "target leakage", "train and test", "ids and order"),
        *("split", "tiers", "points", "handout", "starter", "kit"),
        "answers" if task == "regression" else "classes",
    }


def test_what_the_handout_leaves_out_is_named(numbers: Made) -> None:
    """A threshold that was changed in one place only, and the number of rows."""
    numbers.write("assignment.toml", "threshold = 0.8", "threshold = 0.9")
    numbers.write("README.md", "2,000", "many")
    found = numbers.about("handout")[0]

    assert found.level is WARNING
    assert "the threshold 0.9 of strong" in found.detail
    assert "the 2000 training rows" in found.detail


def test_a_starter_that_is_refused_is_found(numbers: Made) -> None:
    """What students begin with has to be one that the assignment takes."""
    numbers.write("starter/config.toml", 'name = "SGD"', 'name = "Sgd"')
    refused = numbers.levels("starter")
    numbers.write("starter/config.toml", 'name = "Sgd"', 'name = "SGD"')
    numbers.write("starter/config.toml", 'assignment = "regression"', 'assignment = "other"')

    assert refused == {PROBLEM}
    assert numbers.levels("starter") == {PROBLEM}


def test_a_kit_that_would_leak_is_found(numbers: Made) -> None:
    """A check with the answers in it is found before it is handed out, and so are data from nowhere."""
    answers = pd.read_csv(numbers.reference / "answers.csv")
    (numbers.folder / "test_more.py").write_text(f"ANSWERS = {answers['y'].tolist()}\n")
    (numbers.folder / "data" / "NOTICE").unlink()

    assert PROBLEM in numbers.levels("kit")
    assert numbers.levels("data") == {WARNING}


def test_data_that_cannot_be_read_are_the_only_finding(numbers: Made) -> None:
    """Of answers for other rows, that is said, and nothing is guessed of the rest."""
    answers = numbers.reference / "answers.csv"
    answers.write_text("\n".join(answers.read_text().splitlines()[:-1]))
    findings = numbers.findings()

    assert [(finding.subject, finding.level) for finding in findings] == [("data", PROBLEM)]
    assert "rows" in findings[0].detail


def test_the_exit_status_says_how_it_stands(numbers: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 with nothing to mend, 1 with something; a broken assignment is wrong use."""
    monkeypatch.chdir(numbers.folder.parents[1])

    def run() -> tuple[int, str]:
        done = CliRunner().invoke(app, ["validate", "regression", "--no-run"])
        if isinstance(done.exception, UsageError):
            return 2, done.exception.message
        return done.exit_code, done.output

    numbers.write("assignment.toml", "runtime = 1.0", "runtime = 1.5")
    doubtful = run()
    numbers.write("assignment.toml", "threshold = 2.9", "threshold = 20.0")
    wrong = run()
    numbers.write("assignment.toml", "[metric]", "[metrics]")
    broken = run()

    assert doubtful[0] == 0
    assert "2 to look at, 0 to mend" in doubtful[1]
    assert wrong[0] == 1
    assert "1 to mend" in wrong[1]
    assert "make simple harder than that" in wrong[1]
    assert broken[0] == 2
