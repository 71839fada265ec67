"""What is wrong with an assignment's data, tiers or handout is found before students find it."""

from __future__ import annotations

import hashlib
import hmac
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from harness.host.assignment import load_assignment, reference_folder
from harness.host.cli import app
from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.release.hidden import read_hidden
from harness.host.scaffold.assignment import new_assignment
from harness.host.validation.features import share_told
from harness.host.validation.findings import Finding, Level
from harness.host.validation.validate import examine, examine_data, examine_what_students_get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSED, WARNING, PROBLEM = Level.PASSED, Level.WARNING, Level.PROBLEM
FOR_STUDENTS = {"handout", "starter", "kit", "data"}
TARGETS = {"regression": "y", "classification": "colour"}


@dataclass
class Made:
    """An assignment whose files can be changed."""

    folder: Path
    reference: Path
    target: str

    def train(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change the training rows."""
        self._rewrite(self.folder / "data" / "train.csv", change)

    def test(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change the test rows, targets included; features and answers go into their files."""
        inputs = pd.read_csv(self.folder / "data" / "test.csv")
        whole = change(inputs.merge(pd.read_csv(self.reference / "answers.csv"), on="id"))
        whole.drop(columns=self.target).to_csv(self.folder / "data" / "test.csv", index=False)
        whole[["id", self.target]].to_csv(self.reference / "answers.csv", index=False)

    def both(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change both in the same way."""
        self.train(change)
        self.test(change)

    def write(self, name: str, old: str, new: str) -> None:
        """Change a file's text."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def findings(self) -> list[Finding]:
        """What is found without running anything."""
        assignment = load_assignment(self.folder)
        return list(examine(assignment, reference_folder(assignment), None))

    def about(self, subject: str) -> list[Finding]:
        """What is found of one subject."""
        assignment = load_assignment(self.folder)
        data = load_data(assignment)
        hidden = read_hidden(assignment, data, reference_folder(assignment))
        part = examine_what_students_get if subject in FOR_STUDENTS else examine_data
        return [finding for finding in part(assignment, data, hidden) if finding.subject == subject]

    def levels(self, subject: str) -> set[Level]:
        """How a subject stands."""
        return {finding.level for finding in self.about(subject)}

    def _rewrite(self, path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        change(pd.read_csv(path)).to_csv(path, index=False)


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new assignment of each task."""
    course = tmp_path_factory.mktemp("course")
    for task in TARGETS:
        new_assignment(course, task, task)
    return course


@pytest.fixture
def numbers(courses: Path, tmp_path: Path) -> Made:
    """A sound assignment of regression."""
    return copied(courses, tmp_path / "numbers", "regression")


@pytest.fixture
def classes(courses: Path, tmp_path: Path) -> Made:
    """A sound assignment of classification."""
    return copied(courses, tmp_path / "classes", "classification")


def copied(courses: Path, folder: Path, task: str) -> Made:
    """A copy that a test may change."""
    shutil.copytree(courses, folder / "course")
    course = folder / "course"
    return Made(course / "assignments" / task, course / "reference" / task, TARGETS[task])


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


def test_twins_between_the_files_are_found(numbers: Made) -> None:
    """A test row with a training row's features has its answer handed out; many of them are a problem."""
    trained = pd.read_csv(numbers.folder / "data" / "train.csv")

    def with_twins(count: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
        def change(rows: pd.DataFrame) -> pd.DataFrame:
            rows.iloc[:count, 1:] = trained.iloc[:count, 1:].to_numpy()
            return rows

        return change

    numbers.test(with_twins(3))
    few = numbers.about("twins")
    numbers.test(with_twins(60))

    assert [finding.level for finding in few] == [WARNING]
    assert "3 of 1,200 (0.2 %)" in few[0].detail
    assert "3 its target" in few[0].detail
    assert numbers.levels("twins") == {PROBLEM}


def test_near_twins_are_found(numbers: Made) -> None:
    """Rows of one subject in both files lie next to each other, and looking up beats all tiers."""
    trained = pd.read_csv(numbers.folder / "data" / "train.csv")

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        rows.iloc[:, 1:] = trained.iloc[: len(rows), 1:].to_numpy()
        rows.iloc[:, 1:-1] += 0.001
        return rows

    numbers.test(change)

    assert numbers.levels("near twins") == {WARNING}
    assert numbers.levels("look-up") == {WARNING}


def test_repeated_rows_are_found(numbers: Made) -> None:
    """Rows that stand in one file twice weigh twice."""
    numbers.train(lambda rows: pd.concat([rows, rows[:100].assign(id=rows["id"][:100] + 100_000)]))

    assert numbers.levels("repeated rows") == {WARNING}


def test_a_feature_that_is_the_target_is_found(numbers: Made, classes: Made) -> None:
    """On another scale, and for classes under another number, it is the target still."""
    numbers.both(lambda rows: rows.assign(x6=rows["y"] * -0.5 + 3))
    classes.both(lambda rows: rows.assign(x5=(rows["colour"] * 3) % 4))

    assert numbers.levels("target leakage") == {PROBLEM}
    assert classes.levels("target leakage") == {PROBLEM}


def test_a_feature_that_nearly_says_the_target_is_told(numbers: Made) -> None:
    """It may be a consequence of the target, which only a person can tell."""
    chance = np.random.default_rng(1)
    numbers.both(lambda rows: rows.assign(x6=rows["y"] + chance.normal(size=len(rows))))

    assert numbers.levels("target leakage") == {WARNING}


def test_features_that_add_up_to_the_target_are_found(numbers: Made) -> None:
    """Neither part of a total says it by itself; their sum does."""
    chance = np.random.default_rng(2)

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        part = chance.normal(size=len(rows)) * 5
        return rows.assign(x5=part, x6=rows["y"] - part)

    numbers.both(change)

    assert numbers.levels("target leakage") == {PROBLEM}


def test_what_one_feature_tells_is_measured_without_flattery() -> None:
    """Chance tells nothing however few rows there are, a wave everything though no line fits it."""
    chance = np.random.default_rng(3)
    values = chance.uniform(-1, 1, 2000)

    assert share_told(values[:80], chance.normal(size=80), None) < 0.2
    assert share_told(values, np.cos(3 * values), None) > 0.98
    assert share_told(values, (values > 0.3).astype(float), 2) > 0.9


def test_idle_features_are_told(numbers: Made) -> None:
    """A column that is the same everywhere teaches nothing."""
    numbers.both(lambda rows: rows.assign(x6=0.5))

    assert numbers.levels("features") == {WARNING}


def test_test_rows_from_elsewhere_are_told(numbers: Made) -> None:
    """A feature that is distributed otherwise in the test file is named."""
    numbers.test(lambda rows: rows.assign(x1=rows["x1"] + 0.3))
    found = numbers.about("train and test")

    assert [finding.level for finding in found] == [WARNING]
    assert "x1" in found[0].detail


def test_answers_beyond_the_training_targets_are_told(numbers: Made) -> None:
    """A model that never saw such a target has to extrapolate."""
    numbers.test(lambda rows: rows.assign(y=rows["y"].where(rows.index >= 30, 99.0)))

    assert numbers.levels("answers") == {WARNING}


def test_missing_and_rare_classes_are_found(classes: Made) -> None:
    """A class that nobody can learn is a problem, a rare one worth a look."""
    original = (classes.folder / "data" / "train.csv").read_text()
    classes.train(lambda rows: rows[(rows["colour"] != 2) | (rows.index < 100)])
    rare = classes.levels("classes")
    classes.train(lambda rows: rows[rows["colour"] != 2])

    assert original.count("\n") == 2001
    assert rare == {WARNING}
    assert classes.levels("classes") == {PROBLEM}


def test_an_order_that_tells_is_found(numbers: Made) -> None:
    """Sorted test rows are a problem, ids that are in both files a warning."""
    numbers.train(lambda rows: rows.assign(id=range(len(rows))))
    numbers.test(lambda rows: rows.assign(id=range(len(rows))))
    both = numbers.levels("ids and order")
    numbers.test(lambda rows: rows.sort_values("y"))

    assert both == {WARNING}
    assert PROBLEM in numbers.levels("ids and order")


def test_halves_that_are_too_small_are_found(numbers: Made) -> None:
    """A half without rows is a problem where points are for it; one of a few rows is a warning."""
    numbers.write("assignment.toml", "public_share = 0.5", "public_share = 0.05")
    small = numbers.levels("split")
    numbers.write("assignment.toml", "public_share = 0.05", "public_share = 0.0")

    assert small == {WARNING}
    assert numbers.levels("split") == {PROBLEM}


def test_halves_that_differ_are_found(numbers: Made) -> None:
    """With the larger answers in the public half, nobody knows what a public score is worth."""
    key = bytes.fromhex(re.findall(r"[0-9a-f]{64}", (numbers.reference / "reference.toml").read_text())[0])

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        digests = [hmac.digest(key, str(each).encode(), hashlib.sha256)[0] for each in rows["id"]]
        public = np.array(digests) < 128
        ranked = rows.sort_values("y")
        ids = np.concatenate([rows["id"][~public], rows["id"][public]])
        half = len(rows) // 4  # only some of them: one cannot see it at a glance
        ids[half:] = np.random.default_rng(0).permutation(ids[half:])
        return ranked.assign(id=ids).sample(frac=1, random_state=0)

    numbers.test(change)

    assert WARNING in numbers.levels("split")


def test_a_key_that_is_not_random_is_found(numbers: Made) -> None:
    """What somebody typed can be guessed."""
    toml = numbers.reference / "reference.toml"
    toml.write_text(re.sub(r"[0-9a-f]{64}", "0123456789abcdef" * 4, toml.read_text()))

    assert numbers.levels("split key") == {PROBLEM}


def test_tiers_that_a_constant_reaches_are_found(numbers: Made, classes: Made) -> None:
    """The thresholds are on the wrong side of chance, one of them or all."""
    numbers.write("assignment.toml", "threshold = 2.9", "threshold = 5.0")
    for old, new in (("0.34", "0.0034"), ("0.62", "0.0062"), ("0.82", "0.0082"), ("0.945", "0.00945")):
        classes.write("assignment.toml", f"threshold = {old}", f"threshold = {new}")
    one, scaled = (made.about("tiers")[0] for made in (numbers, classes))

    assert one.level is scaled.level is PROBLEM
    assert "simple" in one.detail
    assert "another scale" in scaled.todo


def test_a_tier_that_nothing_reaches_is_found(classes: Made) -> None:
    """An accuracy over 1 is a threshold in percent, say."""
    classes.write("assignment.toml", "threshold = 0.945", "threshold = 94.5")

    assert classes.levels("tiers") == {PROBLEM}


def test_odd_points_are_told(numbers: Made) -> None:
    """A sum that is no whole number, and a private half that counts nothing."""
    numbers.write("assignment.toml", "private_points = 0.5", "private_points = 0.0")
    numbers.write("assignment.toml", "runtime = 1.0", "runtime = 1.3")

    assert numbers.levels("points") == {WARNING}
    assert numbers.levels("private points") == {WARNING}


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
