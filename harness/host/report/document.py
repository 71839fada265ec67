"""Turns a report into the JSON documents that other programs read, one for staff and one for the student."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from harness.host.errors import UsageError
from harness.host.report.figures import widened
from harness.host.report.files import write_atomically
from harness.host.report.markdown import to_markdown
from harness.host.report.schema import (
    BaselineEntry,
    CheckEntry,
    EnvironmentEntry,
    FeedbackBaseline,
    FeedbackEnvironment,
    FeedbackLoss,
    FeedbackMetric,
    FeedbackRuntime,
    LossEntry,
    MetricEntry,
    RuntimeEntry,
    StaffDocument,
    StudentDocument,
    SubmissionEntry,
)
from harness.host.report.text import inert_json, is_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.host.records import Check, Report, Run

FEEDBACK_ENDINGS = (".json", ".md", ".html")
# Sums of decimal fractions carry dust in the last binary digits.
_POINTS_DIGITS = 6
_NUMBER = r"(?:-?[0-9][0-9.e+-]*|null)"
_NUMBERS_OVER_LINES = re.compile(rf"\[\s+({_NUMBER}(?:,\s+{_NUMBER})*)\s+\]")
_NOT_PLAIN = re.compile(r"[^\n -~]")


def staff_document(report: Report) -> dict[str, Any]:
    """All of a report in the contract's form, ``harness/report/v1``; figures not finite become null."""
    run = report.run
    document = StaffDocument(
        run_id=run.run_id,
        assignment=report.assignment,
        submission=SubmissionEntry(name=report.submission_name, sha256=report.submission_sha256),
        outcome=run.outcome,
        phase=run.phase,
        message=_message(run),
        hint=run.hint,
        points=round(report.points, _POINTS_DIGITS),
        max_points=round(report.max_points, _POINTS_DIGITS),
        checks=_checks(report.checks),
        metric=_staff_metric(run),
        baselines=[
            BaselineEntry(name=tier.name, threshold=tier.threshold, public=tier.public, private=tier.private)
            for tier in run.baselines
        ],
        loss=LossEntry(
            train=[claim.train_loss for claim in run.epochs],
            valid=[claim.valid_loss for claim in run.epochs],
            best_epoch=run.best_epoch,
            test=run.score.test_loss,
        ),
        runtime=_staff_runtime(run),
        environment=_staff_environment(run),
    )
    return document.model_dump(mode="json", by_alias=True)


def student_document(report: Report) -> dict[str, Any]:
    """What a student may know of a report, ``harness/feedback/v1``, with figures in four significant digits.

    The interval is widened to the first digit of its width: its ends would otherwise answer two questions
    about the labels beside the one that the score answers (``docs/explanation/scores-as-oracles.md``).

    It has no private check, figure or verdict, no test loss and no image; the points are those of the
    checks that are left.
    """
    return _student_document(report).model_dump(mode="json", by_alias=True)


def student_markdown(report: Report) -> str:
    """`student_document` as Markdown."""
    return to_markdown(_student_document(report), report.notes)


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a document as UTF-8 with a line feed at its end; the file is whole or not there.

    Characters that a terminal would act on are escaped, so that the file can be looked at as it is.

    Raises:
        UsageError: the folder does not exist or cannot be written to.
        ValueError: a figure is not finite; the documents of this module have none.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
    text = _NUMBERS_OVER_LINES.sub(lambda numbers: f"[{' '.join(numbers[1].split())}]", text)
    write_atomically(inert_json(_NOT_PLAIN.sub(_json_escape, text)) + "\n", path)


def write_feedback(report: Report, path: Path) -> None:
    """Write the student's document as JSON (``.json``), Markdown (``.md``) or a page (``.html``).

    Raises:
        UsageError: the file's name ends otherwise, or it cannot be written.
    """
    document = _student_document(report)
    match path.suffix.lower():
        case ".json":
            write_json(document.model_dump(mode="json", by_alias=True), path)
        case ".md":
            write_atomically(to_markdown(document, report.notes), path)
        case ".html":
            from harness.host.report.html.run_page import run_page  # noqa: PLC0415  Jinja, only for a page

            write_atomically(run_page(document, report.title, report.run.log, report.notes), path)
        case _:
            allowed = " or ".join(FEEDBACK_ENDINGS)
            raise UsageError(
                f"{path.name}: feedback is written to files that end in {allowed}",
                f"Name a file such as feedback{FEEDBACK_ENDINGS[-1]}.",
            )


