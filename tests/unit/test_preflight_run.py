"""A preflight with guests that play their part without torch: what they are given, and what is told."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from harness.host.data import load_data
from harness.host.errors import UsageError
from harness.host.grading import allowed_device
from harness.host.preflight.document import CheckDocument, check_document
from harness.host.preflight.page import NOTHING, is_clean, render
from harness.host.preflight.run import UNLABELLED_ROWS, CheckOrder, check
from harness.host.records import Place, Usage
from harness.protocol import Message, Outcome, Phase
from tests.fake_backend import NOTHING_USED, FakeBackend
from tests.scripted_guest import Wire
from tests.toy_guests import READY, order

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.preflight.records import Checked
    from tests.fake_guest import Guest

Play = Callable[[Wire, Message], None]

MEASURED = {
    "setup_seconds": 0.5,
    "epoch_seconds": 0.01,
    "row_seconds": 0.001,
    "epochs_timed": 2.0,
    "weights_bytes": 4000,
    "memory_bytes": 100 << 20,
}
FROZEN = {
    "code": "frozen_parameters",
    "numbers": {"count": 1, "numbers": 8, "of": 16},
    "names": ["layer.weight"],
    "place": ["model.py", 6],
    "text": "",
}


def reporting(
    *found: Any, log: bytes = b"", outcome: str = "ok", measured: Mapping[str, float] = MEASURED
) -> Play:
    """A guest that says that it has seen this."""
    whole = {"findings": list(found), "skipped": [], "measured": {**MEASURED, **measured}}
    blobs = {"payload": json.dumps(whole).encode(), "log": log}
    return lambda wire, _: wire.say(Message("result", {"outcome": outcome, "message": "it raised"}, blobs))


def checked(
    play: Play, *, usage: Usage = NOTHING_USED, submission: Path | None = None, seconds: float = 30.0
) -> tuple[Checked, FakeBackend, list[Message]]:
    """What comes of a submission whose guest plays this, and the jobs that it was given."""
    jobs: list[Message] = []

    def guest(guest: Guest) -> None:
        wire = Wire(guest)
        wire.code()
        wire.say(READY)
        jobs.append(wire.hear())
        play(wire, jobs[-1])

    backend, toy = FakeBackend(guest, usage=usage), order()
    asked = CheckOrder(toy.assignment, submission or toy.submission, "cpu", "a test", seconds=(2.0, seconds))
    return check(asked, backend), backend, jobs


def shown(told: Checked, width: int = 100) -> str:
    """What the terminal shows of it."""
    out = StringIO()
    render(told, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def test_a_submission_without_a_finding_is_clean() -> None:
    """It says so, and what the whole training would take: the set-up, and each of the epochs."""
    told, backend, _ = checked(reporting())
    projection = told.projection

    assert is_clean(told)
    assert projection is not None
    assert projection.train_seconds == pytest.approx(0.5 + 120 * 0.01)
    assert projection.predict_seconds == pytest.approx(0.5 + 84 * 0.001)
    assert NOTHING in shown(told)
    assert "about 1.7 s" in shown(told)
    assert "estimate" in shown(told)
    assert all(sandbox.killed for sandbox in backend.opened)
    assert len(backend.opened) == 1


def test_the_sandbox_is_given_training_rows_and_nothing_hidden() -> None:
    """One sandbox, with the limits of the training; neither test inputs nor anything of the reference."""
    _, backend, (job,) = checked(reporting())
    assignment = order().assignment

    assert job.fields["phase"] == Phase.CHECK
    assert set(job.blobs) == {"code", "inputs", "targets", "valid_rows"}
    assert job.blobs["inputs"] == load_data(assignment).train_inputs.tobytes()
    assert (job.fields["seconds"], job.fields["valid_rows"]) == (2.0, 24)
    assert [rows for rows, _ in job.fields["predicted"]] == [84, 84]
    assert backend.asked[0].memory_bytes == assignment.limits.memory_mb << 20


def test_a_data_set_of_the_students_is_tried_without_targets(tmp_path: Path) -> None:
    """It gets the training file, and a file of some training rows as the test file is written."""
    folder = tmp_path / "submission"
    shutil.copytree(order().submission, folder)
    (folder / "rows.py").write_text("class MyDataset: ...\n")
    _, _, (job,) = checked(reporting(), submission=folder)
    header, *rows = csv.reader(io.StringIO(bytes(job.blobs["unlabelled"]).decode()))

    assert header == ["id", "x1", "x2", "x3", "x4"]
    assert len(rows) == job.fields["unlabelled_rows"] == UNLABELLED_ROWS
    assert job.blobs["csv"] == order().assignment.train_path.read_bytes()


def test_a_finding_is_told_with_its_place_and_a_hint() -> None:
    """What, where and what to do; then nothing is called clean."""
    told, _, _ = checked(reporting(FROZEN))
    page = shown(told)

    assert not is_clean(told)
    assert [(said.code, said.place) for said in told.found] == [("frozen_parameters", Place("model.py", 6))]
    assert "✗ frozen parameters  model.py:6" in page
    assert "8 of 16 numbers" in page
    assert "Hint: remove requires_grad" in page
    assert NOTHING not in page


@pytest.mark.parametrize(
    ("usage", "measured", "code"),
    [
        (NOTHING_USED, {"epoch_seconds": 0.1}, "trains_too_slowly"),
        (NOTHING_USED, {"row_seconds": 0.1}, "predicts_too_slowly"),
        (NOTHING_USED, {"weights_bytes": 5 << 20}, "weights_too_large"),
        (NOTHING_USED, {"memory_bytes": 690 << 20}, "too_much_memory"),
        (Usage(peak_memory_bytes=690 << 20), {}, "too_much_memory"),
    ],
)
def test_a_limit_that_would_be_reached_is_a_finding(
    usage: Usage, measured: dict[str, float], code: str
) -> None:
    """With the estimate and the limit, in numbers."""
    told, _, _ = checked(reporting(measured=measured), usage=usage)

    assert [said.code for said in told.found] == [code]
    assert "limit" in told.found[0].message


def test_the_kernels_count_of_memory_is_believed_before_a_claim() -> None:
    """A claim is taken only where the sandbox cannot tell."""
    told, _, _ = checked(
        reporting(measured={"memory_bytes": 1 << 40}), usage=Usage(peak_memory_bytes=50 << 20)
    )

    assert told.found == ()
    assert told.projection is not None
    assert told.projection.memory_bytes == 50 << 20


def test_memory_of_a_gpu_is_shown_where_there_is_one() -> None:
    """It has no limit, so there is nothing to complain about."""
    told, _, _ = checked(reporting(measured={"gpu_bytes": 3 << 30}))

    assert "GPU memory    3.0 GiB" in shown(told)
    assert "GPU memory" not in shown(checked(reporting())[0])
    assert is_clean(told)


def test_epochs_that_would_fit_are_named() -> None:
    """Sixty times too slow: the hint says how many epochs are within the limit."""
    told, _, _ = checked(reporting(measured={"epoch_seconds": 1.0}))

    assert "120 epochs would take about 2 min 00 s; the limit is 6.0 s" in told.found[0].message
    assert "set epochs to 4 or fewer" in told.found[0].hint


def test_what_was_seen_before_an_end_is_told_too() -> None:
    """The outcome is the sandbox's end, and the findings before it are no less true."""
    told, _, _ = checked(reporting(FROZEN, outcome="runtime_error", log=b"a\x1b[2Jlog\n"))
    page = shown(told)

    assert (told.outcome, told.result.phase) == (Outcome.RUNTIME_ERROR, Phase.CHECK)
    assert [said.code for said in told.found] == ["frozen_parameters"]
    assert "it raised" in page
    assert r"a\x1b[2Jlog" in page


