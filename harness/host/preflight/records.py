"""What a preflight comes to, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.host.records import Environment, PhaseResult, Place
    from harness.protocol import Outcome


@dataclass(frozen=True, slots=True)
class Said:
    """One finding, in the host's words.

    Attributes:
        code: of its kind.
        title: what is wrong, in a few words.
        message: what was seen; a student's names are in it.
        hint: what to do about it.
        place: the student's line, if it is known.
    """

    code: str
    title: str
    message: str
    hint: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """What the whole training would take: an estimate, from times measured beside the student's code.

    Attributes:
        epochs: of the config; early stopping may leave some out, of which nothing is known here.
        epochs_timed: that it is extrapolated from.
        early_stop: whether the config has it.
        train_seconds: of the whole training, its set-up included.
        predict_seconds: likewise.
        memory_bytes: the most that was in use while it was looked over.
        weights_bytes: of the file that the training would hand over.
        gpu_bytes: the most that was in use of the GPU's memory; None without one.
    """

    epochs: int
    epochs_timed: float
    early_stop: bool
    train_seconds: float
    train_limit: float
    predict_seconds: float
    predict_limit: float
    memory_bytes: int | None
    memory_limit: int
    weights_bytes: int | None
    weights_limit: int
    gpu_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A submission that was looked over.

    Attributes:
        assignment: its id, and `title` its title.
        notes: what was taken of a notebook; empty for all else.
        result: of the phase in the sandbox; of a submission that never got there, the reason.
        found: in the order of importance that the guest has.
        skipped: what was not looked at, and why, in words.
        environment: where it ran.
    """

    assignment: str
    title: str
    submission_name: str
    submission_sha256: str
    notes: tuple[str, ...]
    result: PhaseResult
    found: tuple[Said, ...]
    skipped: tuple[str, ...]
    projection: Projection | None
    environment: Environment

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.result.outcome
