"""The frozen records that the main flow passes along.

What is read from files (`Assignment`, `TrainConfig`) is a schema of its own, in `assignment` and `config`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from harness.protocol import Outcome, Phase

MODEL = "model.py"


@dataclass(frozen=True, slots=True)
class Submission:
    """What a student handed in, read into memory; nothing refers back to the folder it came from.

    Attributes:
        name: as it is shown; not yet escaped for any sink.
        sha256: digest over the names and contents of all files.
        files: path inside the submission, with forward slashes, to content.
        config: the text of ``config.toml``, parsed; validated later, against the assignment.
        source: the folder, archive or notebook, for staff only.
        notes: what was taken of a notebook and what was left out, a line each; empty for all else.
        lines: where in the notebook each line of a ``model.py`` stands that was made of one.
    """

    name: str
    sha256: str
    files: dict[str, bytes]
    config: dict[str, Any]
    source: Path
    notes: tuple[str, ...] = ()
    lines: Mapping[int, Place] = field(default_factory=dict)

    def origin_of(self, place: Place) -> Place:
        """A line of its files as the student wrote it, which may have been in a notebook."""
        return self.lines.get(place.line, place) if place.file == MODEL else place


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the student's code, without any path of the host."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class EpochClaim:
    """One epoch as the training loop reported it; a claim, since student code shares its process."""

    epoch: int
    train_loss: float
    valid_loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What a sandbox used, as the host saw it. None: this backend cannot tell.

    Attributes:
        cpu_seconds: user and system time of all processes.
        peak_memory_bytes: the most that was in use at once.
        out_of_memory: how often the kernel ended or refused something at the memory limit.
        processes_refused: how often a new process or thread was refused at the limit.
    """

    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    out_of_memory: int = 0
    processes_refused: int = 0


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """How one phase ended, as the host judges it.

    Attributes:
        payload: the weights (train) or the prediction bytes (predict); opaque.
        seconds: from the first student byte to the end of the last process, by the host's clock.
        log: what the student's code printed, capped.
    """

    outcome: Outcome
    phase: Phase
    message: str = ""
    hint: str = ""
    place: Place | None = None
    payload: bytes = b""
    epochs: tuple[EpochClaim, ...] = ()
    best_epoch: int | None = None
    log: str = ""
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Host-measured times in seconds; start-up of a sandbox is in `total_seconds` only."""

    train_seconds: float = 0.0
    predict_seconds: float = 0.0
    total_seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a run took place.

    Attributes:
        sandbox: the backend's name.
        isolated: whether the backend is a wall.
        reason: why this backend was taken, and how its limits are enforced; for people.
        image: digest of the image or of the guest's packages.
    """

    sandbox: str
    isolated: bool
    device: str
    reason: str = ""
    device_name: str = ""
    torch: str = ""
    python: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric's value with its 95 % bootstrap interval over `rows` rows."""

    value: float
    ci95: tuple[float, float]
    rows: int


@dataclass(frozen=True, slots=True)
class Score:
    """The metric on each split, computed by the host; None where a split has no labels here.

    Attributes:
        test_loss: the task's loss over all test rows.
        chance: what the best prediction that is the same for all rows has on the training rows.
    """

    metric: str
    direction: str
    validation: Interval | None = None
    public: Interval | None = None
    private: Interval | None = None
    test_loss: float | None = None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A tier's threshold and whether the submission beat it; None: that split was not scored."""

    name: str
    threshold: float
    public: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One pytest check of the assignment.

    Attributes:
        outcome: ``passed``, ``failed``, ``skipped`` or ``error`` (the check itself broke).
        private: whether it tells of the private split, so that students do not see it.
    """

    name: str
    outcome: str
    points: float
    max_points: float
    message: str = ""
    private: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept of a run beside what is shown, so that it can be scored again without being run again.

    Attributes:
        seed: of the config; with `valid_ratio`, it says which rows were for validation.
        valid_ratio: of the config.
        valid_predictions: (V, C) float32 for the validation rows; None where there are none.
        weights: of the best epoch, opaque; empty where training did not end.
    """

    seed: int
    valid_ratio: float
    valid_predictions: NDArray[np.float32] | None = None
    weights: bytes = field(default=b"", repr=False)  # up to many megabytes


@dataclass(frozen=True, slots=True)
class Run:
    """A submission that went through the sandboxes: the outcome, the predictions and their score.

    Attributes:
        outcome: ``ok`` or the first thing that stopped it.
        finding: how a second prediction, in another order and in other batches, differed; empty: it did not.
        predictions: (N, C) float32 for the test rows in the assignment's own order; None without them.
        kept: None for a submission that never reached a sandbox.
    """

    run_id: str
    outcome: Outcome
    phase: Phase | None
    message: str
    hint: str
    place: Place | None
    epochs: tuple[EpochClaim, ...]
    best_epoch: int | None
    predictions: NDArray[np.float32] | None
    score: Score
    baselines: tuple[Baseline, ...]
    runtime: Runtime
    environment: Environment
    log: str
    finding: str = ""
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown of a run: the run, the submission's identity and the checks.

    Attributes:
        notes: what was taken of a notebook; see `Submission`.
    """

    assignment: str
    title: str
    submission_name: str
    submission_sha256: str
    run: Run
    checks: tuple[Check, ...]
    seconds_limit: float
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """Sum over all checks, private ones included."""
        return sum(check.points for check in self.checks)

    @property
    def max_points(self) -> float:
        """The most that the checks could have given."""
        return sum(check.max_points for check in self.checks)