@pytest.mark.parametrize("junk", [b"", b"[]", b"\xff", b"{}"])
def test_a_payload_of_another_form_is_never_clean(junk: bytes) -> None:
    """A claim to be ok without a report is an outcome of its own."""
    told, _, _ = checked(lambda wire, _: wire.say(Message("result", {"outcome": "ok"}, {"payload": junk})))

    assert told.outcome is Outcome.RUNTIME_ERROR
    assert "not what a check reports" in told.result.message
    assert not is_clean(told)


def test_a_check_without_an_end_is_stopped() -> None:
    """The host's clock decides, and the words are those of a check."""
    told, _, _ = checked(lambda wire, _: wire.hang())

    assert told.outcome is Outcome.TIME_LIMIT
    assert "the limit of 30 s was reached before the check was done" in shown(told)


def test_a_limit_of_the_sandbox_is_the_outcome() -> None:
    """What the kernel counted decides over what was not said."""
    told, _, _ = checked(lambda _, __: None, usage=Usage(out_of_memory=1))

    assert told.outcome is Outcome.MEMORY_LIMIT


def test_claims_of_epochs_are_not_part_of_a_check() -> None:
    """Nothing but a result is expected of the guest's supervisor once its job is done."""
    play = reporting()

    def chatty(wire: Wire, job: Message) -> None:
        for _ in range(121):  # one more than the config has epochs
            wire.say(Message("epoch", {"train_loss": 1, "valid_loss": 1, "seconds": 1}))
        play(wire, job)

    told, _, _ = checked(chatty)
    assert told.outcome is Outcome.OUTPUT_LIMIT


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config.toml": "epochs = 3\n"}, "model.py"),
        ({"model.py": "", "config.toml": "epochs = many\n"}, "config.toml"),
        ({"model.py": "", "config.toml": "epoch = 3\n"}, "epoch"),
    ],
)
def test_a_submission_that_cannot_be_read_opens_no_sandbox(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    """It is an outcome, in the same words as a grading's."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    told, backend, _ = checked(reporting(), submission=tmp_path)

    assert told.outcome is Outcome.INVALID_SUBMISSION
    assert message in shown(told)
    assert backend.asked == []


def test_a_notebooks_finding_names_its_cell(tmp_path: Path) -> None:
    """A line of the code that was made of it is shown as the line of a cell."""
    config = "config = {'assignment': 'toy', 'n_epochs': 3, 'learning_rate': 0.1}"
    model = order().submission.joinpath("model.py").read_text().splitlines(keepends=True)
    cells = [{"cell_type": "code", "source": source, "metadata": {}} for source in ([config], model)]
    file = tmp_path / "mine.ipynb"
    file.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))

    def play(wire: Wire, job: Message) -> None:
        name, size = job.fields["files"][-1]
        assert name == "model.py"
        lines = bytes(job.blobs["code"])[-size:].decode().splitlines()
        line = next(number for number, line in enumerate(lines, start=1) if "def forward" in line)
        reporting({**FROZEN, "place": ["model.py", line]})(wire, job)

    told, _, _ = checked(play, submission=file)
    assert told.found[0].place == Place("mine.ipynb:cell 2", 9)


def test_hostile_text_is_inert_wherever_it_is_shown() -> None:
    """Names, texts, places and the log come out escaped, behind a gutter or in a later column."""
    evil = "\x1b[31m::error::\u202eevil"
    claims = [
        {**FROZEN, "names": [evil], "place": [f"::set-output {evil}", 3]},
        {"code": "last_batch", "numbers": {"size": 1}, "text": f"\n::error::{evil}\n##[error]"},
        {"code": "nan_in_forward", "numbers": {"zeros": 1, "negatives": 0}, "text": f"log\n{NOTHING}"},
        {"code": "\x1b[31m", "text": "unknown"},
    ]
    told, _, _ = checked(reporting(*claims, log=f"\n\n{NOTHING}\n::error::{evil}".encode()))
    for width in (40, 80, 100):
        lines = shown(told, width).splitlines()
        assert all(line.isprintable() for line in lines)
        assert not any(line.lstrip().startswith("::") or "##[" in line for line in lines)
        assert NOTHING not in [line.strip() for line in lines]
        assert max(map(len, lines)) <= width


def test_numbers_out_of_all_proportion_are_told_or_ignored() -> None:
    """A forged measurement makes no sentence that is longer, and no error."""
    huge = dict.fromkeys(MEASURED, 1e29)
    told, _, _ = checked(reporting(measured=huge))

    assert {"trains_too_slowly", "weights_too_large"} <= {said.code for said in told.found}
    assert max(map(len, shown(told).splitlines())) <= 100


def test_the_document_has_the_whole_of_it() -> None:
    """``harness/check/v1``: what a program needs, finite, and closed against further keys."""
    told, _, _ = checked(reporting(FROZEN), usage=Usage(peak_memory_bytes=1 << 20))
    document = check_document(told)

    assert document["schema"] == "harness/check/v1"
    assert document["findings"][0]["place"] == {"file": "model.py", "line": 6}
    assert document["projection"]["epochs"] == 120
    assert (document["outcome"], document["phase"]) == ("ok", None)
    json.dumps(document, allow_nan=False)
    assert set(CheckDocument.model_json_schema()["properties"]) == set(document)
    nothing = replace(told, projection=None, found=(), result=replace(told.result, seconds=math.inf))
    assert check_document(nothing)["seconds"] is None


def test_a_gpu_is_for_assignments_that_allow_one() -> None:
    """As in a grading: asked for by name it is refused, and ``auto`` is a processor."""
    assignment = order().assignment
    with_gpu = assignment.model_copy(update={"limits": assignment.limits.model_copy(update={"gpu": True})})

    assert allowed_device(assignment, "auto") == "cpu"
    assert allowed_device(with_gpu, "auto") == "auto"
    with pytest.raises(UsageError, match="allows no GPU"):
        allowed_device(assignment, "cuda")
