"""Writes one run as an HTML page for its student, from the student's document, a title and the log alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.report.figures import figure
from harness.host.report.html.frame import page
from harness.host.report.html.run_curve import loss_curve
from harness.host.report.text import printable, printable_lines
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.host.report.schema import CheckEntry, StudentDocument

LOG_LINES = 200
_LOG_CHARACTERS = 100_000
_LONGEST = 20_000


def run_page(document: StudentDocument, title: str, log: str, notes: Sequence[str] = ()) -> str:
    """What a student is told of a run, in the words of the Markdown feedback, and the end of the log.

    Args:
        document: what the student may know.
        title: the assignment's.
        log: what the submission printed.
        notes: what was taken of a notebook.

    Returns:
        An HTML document in UTF-8 with a line feed at its end; it runs no script.
    """
    lines, note = _tail(log)
    context = {
        "run": document,
        "title": title,
        "ended_well": document.outcome is Outcome.OK,
        "message": _block(document.message or f"The outcome is {document.outcome.value}."),
        "hint": _block(document.hint),
        "scores": _scores(document),
        "tiers": _tiers(document),
        "checks": [(check, _reason(check)) for check in document.checks],
        "loss": loss_curve(document.loss),
        "notes": _block("\n".join(notes)),
        "log": lines,
        "log_note": note,
    }
    return page("run.html.jinja", None, context)


def _scores(document: StudentDocument) -> list[tuple[str, str, str]]:
    """Split, value and interval of each split that was scored."""
    metric = document.metric
    rows = []
    if metric.validation is not None:
        rows.append(("validation", figure(metric.validation), figure(None)))
    if metric.public is not None:
        low, high = metric.public_ci95 or (None, None)
        known = low is not None and high is not None
        rows.append(
            (
                "public test",
                figure(metric.public),
                f"{figure(low)} to {figure(high)}" if known else figure(None),
            )
        )
    return rows


def _tiers(document: StudentDocument) -> list[tuple[str, str, bool | None]]:
    if all(tier.public is None for tier in document.baselines):
        return []
    return [(printable(tier.name), figure(tier.threshold), tier.public) for tier in document.baselines]


def _reason(check: CheckEntry) -> list[str]:
    return _block(check.message) if check.outcome != "passed" else []


def _block(text: str) -> list[str]:
    return printable_lines(text[:_LONGEST])


def _tail(log: str) -> tuple[list[str], str]:
    """The last lines of a log, and whether they are all."""
    lines = printable_lines(log[-_LOG_CHARACTERS:])
    if len(lines) > LOG_LINES:
        return lines[-LOG_LINES:], f"its last {LOG_LINES} lines, as the submission printed them"
    if len(log) > _LOG_CHARACTERS:
        return lines, f"its last {_LOG_CHARACTERS:,} characters, as the submission printed them"
    return lines, "as the submission printed it"
