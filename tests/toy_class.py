"""A class whose submissions are played by toy guests: each student is graded as the command does it."""

from __future__ import annotations

import os
import shutil
import textwrap
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from harness.host.assignment import load_assignment
from harness.host.backends import Choice
from harness.host.cores import Cores
from harness.host.keeping import keep
from harness.host.machine import Machine
from harness.host.session import Means, grade_submission
from tests.fake_backend import FakeBackend
from tests.stored import NOON
from tests.toy_guests import COURSE, EPOCHS, GALLERY, TRAINED, Cast, fail, heights, predicted, train_well

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.assignment import Assignment
    from harness.host.grading import Graded
    from harness.host.store.store import Store
    from harness.protocol import Message
    from tests.scripted_guest import Wire
    from tests.toy_guests import Play

GOOD = GALLERY / "honest-good" / "submission"
MEANS = Means("bubblewrap", "cpu", assignment="toy")
LONG_LOG = b"the very first line\n" + b"and many more\n" * 2000


def off_by(offset: float) -> Play:
    """A model whose predictions are off."""

    def predict(wire: Wire, job: Message) -> None:
        wire.say(predicted(heights(job) + np.float32(offset)))

    return predict


def train_aloud(wire: Wire, _: Message) -> None:
    """A model that prints more than is shown."""
    wire.say(*EPOCHS, replace(TRAINED, blobs={**TRAINED.blobs, "log": LONG_LOG}))


# By name: what was handed in, and how it trains and predicts.
CLASS: dict[str, tuple[Path, Play, Play]] = {
    "good": (GOOD, train_well, off_by(0.0)),
    "between the tiers": (GOOD, train_well, off_by(0.75)),
    "bad": (GOOD, train_aloud, off_by(5.0)),
    "no numbers": (GOOD, train_well, off_by(float("nan"))),
    "broken": (GOOD, fail, fail),
    "unreadable": (GALLERY / "invalid-no_model" / "submission", fail, fail),
    "wrong config": (GALLERY / "invalid-learning_rate" / "submission", fail, fail),
}


class _Stage(Machine):
    """A machine whose sandboxes are played by toy guests."""

    def __init__(self, folder: Path, cast: Cast) -> None:
        super().__init__(print)
        self.cores = Cores(print, folder)
        self.backend = FakeBackend(cast)

    def choose(self, sandbox: str, device: str, runtime: str | None) -> Choice:
        """The toy guests, whatever is asked for."""
        del sandbox, device, runtime
        return Choice(self.backend, "a test asked for it", "cpu")


class ToyCourse:
    """A copy of the gallery's small course, and what its class hands in.

    Attributes:
        folder: of the course.
        own: of its assignment.
        reference: of the hidden answers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "course"
        self.own, self.reference = (self.folder / part / "toy" for part in ("assignments", "reference"))
        self._cores = folder
        for part in ("assignments", "reference"):
            shutil.copytree(COURSE / part / "toy", self.folder / part / "toy")

    @property
    def assignment(self) -> Assignment:
        """As it is now."""
        return load_assignment(self.own)

    def write(self, name: str, text: str) -> None:
        """Put a file into the assignment's folder."""
        (self.own / name).write_text(textwrap.dedent(text))

    def edit(self, path: Path, old: str, new: str) -> None:
        """Change a file, whose time is another one in any case."""
        before = path.read_text()
        if old not in before:
            raise ValueError(old)
        path.write_text(before.replace(old, new, 1))
        moved = path.stat().st_mtime + 10
        os.utime(path, (moved, moved))

    def grade(self, student: str) -> Graded:
        """Grade a student of `CLASS` by the course as it is now."""
        submission, train, predict = CLASS[student]
        with _inside(self.folder), _Stage(self._cores, Cast(train, predict)) as machine:
            return grade_submission(submission, MEANS, Console(), machine, student)

    def grade_class(self, store: Store) -> dict[str, str]:
        """Grade all and keep them; return the ids of their runs."""
        return {student: keep(store, self.grade(student), student, NOON) for student in CLASS}


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
