"""The data of hw1-bikes give nothing away, can be made again, and its tiers are what was measured."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from harness.host.assignment import Assignment, load_assignment

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assignments" / "hw1-bikes"
REFERENCE = ROOT / "reference" / "hw1-bikes"
BUILD = FOLDER / "build.py"
MADE = (
    "assignments/hw1-bikes/data/train.csv",
    "assignments/hw1-bikes/data/test.csv",
    "reference/hw1-bikes/answers.csv",
)
ONE_HOT = {"season": 4, "month": 12, "hour": 24, "weekday": 7, "weather": 3}


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    """The training rows."""
    return pd.read_csv(FOLDER / "data" / "train.csv")


@pytest.fixture(scope="module")
def test() -> pd.DataFrame:
    """The test inputs."""
    return pd.read_csv(FOLDER / "data" / "test.csv")


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    """The hidden counts."""
    return pd.read_csv(REFERENCE / "answers.csv")


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    """The checked assignment file."""
    return load_assignment(FOLDER)


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """All columns that a model gets."""
    return rows.drop(columns=["id", "count"], errors="ignore")


def place_in_group(rows: pd.DataFrame, group: str) -> NDArray[np.int64]:
    """Which column of a one-hot group is set, for each row."""
    places: NDArray[np.int64] = rows.filter(regex=f"^{group}_").to_numpy().argmax(axis=1)
    return places


def test_test_file_lacks_the_answer(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Test rows have the training rows' features and no column that is or makes up the count."""
    assert list(train.columns) == [*test.columns, "count"]
    assert not {"count", "bikers", "casual", "registered", "day", "instant"} & set(test.columns)


def test_no_feature_is_nearly_the_answer(test: pd.DataFrame, answers: pd.DataFrame) -> None:
    """No single feature orders the test rows as the counts do."""
    for name in features(test):
        assert abs(spearmanr(test[name], answers["count"]).statistic) < 0.6, name


def test_features_are_ready_for_a_linear_model(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Every feature lies in 0..1, and each one-hot group has exactly one column set in each row."""
    for rows in (features(train), features(test)):
        assert rows.to_numpy().min() >= 0
        assert rows.to_numpy().max() <= 1
        for group, size in ONE_HOT.items():
            columns = rows.filter(regex=f"^{group}_")
            assert columns.shape[1] == size
            assert (columns.sum(axis=1) == 1).all()


def test_ids_belong_to_one_row_each(train: pd.DataFrame, test: pd.DataFrame, answers: pd.DataFrame) -> None:
    """Ids number all rows once, none is in both files, and the answers are for the test rows."""
    ids = np.concatenate([train["id"], test["id"]])
    assert sorted(ids) == list(range(1, len(train) + len(test) + 1))
    assert (answers["id"] == test["id"]).all()


def test_no_test_row_has_a_twin(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """No two rows have the same features, so no training row's count is a test row's answer by look-up."""
    rows = pd.concat([features(train), features(test)])
    assert not rows.duplicated().any()


@pytest.mark.parametrize("clue", ["id", "position"])
@pytest.mark.parametrize("hidden_column", ["count", "hour", "month"])
def test_ids_and_order_tell_nothing(
    clue: str, hidden_column: str, train: pd.DataFrame, test: pd.DataFrame, answers: pd.DataFrame
) -> None:
    """Neither ids nor the order of rows are correlated with the count or the time, in any of the files."""
    for rows in (train, test.assign(count=answers["count"])):
        told = rows["id"].to_numpy() if clue == "id" else np.arange(len(rows))
        hidden = rows["count"].to_numpy() if hidden_column == "count" else place_in_group(rows, hidden_column)
        assert abs(spearmanr(told, hidden).statistic) < 4 / np.sqrt(len(rows))
        by_clue = hidden[np.argsort(told)]
        assert abs(spearmanr(by_clue[:-1], by_clue[1:]).statistic) < 4 / np.sqrt(len(rows))


def test_split_is_about_half(test: pd.DataFrame, assignment: Assignment) -> None:
    """The reference's key makes the stated share of the test rows public, within two percent."""
    key = bytes.fromhex(tomllib.loads((REFERENCE / "reference.toml").read_text())["split_key"])
    public = [
        int.from_bytes(hmac.digest(key, str(number).encode(), hashlib.sha256)[:8], "big") / 2**64
        < assignment.split.public_share
        for number in test["id"]
    ]
    assert np.mean(public) == pytest.approx(assignment.split.public_share, abs=0.02)


def test_build_makes_the_committed_files(tmp_path: Path) -> None:
    """build.py makes the committed files again, byte for byte."""
    if importlib.util.find_spec("ISLP") is None:
        pytest.skip("the package ISLP, which has the source table, is not installed")
    subprocess.run([sys.executable, BUILD, "--into", tmp_path], check=True, capture_output=True, timeout=60)
    for name in MADE:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_build_refuses_another_table(tmp_path: Path) -> None:
    """A table other than the one of ISLP 0.4.0 makes no files, and the message says where to get it."""
    table = tmp_path / "Bikeshare.csv"
    table.write_text("season,bikers\n1,16\n")
    done = subprocess.run(
        [sys.executable, BUILD, "--islp-csv", table, "--into", tmp_path / "made"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "pip install ISLP==0.4.0" in done.stderr
    assert not (tmp_path / "made").exists()


def test_each_solution_earns_exactly_its_tiers(assignment: Assignment) -> None:
    """With every measured seed, on both splits, a solution clearly reaches its tier, no higher."""
    solutions = json.loads((REFERENCE / "measured.json").read_text())["solutions"]
    names = [tier.name for tier in assignment.tiers]
    assert list(solutions) == names == ["simple", "medium", "strong", "boss"]
    measured = {
        name: [run[split] for run in solutions[name] for split in ("public", "private")] for name in names
    }
    for tier in assignment.tiers:
        assert len(measured[tier.name]) >= 2 * 5
        assert max(measured[tier.name]) * 1.02 < tier.threshold
    for weaker, tier in itertools.pairwise(assignment.tiers):
        assert tier.threshold * 1.02 < min(measured[weaker.name])


def test_solutions_are_quick(assignment: Assignment) -> None:
    """No solution needs more than half of the time that a student has."""
    solutions = json.loads((REFERENCE / "measured.json").read_text())["solutions"]
    slowest = max(run["seconds"] for runs in solutions.values() for run in runs)
    assert slowest < assignment.limits.train_seconds / 2


def test_points_add_up_to_ten(assignment: Assignment) -> None:
    """The checks and the tiers are worth ten points together, as the handout says."""
    tiers = sum(tier.public_points + tier.private_points for tier in assignment.tiers)
    assert sum(assignment.points.model_dump().values()) + tiers == 10


def test_handout_states_the_thresholds_and_rows(
    assignment: Assignment, train: pd.DataFrame, test: pd.DataFrame
) -> None:
    """The tiers' table and the number of rows in the handout are the real ones."""
    handout = (FOLDER / "README.md").read_text()
    for tier in assignment.tiers:
        points = f"{tier.public_points} | {tier.private_points}"
        assert f"| {tier.name} | {tier.threshold} | {points} |" in handout
    stated = re.findall(r"\| `data/(?:train|test)\.csv` \| ([\d,]+) \|", handout)
    assert stated == [f"{len(train):,}", f"{len(test):,}"]
