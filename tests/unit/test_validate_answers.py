"""Answers, ids, halves, tiers and points that are not sound are found before students find them."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

import numpy as np

from tests.made import PROBLEM, WARNING

if TYPE_CHECKING:
    import pandas as pd

    from tests.made import Made


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
