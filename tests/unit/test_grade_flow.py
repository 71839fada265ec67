"""The main flow, with guests that play their part without torch: what is done in which order, and the run."""

from __future__ import annotations

import csv
import io
import shutil
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.host.data import load_data
from harness.host.grade import grade
from harness.host.guest_code import guest_bundle, guest_command
from harness.host.records import Usage
from harness.host.report.live import SilentProgress
from harness.protocol import Message, Outcome, Phase
from tests.fake_backend import NOTHING_USED, FakeBackend
from tests.toy_guests import (
    EPOCHS,
    FAILED,
    TEST_ROWS,
    TRAINED,
    TRAINING_ROWS,
    VALIDATION_ROWS,
    WEIGHTS,
    Cast,
    Play,
    Stage,
    fail,
    heights,
    inputs,
    order,
    predict_well,
    predicted,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.host.records import Run
    from tests.scripted_guest import Wire


def fail_after_an_epoch(wire: Wire, _: Message) -> None:
    """The student's code raises when the sandboxes for testing are warming up already."""
    wire.say(EPOCHS[0], FAILED)


def graded(cast: Cast, usage: Usage = NOTHING_USED) -> tuple[Run, FakeBackend]:
    """The run that such guests lead to; nothing of it is left."""
    backend = FakeBackend(cast, usage=usage)
    _, run = grade(order(), backend, SilentProgress())
    assert all(sandbox.killed for sandbox in backend.opened)
    return run, backend


def test_honest_run_is_scored() -> None:
    """What came out is put back into the assignment's order and scored on every split."""
    backend, stage = FakeBackend(Cast(), usage=Usage(cpu_seconds=3.0, peak_memory_bytes=5 << 20)), Stage()
    submission, run = grade(order(), backend, stage)

    assert submission is not None
    assert (run.outcome, run.phase, run.message, run.finding) == (Outcome.OK, None, "", "")
    splits = [split for split in (run.score.validation, run.score.public, run.score.private) if split]
    assert len(splits) == 3
    assert all(split.value < 0.2 for split in splits)
    assert splits[0].rows == VALIDATION_ROWS
    assert splits[1].rows + splits[2].rows == TEST_ROWS
    assert run.score.chance == pytest.approx(load_data(order().assignment).train_targets.std(), rel=1e-6)
    assert all(baseline.public and baseline.private for baseline in run.baselines)
    assert [claim.valid_loss for claim in run.epochs] == [5.0, 2.5]
    assert (run.best_epoch, run.log) == (2, "learning\npredicting\n")
    assert (run.runtime.cpu_seconds, run.runtime.peak_memory_bytes) == (0.0, 5 << 20)
    assert (run.environment.sandbox, run.environment.isolated) == ("fake", False)
    assert (run.environment.torch, run.environment.python) == ("2.13.0", "3.11.2")
    assert stage.told == ["train", "epoch 1 of 120", "epoch 2 of 120", "predict", "finish"]


def test_without_a_reference_the_validation_rows_are_scored() -> None:
    """A student's copy has no answers, and the run says no less of the rest."""
    _, run = grade(order(reference="nowhere"), FakeBackend(Cast()), SilentProgress())

    assert run.outcome is Outcome.OK
    assert run.score.validation is not None
    assert (run.score.public, run.score.private) == (None, None)


def test_each_phase_is_given_what_it_needs_and_no_more() -> None:
    """Training gets no test inputs, prediction no targets, and only the weights pass between them."""
    cast = Cast()
    _, backend = graded(cast)

    assert cast.code == [guest_bundle()] * 3
    assert [spec.command for spec in backend.asked] == [guest_command()] * 3
    assert len({spec.run_id for spec in backend.asked}) == 1
    training, first, second = cast.jobs
    assert [job.fields["phase"] for job in cast.jobs] == [Phase.TRAIN, Phase.PREDICT, Phase.PREDICT]
    assert set(training.blobs) == {"code", "inputs", "targets", "valid_rows"}
    assert training.fields["rows"] == TRAINING_ROWS
    for job in (first, second):
        assert set(job.blobs) == {"code", "inputs", "weights"}
        assert job.blobs["weights"] == WEIGHTS
        assert job.fields["rows"] == TEST_ROWS + VALIDATION_ROWS
    assert first.fields["batch_size"] != second.fields["batch_size"]
    one, other = inputs(first), inputs(second)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.unique(one, axis=0), np.unique(other, axis=0))


def test_submission_that_names_a_data_set_is_given_the_csv(tmp_path: Path) -> None:
    """Wherever in its files it does; the test rows are there in the order of the inputs, without targets."""
    submission = tmp_path / "submission"
    shutil.copytree(order().submission, submission)
    (submission / "rows.py").write_text("class MyDataset: ...\n")
    cast = Cast()
    grade(order(submission), FakeBackend(cast), SilentProgress())

    assignment = order().assignment
    training, *predictions = cast.jobs
    assert training.blobs["csv"] == assignment.train_path.read_bytes()
    for job in predictions:
        header, *rows = csv.reader(io.StringIO(bytes(job.blobs["csv"]).decode()))
        assert assignment.data.target not in header
        numbers = np.array([row[1:] for row in rows], dtype=np.float32)
        assert np.array_equal(numbers, inputs(job).reshape(numbers.shape))


@pytest.mark.parametrize(("train", "sandboxes"), [(fail, 1), (fail_after_an_epoch, 3)])
def test_training_that_fails_is_not_followed_by_a_prediction(train: Play, sandboxes: int) -> None:
    """The outcome is the training's, in the student's words, and nothing is scored."""
    cast = Cast(train)
    run, backend = graded(cast)

    assert (run.outcome, run.phase, run.message) == (Outcome.RUNTIME_ERROR, Phase.TRAIN, "no such layer")
    assert run.place is not None
    assert (run.place.file, run.place.line) == ("model.py", 7)
    assert (run.predictions, run.score.validation) == (None, None)
    assert len(cast.jobs) == 1
    # What is not open yet when the training has failed is not opened any more.
    assert len(backend.opened) <= sandboxes


