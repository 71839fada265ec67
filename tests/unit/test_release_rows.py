"""Test rows are known by their ids alone, and by their features where there are no ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.packed import array, leaks_of, lines
from tests.planted import TESTED, Planted, plant

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANCE = np.random.default_rng(8)


@pytest.fixture(scope="module", params=["regression", "classification"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """An assignment with counts, and one with classes."""
    return plant(tmp_path_factory.mktemp("course"), request.param)


def everything(planted: Planted) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Features and targets of all rows, in random order, as they were before the split."""
    order = CHANCE.permutation(len(planted.data.train_ids) + TESTED)
    inputs = np.concatenate([planted.data.train_inputs, planted.data.test_inputs])
    return inputs[order], np.concatenate([planted.data.train_targets, planted.answers])[order]


def high(planted: Planted) -> list[str]:
    """The ids of test rows with a high answer."""
    middle = np.median(planted.answers)
    return [i for i, a in zip(planted.ids, planted.answers, strict=True) if a > middle]


def test_the_data_before_the_split_are_found(planted: Planted) -> None:
    """With the features' names, without, in part, under other names, and as an array."""
    inputs, targets = everything(planted)
    columns = [*inputs.T.tolist(), targets.tolist()]
    files = {
        "named_csv": lines(*columns, header="x0,x1,x2,x3,x4,y"),
        "nameless_csv": lines(*columns),
        "half_csv": lines(*(column[:350] for column in columns), header="x0,x1,x2,x3,x4,y"),
        "two_csv": lines(columns[5], columns[3], columns[1], header="y,x3,x1"),
        "all_npy": array(np.column_stack([inputs, targets])),
    }
    for name, content in files.items():
        leaks = leaks_of(planted, **{name: content})
        assert ["the features of the test rows" in leak.what for leak in leaks] == [True], name


def test_training_rows_are_not_taken_for_test_rows(planted: Planted) -> None:
    """Their targets may be handed out beside some of their features, though these tell of test rows too."""
    inputs, targets = planted.data.train_inputs, planted.data.train_targets
    honest = {
        "two_csv": lines(inputs[:, 0].tolist(), inputs[:, 1].tolist(), targets.tolist(), header="x0,x1,y"),
        "all_csv": lines(*inputs.T.tolist(), targets.tolist()),
        "all_npy": array(np.column_stack([inputs, targets])[CHANCE.permutation(len(targets))]),
        "tested_csv": lines(*planted.data.test_inputs.T.tolist(), header="x0,x1,x2,x3,x4"),
    }

    assert leaks_of(planted, **honest) == []


def test_ids_alone_can_tell(planted: Planted) -> None:
    """Those of rows with a high answer, of public rows, and all of them in an order that the answers make."""
    public = [i for i, s in zip(planted.ids, planted.hidden.split.values, strict=True) if s]
    ordered = [planted.ids[row] for row in np.argsort(planted.answers, kind="stable")]
    low = sorted(set(planted.ids) - set(high(planted)), key=planted.ids.index)
    files = {
        "high_txt": "\n".join(high(planted)).encode(),
        "public_txt": "\n".join(public).encode(),
        "ordered_txt": "\n".join(ordered).encode(),
        "groups_json": json.dumps({"low": low, "high": high(planted)}).encode(),
        "groups_md": f"# Low\n{' '.join(low)}\n\n# High\n{' '.join(high(planted))}\n".encode(),
    }
    for name, content in files.items():
        leaks = leaks_of(planted, **{name: content})
        assert {"ids are named" in leak.what for leak in leaks} == {True}, (name, leaks)


def test_ids_in_any_other_order_tell_nothing(planted: Planted) -> None:
    """All of them or some, sorted or at random."""
    honest = {
        "sorted_txt": "\n".join(sorted(planted.ids, key=int)).encode(),
        "some_txt": "\n".join(CHANCE.permutation(planted.ids)[:100].tolist()).encode(),
        "some_md": f"The rows {', '.join(planted.ids[:60])} are odd.\n".encode(),
        "training_txt": "\n".join(map(str, planted.data.train_ids)).encode(),
    }

    assert leaks_of(planted, **honest) == []
