"""Guests for the gallery's assignment ``toy`` that train and predict without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.host.assignment import load_assignment
from harness.host.grade import Order
from harness.host.report.live import SilentProgress
from harness.protocol import Message, Phase
from tests.scripted_guest import Wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.host.records import EpochClaim
    from tests.fake_guest import Guest

Play = Callable[[Wire, Message], None]

GALLERY = Path(__file__).parent / "gallery"
COURSE = GALLERY / "course"
TRAINING_ROWS, TEST_ROWS, VALIDATION_ROWS = 120, 60, 24
WEIGHTS = b"opaque"
READY = Message("ready", {"torch": "2.13.0", "python": "3.11.2"})
EPOCHS = [
    Message("epoch", {"epoch": epoch, "train_loss": 4.0 / epoch, "valid_loss": 5.0 / epoch, "seconds": 0.5})
    for epoch in (1, 2)
]
TRAINED = Message("result", {"outcome": "ok", "best_epoch": 2}, {"payload": WEIGHTS, "log": b"learning\n"})
FAILED = Message(
    "result", {"outcome": "runtime_error", "message": "no such layer", "file": "model.py", "line": 7}
)


def inputs(job: Message) -> NDArray[np.float32]:
    """The rows of a job, (rows, 4)."""
    return np.frombuffer(job.blobs["inputs"], np.float32).reshape(job.fields["rows"], 4)


def heights(job: Message) -> NDArray[np.float32]:
    """What a very good model would predict for them, (rows,)."""
    a, b, c, d = inputs(job).T
    heights: NDArray[np.float32] = 2 * a + 3 * np.abs(b) - 2 * c * d + np.sin(3 * d)
    return heights


def predicted(values: NDArray[np.float32]) -> Message:
    """The result of a prediction."""
    return Message("result", {"outcome": "ok"}, {"payload": values.tobytes(), "log": b"predicting\n"})


def train_well(wire: Wire, _: Message) -> None:
    """Two epochs and the weights."""
    wire.say(*EPOCHS, TRAINED)


def predict_well(wire: Wire, job: Message) -> None:
    """One number for each row."""
    wire.say(predicted(heights(job)))


def fail(wire: Wire, _: Message) -> None:
    """The student's code raises."""
    wire.say(FAILED)


class Cast:
    """The guests of one run: in each sandbox one that gets ready, hears its job and plays it.

    Attributes:
        jobs: the jobs that came, with the training first.
        code: what came before them.
    """

    def __init__(self, train: Play = train_well, predict: Play = predict_well) -> None:
        self._plays = {Phase.TRAIN: train, Phase.PREDICT: predict}
        self.jobs: list[Message] = []
        self.code: list[bytes] = []

    def __call__(self, guest: Guest) -> None:
        """Play the guest of one sandbox."""
        wire = Wire(guest)
        self.code.append(wire.code())
        wire.say(READY)
        job = wire.hear()
        self.jobs.append(job)
        self._plays[job.fields["phase"]](wire, job)


class Stage(SilentProgress):
    """A progress that remembers what it was told, and breaks where a test says so."""

    def __init__(self, breaks_at: str = "") -> None:
        self._breaks_at = breaks_at
        self.told: list[str] = []

    def phase(self, phase: Phase) -> None:
        """See `Progress`."""
        self._tell(str(phase))

    def epoch(self, claim: EpochClaim, epochs: int) -> None:
        """See `Progress`."""
        self._tell(f"epoch {claim.epoch} of {epochs}")

    def finish(self) -> None:
        """See `Progress`."""
        self._tell("finish")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if what == self._breaks_at:
            raise RuntimeError("the terminal is gone")


def order(submission: Path = GALLERY / "honest-good" / "submission", reference: str = "toy") -> Order:
    """The gallery's small assignment and an honest submission."""
    assignment = load_assignment(COURSE / "assignments" / "toy")
    return Order(assignment, submission, COURSE / "reference" / reference, "cpu", "a test asked for it")