def test_training_over_its_time_is_stopped() -> None:
    """The host's clock decides, and what was reached is reported."""

    def train(wire: Wire, _: Message) -> None:
        wire.say(*EPOCHS)
        wire.hang()

    run, _ = graded(Cast(train))

    assert (run.outcome, run.phase) == (Outcome.TIME_LIMIT, Phase.TRAIN)
    assert "after 2 of 120 epochs" in run.message
    assert len(run.epochs) == 2


def test_limit_that_was_reached_names_itself() -> None:
    """A sandbox that went without a word is judged by what its backend counted."""
    run, _ = graded(Cast(lambda _, __: None), usage=Usage(out_of_memory=1))

    assert (run.outcome, run.phase) == (Outcome.MEMORY_LIMIT, Phase.TRAIN)


def test_first_prediction_that_fails_is_the_outcome() -> None:
    """The curve of the training stays, nothing is scored, and no second prediction is asked for."""
    cast = Cast(predict=fail)
    run, _ = graded(cast)

    assert (run.outcome, run.phase, run.message) == (Outcome.RUNTIME_ERROR, Phase.PREDICT, "no such layer")
    assert (len(run.epochs), run.best_epoch) == (2, 2)
    assert run.score.validation is None
    assert len(cast.jobs) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda rows: rows[1:], "1 row too few", id="a row less"),
        pytest.param(lambda rows: np.append(rows, rows[:1]), "1 row too many", id="a row more"),
        pytest.param(lambda rows: rows * np.float32("nan"), "84 NaN", id="no numbers"),
        pytest.param(lambda rows: rows[:0], "0 rows came", id="nothing"),
    ],
)
def test_predictions_that_are_no_predictions(
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]], message: str
) -> None:
    """Exactly one finite number for each row is scored, and anything else is said to be wrong."""
    run, _ = graded(Cast(predict=lambda wire, job: wire.say(predicted(change(heights(job))))))

    assert (run.outcome, run.phase) == (Outcome.INVALID_PREDICTIONS, Phase.PREDICT)
    assert message in run.message
    assert (run.predictions, run.score.public) == (None, None)


def of_the_second(play: Play) -> Play:
    """Predict well the first time, and play this the second time."""
    plays = iter([predict_well, play])

    def predict(wire: Wire, job: Message) -> None:
        next(plays)(wire, job)

    return predict


@pytest.mark.parametrize(
    ("play", "finding"),
    [
        pytest.param(
            lambda wire, job: wire.say(predicted(heights(job) + np.float32(0.1))),
            "60 of 60 test rows got another value",
            id="other numbers",
        ),
        pytest.param(fail, "ended with runtime_error", id="a failure"),
        pytest.param(lambda wire, _: wire.hang(), "ended with time_limit", id="no end"),
        pytest.param(
            lambda wire, job: wire.say(predicted(heights(job)[1:])),
            "ended with invalid_predictions",
            id="a row less",
        ),
    ],
)
def test_second_prediction_that_differs_is_a_finding(play: Play, finding: str) -> None:
    """It does not change the outcome, the score or the log, which are the first one's."""
    run, _ = graded(Cast(predict=of_the_second(play)))

    assert finding in run.finding
    assert run.outcome is Outcome.OK
    assert run.score.public is not None
    assert run.score.public.value < 0.2
    assert run.log == "learning\npredicting\n"


def test_test_sandboxes_get_ready_between_the_first_epoch_and_the_last() -> None:
    """Not before, since most of what fails has failed by then; not after, since the training is the wait."""
    seen: list[int] = []

    def train(wire: Wire, _: Message) -> None:
        seen.append(len(backend.opened))
        wire.say(EPOCHS[0])
        until = time.monotonic() + 10
        while len(cast.code) < 3 and time.monotonic() < until:
            time.sleep(0.001)
        seen.append(len(cast.code))
        wire.say(EPOCHS[1], TRAINED)

    cast = Cast(train)
    backend = FakeBackend(cast)
    _, run = grade(order(), backend, SilentProgress())

    assert run.outcome is Outcome.OK
    assert seen == [1, 3]


def test_test_sandboxes_give_way_to_the_training() -> None:
    """The training, which is timed, never has a low priority; the others have it until they are needed."""
    _, backend = graded(Cast())

    assert [spec.low_priority for spec in backend.asked] == [False, True, True]
    assert all(sandbox.priority_raised for sandbox in backend.opened[1:])


def test_training_without_an_epoch_can_still_be_predicted_with() -> None:
    """The test sandboxes are opened at the latest when they are needed."""
    run, backend = graded(Cast(lambda wire, _: wire.say(TRAINED)))

    assert run.outcome is Outcome.OK
    assert len(backend.opened) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"config.toml": "epochs = 3\n"}, "model.py", id="no model"),
        pytest.param({"model.py": "", "config.toml": "epochs = many\n"}, "config.toml", id="no TOML"),
        pytest.param({"model.py": "", "config.toml": "epoch = 3\n"}, "epoch", id="an unknown key"),
    ],
)
def test_submission_that_cannot_be_read_opens_no_sandbox(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    """It is a run with an outcome, in the submission's phase."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    backend, stage = FakeBackend(Cast()), Stage()
    _, run = grade(order(tmp_path), backend, stage)

    assert (run.outcome, run.phase) == (Outcome.INVALID_SUBMISSION, Phase.SUBMISSION)
    assert message in run.message
    assert backend.asked == []
    assert stage.told == ["finish"]
