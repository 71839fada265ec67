"""The documents that other programs read: what staff get and what a student gets, field by field.

The student's document has types of its own rather than staff's with fields left out: what is not named
here does not reach a student. ``StaffDocument.model_json_schema()`` gives the JSON schema.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from harness.host.report.figures import significant
from harness.protocol import Outcome, Phase


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _finite_significant(value: float | None) -> float | None:
    finite = _finite(value)
    return None if finite is None else significant(finite)


def _encodable(value: str) -> str:
    # File names that are no UTF-8 come with lone surrogates, which JSON in UTF-8 cannot carry.
    return value.encode("utf-8", "backslashreplace").decode()


Figure = Annotated[float | None, BeforeValidator(_finite)]
"""A number; None where there is none or it is not finite."""

RoundedFigure = Annotated[float | None, BeforeValidator(_finite_significant)]
"""A figure with four significant digits: a displayed score is an oracle, a rounded one a weaker one."""

Direction = Annotated[str, Field(json_schema_extra={"enum": ["min", "max"]})]
CheckOutcome = Annotated[str, Field(json_schema_extra={"enum": ["passed", "failed", "skipped", "error"]})]

Verdict = Annotated[Outcome, Field(description="a fault of the machine is never one of these")]
Stage = Annotated[Phase | None, Field(description="where the outcome was decided; null for ok")]

Line = Annotated[str, BeforeValidator(_encodable)]
"""Text that may be a student's: to be escaped for wherever it is shown."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SubmissionEntry(_Record):
    """Which submission it was."""

    name: Line
    sha256: str


class CheckEntry(_Record):
    """One check and its points."""

    name: Line
    outcome: CheckOutcome
    points: Figure
    max_points: Figure
    message: Line


class MetricEntry(_Record):
    """The metric on each split, with 95 % intervals; null: not scored."""

    name: str
    direction: Direction
    validation: Figure
    public: Figure
    private: Figure
    public_ci95: tuple[Figure, Figure] | None
    private_ci95: tuple[Figure, Figure] | None


class BaselineEntry(_Record):
    """A tier, and whether it was beaten; null: that split was not scored."""

    name: str
    threshold: Figure
    public: bool | None
    private: bool | None


class LossEntry(_Record):
    """The losses: of training and validation as the training loop reported them, of the test by the host."""

    train: list[Figure]
    valid: list[Figure]
    best_epoch: int | None
    test: Figure


class RuntimeEntry(_Record):
    """What the run took, by the host's clock; null: the sandbox cannot tell."""

    train_seconds: Figure
    predict_seconds: Figure
    total_seconds: Figure
    cpu_seconds: Figure
    peak_memory_bytes: int | None


class EnvironmentEntry(_Record):
    """Where it ran."""

    sandbox: str
    isolated: bool
    device: str
    device_name: Line
    torch: Line
    python: Line
    image: str


class StaffDocument(_Record):
    """Everything about one graded submission; private figures too."""

    schema_: Literal["harness/report/v1"] = Field(default="harness/report/v1", alias="schema")
    run_id: str
    assignment: str
    submission: SubmissionEntry
    outcome: Verdict
    phase: Stage
    message: Line
    hint: Line
    points: Figure
    max_points: Figure
    checks: list[CheckEntry]
    metric: MetricEntry
    baselines: list[BaselineEntry]
    loss: LossEntry
    runtime: RuntimeEntry
    environment: EnvironmentEntry


class FeedbackMetric(_Record):
    """The metric on the splits that a student may know."""

    name: str
    direction: Direction
    validation: RoundedFigure
    public: RoundedFigure
    public_ci95: tuple[RoundedFigure, RoundedFigure] | None


class FeedbackBaseline(_Record):
    """A tier, and whether it was beaten on the public split."""

    name: str
    threshold: RoundedFigure
    public: bool | None


class FeedbackLoss(_Record):
    """The losses as the training loop reported them."""

    train: list[RoundedFigure]
    valid: list[RoundedFigure]
    best_epoch: int | None


class FeedbackRuntime(_Record):
    """What the run took, by the host's clock; null: the sandbox cannot tell."""

    train_seconds: RoundedFigure
    predict_seconds: RoundedFigure
    total_seconds: RoundedFigure
    cpu_seconds: RoundedFigure
    peak_memory_bytes: int | None


class FeedbackEnvironment(_Record):
    """Where it ran."""

    sandbox: str
    isolated: bool
    device: str
    device_name: Line
    torch: Line
    python: Line


class StudentDocument(_Record):
    """What a student is told of a graded submission: nothing of the private split."""

    schema_: Literal["harness/feedback/v1"] = Field(default="harness/feedback/v1", alias="schema")
    run_id: str
    assignment: str
    submission: SubmissionEntry
    outcome: Verdict
    phase: Stage
    message: Line
    hint: Line
    points: Figure
    max_points: Figure
    checks: list[CheckEntry]
    metric: FeedbackMetric
    baselines: list[FeedbackBaseline]
    loss: FeedbackLoss
    runtime: FeedbackRuntime
    environment: FeedbackEnvironment
