"""What goes to workers and back: it comes out as it went in, and nothing of the reference is in it."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import shutil
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.host.assignment import load_assignment
from harness.host.config import parse_config
from harness.host.edition import HARNESS, edition
from harness.host.execution import Execution
from harness.host.grade import Order, read
from harness.host.parcel import (
    Answer,
    Fault,
    Parcel,
    ParcelError,
    Stopped,
    digest_of,
    pack_answer,
    pack_rows,
    pack_work,
    unpack_answer,
    unpack_rows,
    unpack_work,
)
from harness.host.phases import Material, prepare
from harness.host.records import Environment, EpochClaim, PhaseResult, Place, Usage
from harness.host.work import Work
from harness.protocol import MAGIC, PREFIX, Outcome, Phase, encode
from tests.toy_guests import COURSE, GALLERY, order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.verdict import Job

WHERE = Environment(
    "bubblewrap", isolated=True, device="cpu", reason="a test", torch="2.13.0", python="3.11.2"
)


def material_of(wanted: Order) -> Material:
    """What the work of an order is made from."""
    submission = read(wanted)
    config = parse_config(submission.config, wanted.assignment)
    return prepare(wanted.assignment, submission, config, wanted.reference, wanted.device)


def packed(material: Material, device: str = "cpu") -> tuple[bytes, bytes]:
    """The rows and the work as they are sent."""
    rows = pack_rows(material.rows)
    return rows, pack_work(Parcel("run1", "auto", device, "runsc", digest_of(rows), material.plan))


def same(one: Job, other: Job) -> bool:
    """Whether a sandbox would be told the same."""
    return (
        b"".join(encode(one.message())) == b"".join(encode(other.message())) and one.seconds == other.seconds
    )


@pytest.fixture
def own_data_set(tmp_path: Path) -> Path:
    """A submission whose sandboxes are given the CSV as well."""
    folder = shutil.copytree(GALLERY / "honest-good" / "submission", tmp_path / "submission")
    (folder / "rows.py").write_text("class MyDataset: ...\n")
    return folder


@pytest.mark.parametrize("has_csv", [False, True])
def test_worker_makes_the_jobs_that_the_host_would_make(own_data_set: Path, *, has_csv: bool) -> None:
    """Bit for bit: the training, and both predictions with the weights that came out of it."""
    material = material_of(order(own_data_set) if has_csv else order())
    rows, work = packed(material, device="cuda")

    came = unpack_work(work)
    theirs, own = Work(came.plan, unpack_rows(rows)), Work(material.plan, material.rows)

    assert same(theirs.training_job(), own.training_job())
    for again in (False, True):
        assert same(theirs.prediction_job(b"w", again=again), own.prediction_job(b"w", again=again))
    assert ("csv" in own.training_job().blobs) == has_csv
    assert came.plan.limits == material.assignment.limits
    assert (came.run_id, came.sandbox, came.device, came.runtime) == ("run1", "auto", "cuda", "runsc")
    assert came.rows == digest_of(rows)


def test_what_is_sent_again_and_again_is_small() -> None:
    """The rows are sent once; of each submission only what is its own."""
    rows, work = packed(material_of(order()))
    assert len(work) < len(rows)
    submission = read(order())
    assert len(work) < sum(map(len, submission.files.values())) + 3000


PHASES = (
    PhaseResult(
        Outcome.OK,
        Phase.TRAIN,
        payload=b"weights",
        epochs=(EpochClaim(1, 0.1, math.pi, 0.25), EpochClaim(2, 1e300, 5e-324, 0.0)),
        best_epoch=2,
        log="an \x1b[31mepoch\n",
        seconds=1.5,
        usage=Usage(cpu_seconds=1.25, peak_memory_bytes=1 << 33, out_of_memory=0, processes_refused=2),
    ),
    PhaseResult(
        Outcome.RUNTIME_ERROR,
        Phase.PREDICT,
        message="no such \ud800 layer",
        hint="hint",
        place=Place("modèle.py", 7),
        seconds=0.5,
    ),
)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Execution({"torch": "2.13.0"}, PHASES[:1], PHASES[0]), WHERE, 3.25),
        Answer(Execution({}, PHASES), WHERE, 0.0),
        Fault("the disk is full", "make room"),
        Stopped(),
    ],
    ids=["well", "badly", "a fault", "stopped"],
)
def test_answer_comes_back_as_it_was(answer: Answer | Fault | Stopped) -> None:
    """Every figure to its last bit, every text as it was written."""
    assert unpack_answer(pack_answer(answer)) == answer


def test_losses_that_are_no_numbers_come_back() -> None:
    """JSON has no NaN and no infinity, and a curve may have both."""
    claims = (EpochClaim(1, math.nan, math.inf, 0.0),)
    failed = dataclasses.replace(PHASES[0], outcome=Outcome.DIVERGED, epochs=claims)
    came = unpack_answer(pack_answer(Answer(Execution({}, (failed,)), WHERE, 1.0)))
    assert isinstance(came, Answer)
    (claim,) = came.execution.results[0].epochs
    assert math.isnan(claim.train_loss)
    assert claim.valid_loss == math.inf


ANSWER_SENTINEL, INPUT_SENTINEL = 7340031.6875, 0.7340031
KEY_SENTINEL = "a7d1c39e5b24f8806e913d7752ca40bf1f68e2395dab7c04931ee5d6b8027f4c"


def forms_of(value: float) -> list[bytes]:
    """A number as it could stand in bytes."""
    texts = [repr(value), f"{value:g}", f"{value:.4f}"]
    return [
        *(text.encode() for text in texts),
        *(struct.pack(form, value) for form in ("<f", "<d", ">f", ">d")),
    ]


def test_nothing_of_the_reference_is_sent(tmp_path: Path, own_data_set: Path) -> None:
    """No answer, no test id and no key of the split is in the bytes; an input, which has to be, is found."""
    course = shutil.copytree(COURSE, tmp_path / "course")
    answers = course / "reference" / "toy" / "answers.csv"
    head, *lines = answers.read_text().splitlines()
    test_ids = [line.partition(",")[0] for line in lines]
    answers.write_text("\n".join([head, *(f"{each},{ANSWER_SENTINEL}" for each in test_ids)]) + "\n")
    reference = course / "reference" / "toy"
    (reference / "reference.toml").write_text(f'answers = "answers.csv"\nsplit_key = "{KEY_SENTINEL}"\n')
    test_file = course / "assignments" / "toy" / "data" / "test.csv"
    head, first, *others = test_file.read_text().splitlines()
    first = ",".join([first.split(",")[0], repr(INPUT_SENTINEL), *first.split(",")[2:]])
    test_file.write_text("\n".join([head, first, *others]) + "\n")
    assignment = load_assignment(course / "assignments" / "toy")

    material = material_of(Order(assignment, own_data_set, reference, "cpu", "a test"))
    assert material.reference is not None
    assert material.reference.answers[0] == ANSWER_SENTINEL
    sent = b"".join(packed(material))

    key = bytes.fromhex(KEY_SENTINEL)
    of_the_key = [KEY_SENTINEL.encode(), key, key[::-1], base64.b64encode(key)]
    assert not [form for form in (*forms_of(ANSWER_SENTINEL), *of_the_key) if form in sent]
    assert not [each for each in test_ids if each.encode() in sent]
    assert struct.pack("<f", INPUT_SENTINEL) in sent


def changed(parcel: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A parcel with another header."""
    _, length = PREFIX.unpack(parcel[: PREFIX.size])
    header = json.loads(parcel[PREFIX.size : PREFIX.size + length])
    change(header["fields"])
    kept = parcel[PREFIX.size + length :]
    text = json.dumps(header).encode()
    return PREFIX.pack(MAGIC, len(text)) + text + kept


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (HARNESS, "harness is 0123 there"),
        ("torch", "torch is 0123 there"),
        ("Python", "Python is 0123 there"),
    ],
)
def test_parcel_of_another_edition_is_refused(name: str, said: str) -> None:
    """Whatever differs is named with both versions, and nothing else of it is looked at."""
    rows, work = packed(material_of(order()))
    unpacks: list[tuple[Callable[[bytes], object], bytes]] = [
        (unpack_rows, rows),
        (unpack_work, work),
        (unpack_answer, pack_answer(Stopped())),
    ]
    for unpack, parcel in unpacks:
        other = changed(parcel, lambda fields: fields["edition"].update({name: "0123"}))
        with pytest.raises(ParcelError, match=said) as caught:
            unpack(other)
        assert edition()[name] in caught.value.message
        assert "install the same harness" in caught.value.fix


