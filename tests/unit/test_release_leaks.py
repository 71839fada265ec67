"""Nothing hidden gets into a kit: leaks that were planted are found, and honest files are not suspected."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.host.assignment import find_assignment, load_assignment, reference_folder
from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.release.budget import Budget, UnreadableError
from harness.host.release.hidden import read_hidden
from harness.host.release.leaks import find_leaks
from harness.host.release.unpacking import parts_of
from tests.packed import array, chunk, leaks_of, lines, picture, tarred, zipped
from tests.planted import KEY, TESTED, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Plant = Callable[[Planted], bytes]

ROOT = Path(__file__).parents[2]
CHANCE = np.random.default_rng(4)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Counts to predict."""
    return plant(tmp_path_factory.mktemp("counts"), "regression")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Six classes to predict."""
    return plant(tmp_path_factory.mktemp("classes"), "classification")


def numbers(planted: Planted) -> NDArray[np.float64]:
    """The answers, shuffled."""
    return CHANCE.permutation(planted.answers)


def jpeg_with(text: bytes) -> bytes:
    """The beginning of a JPEG, with EXIF data that have a comment."""
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x86\x92\x02\0" + struct.pack("<II", len(text), 26) + b"\0" * 4 + text
    )
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + b"\xff\xd9"


def notebook(output: str) -> bytes:
    """A notebook whose cell has printed something."""
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": ["train.head()"],
        "outputs": [{"output_type": "stream", "name": "stdout", "text": output.splitlines(keepends=True)}],
    }
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}).encode()


def level_of(planted: Planted, answer: float) -> int:
    """Which fifth of the answers one is in, as a number that grows in no order."""
    return [3, 0, 4, 1, 2][int((planted.answers < answer).mean() * 5)]


def answered(planted: Planted) -> bytes:
    """Ids and answers."""
    return lines(planted.ids, planted.answers.astype(int), header="id,y")


PLANTED: dict[str, tuple[str, Plant]] = {
    "the answers themselves": ("a.csv", answered),
    "without a header or ids": ("a.txt", lambda p: lines(p.answers.astype(int))),
    "only a third of them": ("a.txt", lambda p: lines(p.answers[60:160].astype(int))),
    "backwards": ("a.txt", lambda p: lines(p.answers[::-1].astype(int))),
    "sorted by id": ("a.txt", lambda p: lines(p.answers[np.argsort(np.array(p.ids, int))].astype(int))),
    "scaled, with noise": (
        "a.txt",
        lambda p: lines(p.answers * -0.37 + 12 + CHANCE.normal(size=TESTED) * p.answers.std() / 4),
    ),
    "rounded": ("a.txt", lambda p: lines((p.answers / p.answers.std()).round())),
    "behind the training targets": (
        "all.txt",
        lambda p: lines(np.concatenate([p.data.train_targets, p.answers]).astype(int)),
    ),
    "a column of a table with ids in another order": (
        "extra.tsv",
        lambda p: "\n".join(
            f"{p.ids[row]}\tblue\t{p.answers[row] * 2 + 1}" for row in CHANCE.permutation(TESTED)
        ).encode(),
    ),
    "some rows with ids that are padded": (
        "extra.csv",
        lambda p: lines(
            [f"{int(p.ids[n]):06}" for n in range(90)], p.answers[:90].astype(int), header="row,v"
        ),
    ),
    "words for classes": (
        "extra.csv",
        lambda p: lines(p.ids, [f"kind{level_of(p, a)}" for a in p.answers], header="id,kind"),
    ),
    "records in JSON": (
        "a.json",
        lambda p: json.dumps(
            [{"id": i, "w": 1, "v": a} for i, a in zip(p.ids, p.answers, strict=True)]
        ).encode(),
    ),
    "a dictionary in JSON": (
        "a.json",
        lambda p: json.dumps({"made": dict(zip(p.ids, p.answers.tolist(), strict=True))}).encode(),
    ),
    "a list in Python": ("model.py", lambda p: f"A = {p.answers.astype(int).tolist()}\n".encode()),
    "a wrapped list": ("model.py", lambda p: f"A = {np.array2string(p.answers, threshold=9999)}\n".encode()),
    "a dictionary in Python": (
        "model.py",
        lambda p: (
            "A = {" + ", ".join(f"{i}: {int(a)}" for i, a in zip(p.ids, p.answers, strict=True)) + "}"
        ).encode(),
    ),
    "a sentence about each of twenty rows": (
        "notes.md",
        lambda p: "\n\n".join(f"Row {p.ids[n]} has {int(p.answers[n])}, see?" for n in range(20)).encode(),
    ),
    "text in UTF-16": ("a.txt", lambda p: answered(p).decode().encode("utf-16")),
    "an archive in an archive": ("more.zip", lambda p: zipped(tarred(answered(p)), "inner.tar.gz")),
    "a compressed file": ("a.gz", lambda p: gzip.compress(answered(p))),
    "a notebook's output": ("work.ipynb", lambda p: notebook(answered(p).decode().replace(",", "   "))),
    "a PNG's text": ("figure.png", lambda p: picture(chunk(b"tEXt", b"Comment\0" + answered(p)))),
    "a PNG's compressed text": (
        "figure.png",
        lambda p: picture(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(answered(p)))),
    ),
    "an archive behind a PNG's end": ("figure.png", lambda p: picture() + zipped(answered(p))),
    "behind a PNG's end": ("figure.png", lambda p: picture() + answered(p)),
    "EXIF data": ("photo.jpg", lambda p: jpeg_with(b"ASCII\0\0\0" + answered(p))),
    "base64": ("notes.txt", lambda p: b"see: " + base64.b64encode(answered(p))),
    "base64 in lines": ("notes.txt", lambda p: base64.encodebytes(zlib.compress(b"x") + answered(p))),
    "hexadecimal": ("notes.txt", lambda p: answered(p).hex().encode()),
    "an array of NumPy": ("a.npy", lambda p: array(p.answers)),
    "an array of pairs": ("a.npy", lambda p: array(np.stack([np.array(p.ids, float), p.answers], axis=1))),
    "arrays in an archive": ("a.npz", lambda p: zipped(array(p.answers, "float32"), "arr_0.npy")),
    "a pickled array": ("a.pkl", lambda p: pickle.dumps({"y": p.answers})),
    "a pickled list": ("a.pkl", lambda p: pickle.dumps([float(a) for a in p.answers])),
    "raw bytes": ("a.bin", lambda p: b"abc" + p.answers.astype("<f4").tobytes()),
    "raw bytes, scaled": ("a.bin", lambda p: (p.answers * 0.1 + 3).astype("<f8").tobytes()),
    "raw bytes of a few": ("a.bin", lambda p: b"\xff\xfe\x01" + p.answers[:60].astype(">f8").tobytes()),
    "a PDF's stream": (
        "a.pdf",
        lambda p: b"%PDF-1.4\n1 0 obj\nstream\n" + zlib.compress(answered(p)) + b"\nendstream\n",
    ),
    "which rows are public": (
        "a.csv",
        lambda p: lines(
            p.ids, ["public" if s else "private" for s in p.hidden.split.values], header="id,part"
        ),
    ),
    "the public rows' mask": ("a.txt", lambda p: lines(p.hidden.split.values.astype(int))),
    "the key": ("notes.txt", lambda _: b"key " + KEY.hex().upper().encode()),
    "the key in pieces": ("notes.txt", lambda _: ", ".join(f"0x{byte:02x}" for byte in KEY).encode()),
    "the key as base64": ("notes.txt", lambda _: base64.b64encode(b"a" + KEY + b"bc")),
    "the key's bytes": ("a.bin", lambda _: b"\0\0" + KEY),
    "the answers' digest": (
        "sums.txt",
        lambda p: (
            hashlib.sha256((p.reference / "answers.csv").read_bytes()).hexdigest().encode() + b"  answers.csv"
        ),
    ),
    "digests of its lines": (
        "sums.txt",
        lambda p: hashlib.sha256(f"{p.ids[3]},{int(p.answers[3])}".encode()).hexdigest().encode(),
    ),
    "a solution": ("starter.py", lambda p: (p.reference / "solutions/best/model.py").read_bytes()),
    "most of a solution, indented": (
        "notes.md",
        lambda p: b"\n".join(
            b"    " + line for line in (p.reference / "solutions/best/model.py").read_bytes().splitlines()[2:]
        ),
    ),
    "what cannot be looked into": ("a.parquet", lambda _: b"PAR1" + bytes(100) + b"PAR1"),
    "an archive that is broken": ("a.zip", lambda p: zipped(answered(p))[:-40]),
}
NEEDS_COUNTS: dict[str, tuple[str, Plant]] = {
    "shuffled": ("a.txt", lambda p: lines(numbers(p).astype(int))),
    "shuffled and scaled": ("a.txt", lambda p: lines(numbers(p) * 0.013 + 7)),
    "shuffled logarithms": ("a.txt", lambda p: lines(np.log1p(numbers(p)).round(4))),
    "sorted": ("a.txt", lambda p: lines(np.sort(p.answers).astype(int))),
    "shuffled, in an array": ("a.npy", lambda p: array(numbers(p), "float32")),
    "shuffled, behind other numbers": (
        "a.txt",
        lambda p: lines(np.concatenate([np.arange(50), numbers(p), np.arange(9)]).astype(int)),
    ),
    "shuffled, on one line of a text": (
        "notes.md",
        lambda p: f"# Notes\n\nThe targets are {numbers(p).astype(int).tolist()}.\n".encode(),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_planted_leak_is_found(task: str, name: str, counts: Planted, classes: Planted) -> None:
    """However the answers, the split, the key or a solution get into a file, the file is named."""
    planted = counts if task == "regression" else classes
    file, make = PLANTED[name]
    leaks = leaks_of(planted, **{file.replace(".", "_"): make(planted)})

    assert {leak.path.partition("!")[0] for leak in leaks} == {file}, leaks


@pytest.mark.parametrize("name", NEEDS_COUNTS)
def test_shuffled_answers_are_found(name: str, counts: Planted) -> None:
    """A column with the answers' values, in whatever order and on whatever scale, was made of them."""
    file, make = NEEDS_COUNTS[name]
    leaks = leaks_of(counts, **{file.replace(".", "_"): make(counts)})

    assert [leak.path for leak in leaks] == [file], leaks


