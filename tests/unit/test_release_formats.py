"""Answers are found in whatever format they come: spreadsheets, pickles, arrays, pictures, lists."""

from __future__ import annotations

import base64
import gzip
import io
import json
import pickle
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.packed import array, chunk, leaks_of, lines, picture, zipped
from tests.planted import TESTED, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable

    Plant = Callable[[Planted], bytes]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Counts to predict."""
    return plant(tmp_path_factory.mktemp("counts"), "regression")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Six classes to predict."""
    return plant(tmp_path_factory.mktemp("classes"), "classification")


def answered(planted: Planted) -> bytes:
    """Ids and answers."""
    return lines(planted.ids, planted.answers.astype(int), header="id,y")


def pairs(planted: Planted) -> list[tuple[int, int]]:
    """Ids and answers."""
    return [(int(i), int(a)) for i, a in zip(planted.ids, planted.answers, strict=True)]


def sheet(rows: list[tuple[int, int]]) -> bytes:
    """A sheet of a spreadsheet, as Excel writes them."""
    cells = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{i}</v></c><c r="B{n}"><v>{a}</v></c></row>'
        for n, (i, a) in enumerate(rows, start=1)
    )
    return f'<?xml version="1.0"?>\n<worksheet><sheetData>{cells}</sheetData></worksheet>'.encode()


def structured(rows: list[tuple[int, int]]) -> bytes:
    """A .npy with named columns."""
    file = io.BytesIO()
    np.save(file, np.array(rows, dtype=[("id", "i4"), ("y", "i4")]))
    return file.getvalue()


def objects(rows: list[tuple[int, int]]) -> bytes:
    """A .npy of Python's own numbers."""
    file = io.BytesIO()
    np.save(file, np.array([answer for _, answer in rows], dtype=object))
    return file.getvalue()


def one_hot(planted: Planted) -> bytes:
    """Six float32 for each row."""
    level = np.digitize(planted.answers, np.quantile(planted.answers, [0.2, 0.4, 0.6, 0.8]))
    return np.eye(6, dtype="<f4")[level].tobytes()


