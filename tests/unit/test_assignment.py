"""Reading ``assignment.toml``."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.host.assignment import (
    RANGE_KEYS,
    RANGE_TABLES,
    Assignment,
    find_assignment,
    load_assignment,
    reference_folder,
)
from harness.host.config import TrainConfig
from harness.host.errors import UsageError
from harness.host.session import assignment_folder
from harness.host.tasks import METRIC_DIRECTIONS

if TYPE_CHECKING:
    from pathlib import Path

TOY = """
id = "toy"
title = "A toy"
task = "regression"
[data]
target = "count"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[points]
contract = 2
finished = 2.0
finite = 1.0
runtime = 1.0
[[tiers]]
name = "simple"
threshold = 100
public_points = 0.5
private_points = 0.5
[[tiers]]
name = "medium"
threshold = 50.0
public_points = 0.5
private_points = 0.5
[ranges]
epochs = [1, 1000]
"optimizer.lr" = [1e-6, 10.0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a sound assignment in a root of its own."""
    folder = tmp_path / "assignments" / "toy"
    folder.mkdir(parents=True)
    (folder / "assignment.toml").write_text(TOY)
    return folder


def test_a_sound_file_is_read(folder: Path) -> None:
    """Values, defaults, whole numbers for floats, and the folder are all there."""
    assignment = load_assignment(folder)
    assert assignment.id == "toy"
    assert assignment.tiers[0].threshold == 100.0
    assert assignment.limits.memory_mb == 2048
    assert assignment.ranges == {"epochs": (1.0, 1000.0), "optimizer.lr": (1e-6, 10.0)}
    assert assignment.folder == folder.resolve()
    assert assignment.train_path == folder.resolve() / "data/train.csv"
    assert assignment.outputs == 1


def test_classification_has_an_output_for_each_class(folder: Path) -> None:
    """The number of classes is the number of columns of a prediction."""
    text = TOY.replace("regression", "classification").replace('"count"', '"digit"\nclasses = 10')
    text = text.replace("rmse", "accuracy").replace('"min"', '"max"').replace("MSELoss", "CrossEntropyLoss")
    text = text.replace("threshold = 100", "threshold = 0.5").replace("threshold = 50.0", "threshold = 0.9")
    (folder / "assignment.toml").write_text(text)
    assert load_assignment(folder).outputs == 10


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "title =",
            "titel =",
            ["title is missing", "titel is not a known key", "nearest known name is title"],
        ),
        ('direction = "min"', 'direction = "max"', ["direction is 'max'", "the min is the best"]),
        (
            "threshold = 50.0",
            "threshold = 500.0",
            ["'medium' (500.0) is no harder than that of 'simple' (100.0)"],
        ),
        ("threshold = 50.0", "threshold = 100.0", ["is no harder"]),
        ("threshold = 50.0", "threshold = nan", ["tiers[1].threshold is nan", "finite"]),
        ('"medium"', '"simple"', ["'simple' is used twice"]),
        ("contract = 2\n", "contract = -2\n", ["points.contract is -2, must be at least 0"]),
        ("contract = 2\n", "contract = true\n", ["points.contract is true (a boolean), must be a number"]),
        ("contract = 2\n", 'contract = "2"\n', ["points.contract is '2' (text), must be a number"]),
        ('"MSELoss"', '"MSELos"', ["'MSELos'", "nearest known name is MSELoss"]),
        ('"MSELoss"', '"GaussianNLLLoss"', ["it needs a variance"]),
        ("[data]", '[data]\ntrain = "../other/train.csv"', ["data.train", "inside the assignment's folder"]),
        ("[data]", '[data]\ntrain = "/etc/passwd"', ["data.train", "inside the assignment's folder"]),
        ("[data]", "[data]\nclasses = 3", ["data.classes must be left out"]),
        ('"rmse"', '"accuracy"', ["of accuracy the max is the best"]),
        ('"rmse"', '"r2"', ["metric.name is 'r2', must be 'rmse', 'mae' or 'accuracy'"]),
        ("epochs = [1, 1000]", "epoch = [1, 1000]", ["'epoch' is no number of config.toml", "is epochs"]),
        ("epochs = [1, 1000]", "epochs = [1000, 1]", ["must be [lowest, highest]"]),
        ("epochs = [1, 1000]", "epochs = [1]", ["ranges.epochs[1] is missing"]),
        (
            'title = "A toy"',
            'title = "A toy"\ndeadline = 2030-01-01T00:00:00',
            ["deadline", "with its offset"],
        ),
        ('id = "toy"', 'id = "Toy"', ["id is 'Toy'"]),
        ('id = "toy"', 'id = "other"', ["id is 'other', but the folder is named 'toy'"]),
        ('id = "toy"', 'id = "toy"\nfolder = "/"', ["folder is not a known key"]),
        ("regression", "sequence", ["task is 'sequence', must be 'regression' or 'classification'"]),
        ('id = "toy"', "id = ", ["cannot be read", "line 2"]),
    ],
)
def test_a_broken_file_is_a_usage_error_that_says_what_to_do(
    folder: Path, before: str, after: str, said: list[str]
) -> None:
    """The message names the file, the key, what was found and what is allowed; there is a fix beside it."""
    assert before in TOY
    path = folder / "assignment.toml"
    path.write_text(TOY.replace(before, after, 1))
    with pytest.raises(UsageError) as caught:
        load_assignment(folder)
    assert str(path) in caught.value.message
    assert [part for part in said if part not in caught.value.message] == []
    assert caught.value.fix


def test_the_data_may_not_be_a_link_out_of_the_folder(folder: Path) -> None:
    """A linked data folder is refused, as `..` in its path is."""
    (folder / "data").symlink_to(folder.parent.parent)
    with pytest.raises(UsageError, match="leads out"):
        load_assignment(folder)


def test_an_assignment_is_found_from_below(folder: Path) -> None:
    """Any folder under the root will do, and the reference is looked for beside assignments/."""
    below = folder / "data"
    below.mkdir()
    assert find_assignment("toy", below) == folder
    root = folder.parent.parent.resolve()
    assert reference_folder(load_assignment(folder)) == root / "reference" / "toy"


@pytest.mark.parametrize("wanted", ["toi", "../assignments/toy", "/etc", "toy/", "TOY", "", "a" * 70, "\x00"])
def test_an_unknown_id_is_answered_with_those_that_exist(folder: Path, wanted: str) -> None:
    """An id may come from a student: one that is no id is not looked up, and the answer is the same."""
    with pytest.raises(UsageError, match="there are toy"):
        find_assignment(wanted, folder)


def test_no_assignments_at_all(tmp_path: Path) -> None:
    """Where there is no assignments/ folder the message says where it was looked for."""
    with pytest.raises(UsageError, match="there is no assignment 'toy'"):
        find_assignment("toy", tmp_path)


def test_records_are_frozen(folder: Path) -> None:
    """Nothing can change an assignment once it is loaded."""
    with pytest.raises(ValueError, match="frozen"):
        load_assignment(folder).title = "Another"


def test_names_kept_in_two_places_agree() -> None:
    """The keys that ranges may name are those of the config, and every metric has a direction."""
    assert set(TrainConfig.model_fields) == RANGE_KEYS | RANGE_TABLES | {"assignment"}
    assert set(METRIC_DIRECTIONS.values()) == {"min", "max"}
    assert "folder" in Assignment.model_fields


def test_reading_what_was_handed_in_imports_nothing_heavy() -> None:
    """The modules that begin a grading load no numerical library, and none of the host's load torch."""
    light = "import harness.host.config, harness.host.submission, harness.host.assignment"
    scoring = "import harness.host.scoring, harness.host.reference"
    code = (
        f"import sys; {light}; a = set(sys.modules); {scoring}; print('numpy' in a, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_what_hides_which_assignment_it_is_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are several, a config that cannot be read is told with its line."""
    for name in ("one", "two"):
        (tmp_path / "assignments" / name).mkdir(parents=True)
        (tmp_path / "assignments" / name / "assignment.toml").write_text("")
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "model.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for config, words in [("epochs = 1\nx = = 1\n", "config.toml, line 2: "), ("epochs = 1\n", "names no")]:
        (submission / "config.toml").write_text(config)
        with pytest.raises(UsageError, match=words) as caught:
            assignment_folder(submission, None)
        assert "--assignment one|two" in caught.value.fix
