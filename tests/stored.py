"""Stores with results in them, for tests: every figure of a run can be said, and the rest is made up."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.records import (
    Baseline,
    Check,
    Environment,
    EpochClaim,
    Interval,
    Kept,
    Report,
    Run,
    Runtime,
    Score,
)
from harness.host.store.hand_ins import HandIn
from harness.host.store.place import Place
from harness.host.store.store import Store
from harness.host.submission import submission_of
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.host.records import Submission

NOON = datetime(2030, 3, 1, 12, tzinfo=UTC)
CONFIG = b'epochs = 2\n[optimizer]\nname = "SGD"\nlr = 0.1\n'


@dataclass(frozen=True)
class Made:
    """A result to put into a store.

    Attributes:
        model: the text of ``model.py``; the same text is the same submission.
        shown, hidden: points of the checks that students see, and of those that they do not.
    """

    student: str = "s001"
    assignment: str = "hw1-bikes"
    submitted: datetime = NOON
    model: str = ""
    config: bytes = CONFIG
    outcome: Outcome = Outcome.OK
    public: float | None = 50.0
    private: float | None = 51.0
    metric: str = "rmse"
    direction: str = "min"
    seconds: float = 1.0
    shown: float = 3.0
    hidden: float = 1.0
    isolated: bool = True
    message: str = ""
    log: str = "epoch 1\n"
    predictions: NDArray[np.float32] | None = None
    valid_predictions: NDArray[np.float32] | None = None
    seed: int = 0
    name: str | None = None
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def report(self) -> Report:
        """As a grading would make it."""
        ok = self.outcome is Outcome.OK
        run = Run(
            run_id=self.run_id,
            outcome=self.outcome,
            phase=None if ok else Phase.TRAIN,
            message=self.message,
            hint="",
            place=None,
            epochs=(EpochClaim(1, 3.0, 4.0, 0.1), EpochClaim(2, 2.0, float("nan"), 0.1)),
            best_epoch=1,
            predictions=self.predictions,
            score=Score(
                self.metric,
                self.direction,
                validation=_interval(self.public),
                public=_interval(self.public),
                private=_interval(self.private),
                test_loss=self.private,
                chance=100.0,
            ),
            baselines=(Baseline("simple", 80.0, public=True, private=False),),
            runtime=Runtime(self.seconds, 0.0, self.seconds + 1, 0.5, 1 << 20),
            environment=Environment("bubblewrap", self.isolated, "cpu"),
            log=self.log,
            kept=Kept(self.seed, 0.2, self.valid_predictions, b"weights"),
        )
        checks = (
            Check("contract", "passed", self.shown, 4.0),
            Check("beats_simple[private]", "passed", self.hidden, 2.0, "of the hidden half", private=True),
            Check("finite", "failed", 0.0, 1.0, "not finite"),
        )
        name = self.student if self.name is None else self.name
        return Report(self.assignment, "Homework", name, self.submission.sha256, run, checks, 120.0)

    def _files(self) -> dict[str, bytes]:
        return {"model.py": self.model.encode(), "config.toml": self.config}

    @property
    def submission(self) -> Submission:
        """What was handed in."""
        return submission_of(self.student, self._files(), Path(self.student))

    def into(
        self,
        store: Store,
        *,
        again: bool = False,
        ran_by: str = "a" * 64,
        scored_by: str = "b" * 64,
        report: Report | None = None,
        readable: bool = True,
    ) -> str:
        """Record it, or another report of it, and return the id of the run that is the result."""
        hand_in = HandIn(self.assignment, self.student, self.submitted, self.key(ran_by), ran_by, scored_by)
        submission = self.submission if readable else None
        return store.record(hand_in, report or self.report(), submission, again=again)

    def key(self, ran_by: str = "a" * 64) -> str:
        """What it is known by in the store."""
        return hashlib.sha256(f"{ran_by} {self.submission.sha256}".encode()).hexdigest()


def _interval(value: float | None) -> Interval | None:
    return None if value is None else Interval(value, (value - 1, value + 1), 100)


def later(days: float) -> datetime:
    """A moment so many days after noon of the first day."""
    return NOON + timedelta(days=days)


def store_in(folder: Path, url: str | None = None) -> Store:
    """A new store in a folder, in SQLite unless a URL says otherwise."""
    return Store(Place(url or f"sqlite:///{folder / 'runs.sqlite'}", folder / "artifacts"))
