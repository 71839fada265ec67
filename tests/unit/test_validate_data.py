"""Rows that are in both files, and features that tell too much, nothing, or differ, are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.host.validation.features import share_told
from tests.made import PROBLEM, WARNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.made import Made


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