def _json_escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if is_hidden(match[0]) else match[0]


def _message(run: Run) -> str:
    """The message with the place in front, as compilers write it."""
    if run.place is None:
        return run.message
    place = f"{run.place.file}:{run.place.line}"
    return f"{place}: {run.message}" if run.message else place


def _checks(checks: Iterable[Check]) -> list[CheckEntry]:
    return [
        CheckEntry(
            name=check.name,
            outcome=check.outcome,
            points=check.points,
            max_points=check.max_points,
            message=check.message,
        )
        for check in checks
    ]


def _staff_metric(run: Run) -> MetricEntry:
    score = run.score
    return MetricEntry(
        name=score.metric,
        direction=score.direction,
        validation=score.validation.value if score.validation else None,
        public=score.public.value if score.public else None,
        private=score.private.value if score.private else None,
        public_ci95=score.public.ci95 if score.public else None,
        private_ci95=score.private.ci95 if score.private else None,
    )


def _staff_runtime(run: Run) -> RuntimeEntry:
    return RuntimeEntry(
        train_seconds=run.runtime.train_seconds,
        predict_seconds=run.runtime.predict_seconds,
        total_seconds=run.runtime.total_seconds,
        cpu_seconds=run.runtime.cpu_seconds,
        peak_memory_bytes=run.runtime.peak_memory_bytes,
    )


def _staff_environment(run: Run) -> EnvironmentEntry:
    return EnvironmentEntry(
        sandbox=run.environment.sandbox,
        isolated=run.environment.isolated,
        device=run.environment.device,
        device_name=run.environment.device_name,
        torch=run.environment.torch,
        python=run.environment.python,
        image=run.environment.image,
    )


def _student_document(report: Report) -> StudentDocument:
    run = report.run
    visible = [check for check in report.checks if not check.private]
    return StudentDocument(
        run_id=run.run_id,
        assignment=report.assignment,
        submission=SubmissionEntry(name=report.submission_name, sha256=report.submission_sha256),
        outcome=run.outcome,
        phase=run.phase,
        message=_message(run),
        hint=run.hint,
        points=round(sum(check.points for check in visible), _POINTS_DIGITS),
        max_points=round(sum(check.max_points for check in visible), _POINTS_DIGITS),
        checks=_checks(visible),
        metric=_student_metric(run),
        baselines=[
            FeedbackBaseline(name=tier.name, threshold=tier.threshold, public=tier.public)
            for tier in run.baselines
        ],
        loss=FeedbackLoss(
            train=[claim.train_loss for claim in run.epochs],
            valid=[claim.valid_loss for claim in run.epochs],
            best_epoch=run.best_epoch,
        ),
        runtime=_student_runtime(run),
        environment=_student_environment(run),
    )


def _student_metric(run: Run) -> FeedbackMetric:
    score = run.score
    return FeedbackMetric(
        name=score.metric,
        direction=score.direction,
        validation=score.validation.value if score.validation else None,
        public=score.public.value if score.public else None,
        public_ci95=widened(*score.public.ci95) if score.public else None,
    )


def _student_runtime(run: Run) -> FeedbackRuntime:
    return FeedbackRuntime(
        train_seconds=run.runtime.train_seconds,
        predict_seconds=run.runtime.predict_seconds,
        total_seconds=run.runtime.total_seconds,
        cpu_seconds=run.runtime.cpu_seconds,
        peak_memory_bytes=run.runtime.peak_memory_bytes,
    )


def _student_environment(run: Run) -> FeedbackEnvironment:
    return FeedbackEnvironment(
        sandbox=run.environment.sandbox,
        isolated=run.environment.isolated,
        device=run.environment.device,
        device_name=run.environment.device_name,
        torch=run.environment.torch,
        python=run.environment.python,
    )
