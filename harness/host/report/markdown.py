"""Writes the student's document as Markdown; it knows that document alone, so it can tell no more than it.

Text that a student controls stands in code spans and fenced blocks only, where no Markdown, HTML, link,
image, mention or reference is read, and is `printable` first, so it stays on its line.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from harness.host.report.curve import learning_curve
from harness.host.report.figures import better, duration, figure, memory, points
from harness.host.report.text import printable, printable_lines
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.host.report.schema import StudentDocument

_BACKTICKS = re.compile("`+")
_FENCE = 3
_COLUMNS = 100
_LONGEST = 20_000
_CURVE = (80, 9)
_BEATEN = {True: "yes", False: "no", None: "-"}


def to_markdown(document: StudentDocument, notes: Sequence[str] = ()) -> str:
    """The document as GitHub's Markdown, with a line feed at its end.

    Args:
        document: what the student may know.
        notes: what was taken of a notebook.
    """
    sections = (_head, _failure, _score, _tiers, _checks, _loss, _place)
    written = ["\n".join(section(document)) for section in sections]
    written.insert(-1, "\n".join(_notebook(notes)))
    return "\n\n".join(filter(None, written)) + "\n"


def code(text: str) -> str:
    """`text` as a code span that no character of it can end, also inside a table's cell."""
    inert = printable(text).replace("|", "\\x7c")
    ticks = "`" * (_longest_run(inert) + 1)
    if not inert.strip():
        return "` `"
    # A blank on both sides keeps a text's own backticks apart from the span's; parsers take it off again.
    blank = " " if {inert[0], inert[-1]} & {"`", " "} else ""
    return f"{ticks}{blank}{inert}{blank}{ticks}"


def block(text: str) -> list[str]:
    """`text` as the lines of a fenced block that no line of it can end, long lines wrapped."""
    lines = [
        piece
        for line in printable_lines(text[:_LONGEST])
        for piece in textwrap.wrap(line, _COLUMNS, drop_whitespace=False) or [""]
    ]
    fence = "`" * max(_FENCE, 1 + max(map(_longest_run, lines), default=0))
    return [f"{fence}text", *lines, fence]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)


def _head(document: StudentDocument) -> Iterator[str]:
    yield f"# Feedback on {code(document.submission.name)}"
    yield ""
    yield f"Assignment {code(document.assignment)}, run {code(document.run_id)}"
    yield ""
    yield f"Outcome: **{document.outcome.value}**"
    yield ""
    yield f"**{_points(document.points)} of {_points(document.max_points)} points**"


def _points(value: float | None) -> str:
    return "-" if value is None else points(value)


def _failure(document: StudentDocument) -> Iterator[str]:
    if document.outcome is Outcome.OK:
        return
    yield f"## What happened{f' in phase {document.phase.value}' if document.phase else ''}"
    yield ""
    yield from block(document.message or f"The outcome is {document.outcome.value}.")
    if document.hint:
        yield ""
        yield "## What to do"
        yield ""
        yield from block(document.hint)


def _score(document: StudentDocument) -> Iterator[str]:
    metric = document.metric
    if metric.validation is None and metric.public is None:
        return
    yield f"## Score: {code(metric.name)}, {better(metric.direction)}"
    yield ""
    rows = [["validation", figure(metric.validation), "-"]] if metric.validation is not None else []
    if metric.public is not None:
        low, high = metric.public_ci95 or (None, None)
        rows.append(["public test", figure(metric.public), f"{figure(low)} to {figure(high)}"])
    yield from table(("split", "value", "95 % interval"), rows)
    if metric.public is None:
        yield ""
        yield "There was no hidden reference: the score is on the validation rows."


def _tiers(document: StudentDocument) -> Iterator[str]:
    if all(tier.public is None for tier in document.baselines):
        return
    yield "## Tiers"
    yield ""
    rows = [[code(tier.name), figure(tier.threshold), _BEATEN[tier.public]] for tier in document.baselines]
    yield from table(("tier", "threshold", "beaten on the public split"), rows)


def _checks(document: StudentDocument) -> Iterator[str]:
    if not document.checks:
        return
    yield "## Checks"
    yield ""
    yield from table(
        ("check", "outcome", "points"),
        [
            [code(check.name), check.outcome, f"{_points(check.points)} / {_points(check.max_points)}"]
            for check in document.checks
        ],
    )
    for check in document.checks:
        if check.outcome != "passed" and check.message:
            yield ""
            yield code(check.name)
            yield ""
            yield from block(check.message)


def _loss(document: StudentDocument) -> Iterator[str]:
    loss = document.loss
    curve = learning_curve(loss.train, loss.valid, loss.best_epoch, size=_CURVE)
    if not curve:
        return
    yield "## Loss, as the training loop reported it"
    yield ""
    yield from ("```text", *curve, "```")


def _notebook(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield "## What was taken of the notebook"
        yield ""
        yield from block("\n".join(notes))


def _place(document: StudentDocument) -> Iterator[str]:
    runtime, environment = document.runtime, document.environment
    yield "## Run"
    yield ""
    if runtime.total_seconds:
        yield f"- training {duration(runtime.train_seconds)}"
        yield f"- prediction {duration(runtime.predict_seconds)}"
        yield f"- processor time {duration(runtime.cpu_seconds)}"
        yield f"- peak memory {memory(runtime.peak_memory_bytes)}"
    wall = "isolated" if environment.isolated else "**not isolated**"
    yield f"- sandbox {code(environment.sandbox)}, {wall}"
    named = f" ({code(environment.device_name)})" if environment.device_name else ""
    yield f"- device {code(environment.device)}{named}"
    if environment.torch or environment.python:
        yield f"- torch {code(environment.torch)}, Python {code(environment.python)}"
