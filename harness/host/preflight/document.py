"""What a preflight came to as JSON, for other programs: ``harness/check/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.host.report.schema import EnvironmentEntry, Figure, Line, Stage, SubmissionEntry, Verdict
from harness.protocol import Outcome

if TYPE_CHECKING:
    from harness.host.preflight.records import Checked, Projection
    from harness.host.records import Place


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlaceEntry(_Record):
    """A line of the submission."""

    file: Line
    line: int


class FindingEntry(_Record):
    """One finding."""

    code: str
    title: str
    message: Line
    hint: Line
    place: PlaceEntry | None


class ProjectionEntry(_Record):
    """What the whole training would take: an estimate, as measured inside the sandbox."""

    epochs: int
    epochs_timed: Figure
    train_seconds: Figure
    train_limit_seconds: Figure
    predict_seconds: Figure
    predict_limit_seconds: Figure
    memory_bytes: int | None
    memory_limit_bytes: int
    weights_bytes: int | None
    weights_limit_bytes: int
    gpu_memory_bytes: int | None


class CheckDocument(_Record):
    """A submission that was looked over."""

    schema_: Literal["harness/check/v1"] = Field(default="harness/check/v1", alias="schema")
    assignment: str
    submission: SubmissionEntry
    outcome: Verdict
    phase: Stage
    message: Line
    hint: Line
    place: PlaceEntry | None
    findings: list[FindingEntry]
    not_looked_at: list[str]
    projection: ProjectionEntry | None
    seconds: Figure
    environment: EnvironmentEntry


def check_document(checked: Checked) -> dict[str, Any]:
    """All of it in the schema's form."""
    result, where = checked.result, checked.environment
    document = CheckDocument(
        assignment=checked.assignment,
        submission=SubmissionEntry(name=checked.submission_name, sha256=checked.submission_sha256),
        outcome=result.outcome,
        phase=None if result.outcome is Outcome.OK else result.phase,
        message=result.message,
        hint=result.hint,
        place=_place(result.place),
        findings=[
            FindingEntry(
                code=said.code,
                title=said.title,
                message=said.message,
                hint=said.hint,
                place=_place(said.place),
            )
            for said in checked.found
        ],
        not_looked_at=list(checked.skipped),
        projection=_projection(checked.projection) if checked.projection else None,
        seconds=result.seconds,
        environment=EnvironmentEntry(
            sandbox=where.sandbox,
            isolated=where.isolated,
            device=where.device,
            device_name=where.device_name,
            torch=where.torch,
            python=where.python,
            image=where.image,
        ),
    )
    return document.model_dump(mode="json", by_alias=True)


def _place(place: Place | None) -> PlaceEntry | None:
    return None if place is None else PlaceEntry(file=place.file, line=place.line)


def _projection(projection: Projection) -> ProjectionEntry:
    return ProjectionEntry(
        epochs=projection.epochs,
        epochs_timed=projection.epochs_timed,
        train_seconds=projection.train_seconds,
        train_limit_seconds=projection.train_limit,
        predict_seconds=projection.predict_seconds,
        predict_limit_seconds=projection.predict_limit,
        memory_bytes=projection.memory_bytes,
        memory_limit_bytes=projection.memory_limit,
        weights_bytes=projection.weights_bytes,
        weights_limit_bytes=projection.weights_limit,
        gpu_memory_bytes=projection.gpu_bytes,
    )