def test_names_of_files_are_searched(counts: Planted, classes: Planted) -> None:
    """Pictures that lie in folders of their class, or have a count in their name, give it away."""
    by_folder = {
        f"figures/kind{int(a)}/{i}.png": b"-" for i, a in zip(classes.ids, classes.answers, strict=True)
    }
    by_name = {f"{i}_{int(a)}.png": b"-" for i, a in zip(counts.ids, counts.answers, strict=True)}

    for planted, names in ((classes, by_folder), (counts, by_name)):
        leaks = find_leaks(planted.files | names, "data/test.csv", planted.data, planted.hidden)
        assert [leak.path for leak in leaks] == ["(names of files)"]


def test_names_inside_of_an_archive_are_searched(classes: Planted) -> None:
    """The same in a .zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for identity, answer in zip(classes.ids, classes.answers, strict=True):
            archive.writestr(f"{int(answer)}/{identity}.png", b"-")

    assert leaks_of(classes, figures_zip=packed.getvalue())


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": lambda _, answers, __: np.argsort(answers, kind="stable")}, "order"),
        (
            {
                "order": lambda _, answers, chance: np.argsort(
                    answers + chance.normal(size=len(answers)) * answers.std()
                )
            },
            "order",
        ),
        ({"ids": lambda _, answers, __: np.argsort(np.argsort(answers)).astype(str)}, "ids"),
        (
            {
                "ids": lambda _, answers, __: np.char.add(
                    "row-",
                    (
                        7 * np.arange(len(answers)) * 16
                        + np.digitize(answers, np.quantile(answers, [0.2, 0.4, 0.6, 0.8]))
                    ).astype(str),
                )
            },
            "ids",
        ),
        (
            {"test": lambda test, answers, __: np.column_stack([test[:, :4], answers * 3 - 1])},
            "'x4' is made of them",
        ),
        (
            {
                "test": lambda test, answers, chance: np.column_stack(
                    [test[:, :4], answers + chance.normal(size=len(answers)) * answers.std() / 2]
                )
            },
            "'x4' says more",
        ),
    ],
    ids=["sorted", "nearly sorted", "ids by rank", "ids by class", "a column", "a noisy column"],
)
def test_the_test_file_itself_is_looked_at(
    task: str, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Rows in an order that tells, ids that tell, and a feature that was made from the answers are found."""
    leaks = leaks_of(plant(tmp_path, task, **change))

    assert any(words in leak.what for leak in leaks), leaks