def test_parcel_without_an_edition_is_refused() -> None:
    """What does not say what it is may be anything."""
    parcel = changed(pack_answer(Stopped()), lambda fields: fields.pop("edition"))
    with pytest.raises(ParcelError, match="harness is not known there"):
        unpack_answer(parcel)


def test_bytes_that_are_no_parcel_are_refused() -> None:
    """Cut off, something else, or a parcel of another kind."""
    rows, work = packed(material_of(order()))
    for parcel, said in [
        (work[:-1], "it is cut off"),
        (b"", "it is cut off"),
        (b"\x80\x04K\x01." * 9, "not a message"),
        (rows, "'rows' and not work"),
    ]:
        with pytest.raises(ParcelError, match=said):
            unpack_work(parcel)
    objects = changed(rows, lambda fields: fields["arrays"]["train_inputs"].__setitem__(0, "|O"))
    with pytest.raises(ParcelError, match="none of <f4"):
        unpack_rows(objects)


def test_rows_with_class_numbers_keep_their_type() -> None:
    """A classification's targets are whole numbers, and the names of its columns may be many."""
    rows = material_of(order()).rows
    classes = np.arange(len(rows.train_targets), dtype=np.int64)
    names = tuple(f"a column with a long name, {number}" for number in range(50_000))
    came = unpack_rows(pack_rows(dataclasses.replace(rows, train_targets=classes, features=names)))
    assert came.train_targets.dtype == np.int64
    assert np.array_equal(came.train_targets, classes)
    assert came.features == names