PLANTED: dict[str, tuple[str, Plant]] = {
    "a spreadsheet": ("a.xlsx", lambda p: zipped(sheet(pairs(p)), "xl/worksheets/sheet1.xml")),
    "the points of a drawing": (
        "a.svg",
        lambda p: (
            "<svg><polyline points='"
            + " ".join(f"{n},{a}" for n, (_, a) in enumerate(pairs(p)))
            + "'/></svg>"
        ).encode(),
    ),
    "the text of a PDF": (
        "a.pdf",
        lambda p: (
            b"%PDF-1.4\nstream\n"
            + zlib.compress(b"BT " + b" ".join(b"(%d) Tj" % a for _, a in pairs(p)))
            + b"\nendstream"
        ),
    ),
    "records in YAML": ("a.yaml", lambda p: "".join(f"- id: {i}\n  y: {a}\n" for i, a in pairs(p)).encode()),
    "semicolons and decimal commas": (
        "a.csv",
        lambda p: "".join(f"{i};{a},50\n" for i, a in pairs(p)).encode(),
    ),
    "a line of text for each row": (
        "a.txt",
        lambda p: "\n".join("cdeab"[int((p.answers < a).mean() * 5)] + "-like" for a in p.answers).encode(),
    ),
    "a list of words in Python": (
        "model.py",
        lambda p: f"A = {['cdeab'[int((p.answers < a).mean() * 5)] for a in p.answers]}\n".encode(),
    ),
    "digits without anything between them": (
        "model.py",
        lambda p: (
            "A = '" + "".join(str(int((p.answers < a).mean() * 5)) for a in p.answers) + "'\n"
        ).encode(),
    ),
    "a pickled dictionary": ("a.pkl", lambda p: pickle.dumps(dict(pairs(p)), protocol=4)),
    "a pickled dictionary with text": (
        "a.pkl",
        lambda p: pickle.dumps({str(i): a for i, a in pairs(p)}, protocol=2),
    ),
    "an old pickle": ("a.pkl", lambda p: pickle.dumps([a for _, a in pairs(p)], protocol=0)),
    "a file in a pickle": ("a.pkl", lambda p: pickle.dumps({"file": gzip.compress(answered(p))})),
    "an array with names": ("a.npy", lambda p: structured(pairs(p))),
    "an array of objects": ("a.npy", lambda p: objects(pairs(p))),
    "an array of words": ("a.npy", lambda p: array(p.answers, "U8")),
    "an array in rows of six": ("a.npy", lambda p: array(p.answers.reshape(-1, 6))),
    "one float for each class": ("a.bin", one_hot),
    "zlib's own format": ("a.z", lambda p: zlib.compress(answered(p))),
    "zlib in base64": (
        "model.py",
        lambda p: b"A = '" + base64.b64encode(zlib.compress(answered(p))) + b"'\n",
    ),
    "gzip behind a header": ("a.bin", lambda p: b"HEAD\0\1" + gzip.compress(answered(p))),
    "a PNG's colour profile": (
        "figure.png",
        lambda p: picture(chunk(b"iCCP", b"profile\0\0" + zlib.compress(answered(p)))),
    ),
    "a PNG's chunk of one's own": (
        "figure.png",
        lambda p: picture(chunk(b"prVt", zlib.compress(answered(p)))),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_answers_are_found_in_any_format(task: str, name: str, counts: Planted, classes: Planted) -> None:
    """Each format is taken apart, or read for what it may be."""
    planted = counts if task == "regression" else classes
    file, make = PLANTED[name]
    leaks = leaks_of(planted, **{file.replace(".", "_"): make(planted)})

    assert {leak.path.partition("!")[0] for leak in leaks} == {file}, leaks


def test_the_same_formats_without_answers_are_not_suspected(counts: Planted, classes: Planted) -> None:
    """With the training rows' ids and targets in them, or numbers of chance."""
    chance = np.random.default_rng(5)
    for planted in (counts, classes):
        ids = [int(each) for each in planted.data.train_ids]
        rows = list(zip(ids, planted.data.train_targets.astype(int).tolist(), strict=True))
        words = [f"word{each}" for each in chance.integers(0, 5, TESTED)]
        honest = {
            "a_xlsx": zipped(sheet(rows), "xl/worksheets/sheet1.xml"),
            "a_svg": f"<svg><path d='{' '.join(f'L {i} {a}' for i, a in rows)}'/></svg>".encode(),
            "a_yaml": "".join(f"- id: {i}\n  y: {a}\n" for i, a in rows).encode(),
            "a_csv": "".join(f"{i};{a},50\n" for i, a in rows).encode(),
            "words_txt": "\n".join(words).encode(),
            "model_py": f"WORDS = {words}\nDIGITS = '{'0123456789' * 30}'\n".encode(),
            "a_pkl": pickle.dumps({str(i): a for i, a in rows}, protocol=2),
            "old_pkl": pickle.dumps([a for _, a in rows], protocol=0),
            "file_pkl": pickle.dumps(gzip.compress(json.dumps(rows).encode())),
            "names_npy": structured(rows),
            "objects_npy": objects(rows),
            "six_bin": chance.normal(size=6 * TESTED).astype("<f4").tobytes(),
            "sentence_txt": b"(which is no pickle.",
            "figure_png": picture(chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(200)))),
        }

        assert leaks_of(planted, **honest) == []


def test_an_encrypted_archive_is_refused(counts: Planted) -> None:
    """Nobody can tell what is in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "1,2\n")
    content = bytearray(packed.getvalue())
    content[content.index(b"PK\x01\x02") + 8] |= 1

    assert ["encrypted" in leak.what for leak in leaks_of(counts, a_zip=bytes(content))] == [True]