@pytest.mark.parametrize("course", ["hw1-bikes", "hw2-digits"])
def test_the_courses_own_assignments_are_not_suspected(course: str) -> None:
    """All in their folders can be handed out, although training targets share values with answers."""
    assignment = load_assignment(find_assignment(course, ROOT))
    data = load_data(assignment)
    hidden = read_hidden(assignment, data, reference_folder(assignment))
    files = {
        path.relative_to(assignment.folder).as_posix(): path.read_bytes()
        for path in assignment.folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert find_leaks(files, "data/test.csv", data, hidden) == []


def test_honest_files_are_not_suspected(counts: Planted, classes: Planted) -> None:
    """Columns of chance, of training targets, of class numbers, of constants, and pictures pass."""
    chance = np.random.default_rng(11)
    for planted in (counts, classes):
        ids = [str(each) for each in planted.data.train_ids]
        honest = {
            "sample_csv": lines(planted.ids, [0] * TESTED, header="id,y"),
            "train_again_csv": lines(ids, planted.data.train_targets.astype(int), header="id,y"),
            "targets_txt": lines(planted.data.train_targets.astype(int)),
            "weights_txt": lines(planted.ids, chance.integers(0, 6, TESTED), chance.normal(size=TESTED)),
            "ids_txt": lines(sorted(planted.ids)),
            "inputs_csv": lines(planted.ids, *planted.data.test_inputs.T, header="id,a,b,c,d,e"),
            "noise_npy": array(chance.normal(size=(TESTED, 3))),
            "noise_bin": chance.integers(0, 256, 20_000, dtype=np.uint8).tobytes(),
            "figure_png": picture(pixels=chance.integers(0, 9, 4000, dtype=np.uint8).tobytes()),
            "folds_txt": lines(np.arange(TESTED) % 6),
            "balanced_txt": lines(chance.permutation(np.arange(TESTED) % 10)),
            "odd_json": json.dumps({"a": [None, 1e999, 10**30], "b": {"c": []}}).encode(),
            "odd_csv": b'a,b\n"1,2\n' * 20,
            "odd_txt": b"1_000 " * 30 + b"\n",
            "deep_txt": b"[" * 300,
            "work_ipynb": notebook("epoch 1 loss 0.53\n" * 40),
            "train_zip": zipped(planted.files["data/train.csv"]),
            "test_zip": zipped(planted.files["data/test.csv"]),
        }

        assert leaks_of(planted, **honest) == []


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_not_suspected(seed: int, counts: Planted, classes: Planted) -> None:
    """Two hundred columns of every kind that lie beside the test rows' ids are told from leaks."""
    chance = np.random.default_rng(seed)
    columns = [
        *(chance.integers(0, top, TESTED) for top in range(2, 52)),
        *chance.normal(size=(50, TESTED)),
        *chance.exponential(40, size=(50, TESTED)).round(),
        *(chance.permutation(counts.data.train_targets)[:TESTED] for _ in range(50)),
    ]
    table = lines(counts.ids, *columns)

    assert leaks_of(counts, table_csv=table) == []
    assert leaks_of(classes, table_csv=table) == []


def test_a_shuffled_copy_as_a_feature_is_found(tmp_path: Path) -> None:
    """It tells nothing of its row, and was made of the answers all the same."""
    planted = plant(
        tmp_path, "regression", test=lambda x, y, chance: np.column_stack([x[:, :4], chance.permutation(y)])
    )

    assert ["'x4' is made of them" in leak.what for leak in leaks_of(planted)] == [True]


def test_a_config_like_a_solutions_is_not_suspected(counts: Planted) -> None:
    """Starter and solutions share most keys, and many of their values."""
    config = (
        'assignment = "planted"\nseed = 1\nepochs = {}\nbatch_size = 32\nvalid_ratio = 0.2\nearly_stop = 10\n'
    )
    files = {**counts.hidden.files, "solutions/best/config.toml": config.format(40).encode()}
    hidden = dataclasses.replace(counts.hidden, files=files)
    more = counts.files | {"config.toml": config.format(3).encode()}

    assert find_leaks(more, "data/test.csv", counts.data, hidden) == []


def test_no_message_shows_an_answer(counts: Planted) -> None:
    """Whoever reads why a kit was refused, in a CI log say, learns no answer from it."""
    told = " ".join(
        leak.what
        for file, make in PLANTED.values()
        for leak in leaks_of(counts, **{file.replace(".", "_"): make(counts)})
    )

    assert KEY.hex() not in told.lower()
    assert not {str(int(answer)) for answer in counts.answers if answer > 99} & set(told.split())


def test_what_unpacks_without_end_is_refused() -> None:
    """A compressed file of gigabytes is given up where the budget ends."""
    bomb = zipped(gzip.compress(bytes(1 << 26)), "again.gz")

    with pytest.raises(UnreadableError, match="more than can be looked through"):
        list(parts_of("bomb.zip", bomb, Budget(size=1 << 22)))


def test_what_is_packed_again_and_again_is_refused(counts: Planted) -> None:
    """Nobody looks through a file that is packed a dozen times over, so nobody gets it."""
    deep = lines(range(9))
    for _ in range(12):
        deep = gzip.compress(deep)

    assert ["cannot be looked through" in leak.what for leak in leaks_of(counts, deep_gz=deep)] == [True]


def test_without_a_reference_nothing_can_be_searched_for(counts: Planted, tmp_path: Path) -> None:
    """A kit is not made where nobody could tell what is hidden."""
    with pytest.raises(UsageError, match="no reference"):
        read_hidden(counts.assignment, counts.data, tmp_path / "nowhere")
