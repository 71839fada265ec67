"""Ranks the submissions of one assignment by their reports, and shows one split of them.

Three steps that know nothing of each other: `read_reports` says where runs come from, `rank` who is before
whom, and the writers how that is shown. Only the split that was asked for reaches the writers.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError

from harness.host.errors import UsageError
from harness.host.report import figures, markdown
from harness.host.report.page import Page, Span
from harness.host.report.schema import StaffDocument
from harness.host.report.text import printable
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from harness.host.assignment import Assignment, Tier

SPLITS = ("public", "private")
FORMS = ("table", "csv", "md", "json")
SCHEMA = "harness/leaderboard/v1"
RUNS = ("submission", "outcome", "metric", "public", "private", "runtime_seconds", "written_ns", "run_id")
SUBMISSION, BASELINE = "submission", "baseline"
# What a spreadsheet takes for a formula; the wide forms too, which some fold into the narrow ones.
_FORMULA_STARTS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_CELL_BREAKS = frozenset("\t\r\n")
_RANK, _SCORE, _RUNTIME, _ATTEMPTS = 5, 12, 13, 10


def leaderboard(assignment: Assignment, reports: Path, split: str, form: str, console: Console) -> str | None:
    """Rank the submissions that have a report in a folder.

    Args:
        assignment: states the metric, its direction and the tiers.
        reports: the folder of the staff reports, ``harness grade --json``.
        split: ``public`` or ``private``; nothing of the other one is shown.
        form: ``table`` writes to `console`; ``csv``, ``md`` and ``json`` are returned.
        console: where the table goes.

    Returns:
        The whole document with a line feed at its end; None for ``table``.

    Raises:
        UsageError: the split or the form is unknown, or the folder has no report of the assignment.
    """
    _one_of("split", split, SPLITS)
    _one_of("form", form, FORMS)
    runs = read_reports(reports, assignment.id, note_to_stderr)
    runs = _of_metric(runs, assignment.metric.name, note_to_stderr)
    if runs.empty:
        raise UsageError(
            f"there is no report of {assignment.id} in {reports}",
            f"make some: harness grade SUBMISSION --json {reports}/NAME.json; or name their folder: --reports DIR",
        )
    direction = assignment.metric.direction
    board = with_baselines(rank(runs, direction, split), assignment.tiers, direction)
    match form:
        case "csv":
            return to_csv(board, assignment, split)
        case "md":
            return to_markdown(board, assignment, split)
        case "json":
            return to_json(board, assignment, split)
    render(board, assignment, split, console)
    return None


def note_to_stderr(text: str) -> None:
    """Tell the user of something beside the output; `text` may quote a file's name."""
    sys.stderr.write(f"note: {printable(text)}\n")


def read_reports(folder: Path, assignment_id: str, note: Callable[[str], None]) -> pd.DataFrame:
    """Read the runs of an assignment from the staff reports ``*.json`` in a folder.

    A report that lies there twice is one run. The file's time stands for the time of submission.

    Args:
        folder: it need not exist.
        assignment_id: reports of other assignments are left out.
        note: is told of each file that is left out, and why.

    Returns:
        A row for each run with the columns `RUNS`: scores in full precision (NaN: not scored), seconds of
        training and prediction together, the file's time in nanoseconds.
    """
    rows = []
    for path in sorted(folder.glob("*.json")):
        try:
            document = StaffDocument.model_validate_json(path.read_bytes())
            written = path.stat().st_mtime_ns
        except OSError as error:
            note(f"{path.name} is left out: it cannot be read ({error.strerror})")
        except ValidationError:
            note(f"{path.name} is left out: it is no report of the form harness/report/v1")
        else:
            if document.assignment != assignment_id:
                note(f"{path.name} is left out: it is a report of {document.assignment}, not {assignment_id}")
                continue
            if not document.environment.isolated:
                note(f"{path.name} ran without isolation: its score and runtime are only a claim")
            rows.append(_run_of(document, written))
    runs = pd.DataFrame(rows, columns=list(RUNS))
    runs = runs.astype({column: "float64" for column in (*SPLITS, "runtime_seconds")})
    return runs.sort_values("written_ns", kind="stable").drop_duplicates("run_id", ignore_index=True)


def _run_of(document: StaffDocument, written_ns: int) -> tuple[Any, ...]:
    metric, runtime = document.metric, document.runtime
    seconds = (runtime.train_seconds or 0.0) + (runtime.predict_seconds or 0.0)
    return (
        document.submission.name,
        document.outcome.value,
        metric.name,
        metric.public,
        metric.private,
        seconds,
        written_ns,
        document.run_id,
    )


def _of_metric(runs: pd.DataFrame, metric: str, note: Callable[[str], None]) -> pd.DataFrame:
    """The runs that were scored by the assignment's metric as it is now."""
    kept = runs["metric"] == metric
    if not kept.all():
        note(f"{(~kept).sum()} reports are left out: they were not scored by {metric}; grade those anew")
    return runs[kept]


def rank(frame: pd.DataFrame, direction: str, split: str) -> pd.DataFrame:
    """Rank submissions by their best runs, the scores compared in full precision.

    A better score goes first, then the shorter runtime, then the earlier file; submissions that are equal in
    all three share a rank, and the next one counts them. Runs that failed or have no score on the split are
    attempts and nothing more.

    Args:
        frame: runs, with the columns `RUNS`.
        direction: ``min`` or ``max``, whichever is better.
        split: ``public`` or ``private``.

    Returns:
        A row for each submission, the best first and those without a rank last, with the columns ``rank``
        (1 is the best; NA: none), ``name``, ``score``, ``runtime_seconds`` and ``attempts``.
    """
    attempts = frame["submission"].value_counts()
    keys = [split, "runtime_seconds", "written_ns"]
    finished = frame[(frame["outcome"] == Outcome.OK.value) & frame[split].notna()]
    ordered = finished.sort_values(keys, ascending=[direction == "min", True, True])
    best = ordered.drop_duplicates("submission", ignore_index=True)
    # In this order equals are neighbours: whoever repeats the keys has the rank of the first who had them.
    position = pd.Series(range(1, len(best) + 1), index=best.index, dtype="Int64")
    best["rank"] = position.mask(best.duplicated(keys)).ffill()
    best = best.rename(columns={"submission": "name", split: "score"})
    best = best[["rank", "name", "score", "runtime_seconds"]].set_index("name")
    without = sorted(set(attempts.index) - set(best.index))
    board = best.reindex([*best.index, *without])
    board["attempts"] = attempts.reindex(board.index)
    return board.rename_axis("name").reset_index()[["rank", "name", "score", "runtime_seconds", "attempts"]]


def with_baselines(ranked: pd.DataFrame, tiers: Sequence[Tier], direction: str) -> pd.DataFrame:
    """Put the tiers between the submissions that reached them and those that did not.

    Args:
        ranked: what `rank` returned.
        tiers: each becomes a row with its threshold as the score, and no rank.
        direction: ``min`` or ``max``, whichever is better.

    Returns:
        The same columns and ``kind``, which is ``submission`` or ``baseline``.
    """
    baselines = pd.DataFrame(
        {
            "rank": pd.NA,
            "name": [tier.name for tier in tiers],
            "score": [tier.threshold for tier in tiers],
            "runtime_seconds": float("nan"),
            "attempts": pd.NA,
        }
    )
    types = {
        "rank": "Int64",
        "name": "object",
        "score": "float64",
        "runtime_seconds": "float64",
        "attempts": "Int64",
    }
    parts = [
        part.astype(types).assign(kind=kind) for part, kind in ((ranked, SUBMISSION), (baselines, BASELINE))
    ]
    # A score that equals the threshold reaches it: at the same score a rank goes before none.
    keys, ascending = ["score", "rank"], [direction == "min", True]
    return pd.concat(parts, ignore_index=True).sort_values(keys, ascending=ascending, ignore_index=True)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it is shown: figures rounded, None where there is nothing to show; the name not yet escaped."""

    rank: int | None
    kind: str
    name: str
    score: float | None
    runtime_seconds: float | None
    attempts: int | None


def _shown(board: pd.DataFrame) -> Iterator[_Row]:
    for row in board.astype(object).where(board.notna(), None).to_dict("records"):
        yield _Row(
            rank=row["rank"],
            kind=row["kind"],
            name=row["name"],
            score=None if row["score"] is None else figures.significant(row["score"]),
            runtime_seconds=None
            if row["runtime_seconds"] is None
            else figures.significant(row["runtime_seconds"]),
            attempts=row["attempts"],
        )


def to_csv(board: pd.DataFrame, assignment: Assignment, split: str) -> str:
    """The board as CSV with a header; names are made harmless to spreadsheets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    score = f"{split}_{assignment.metric.name}"
    writer.writerow(["rank", "kind", "name", score, "runtime_seconds", "attempts"])
    for row in _shown(board):
        writer.writerow([row.rank, row.kind, _cell(row.name), row.score, row.runtime_seconds, row.attempts])
    return text.getvalue()


def _cell(text: str) -> str:
    """`text` on one line; behind an apostrophe where a spreadsheet would take it for a formula."""
    acts = text[:1] in _CELL_BREAKS or text.lstrip()[:1] in _FORMULA_STARTS
    return f"'{printable(text)}" if text and acts else printable(text)


def to_json(board: pd.DataFrame, assignment: Assignment, split: str) -> str:
    """The board in the form ``harness/leaderboard/v1``, in ASCII: every other character is escaped."""
    document = {
        "schema": SCHEMA,
        "assignment": assignment.id,
        "split": split,
        "metric": assignment.metric.name,
        "direction": assignment.metric.direction,
        "rows": [asdict(row) for row in _shown(board)],
    }
    return json.dumps(document, allow_nan=False, indent=2) + "\n"


def to_markdown(board: pd.DataFrame, assignment: Assignment, split: str) -> str:
    """The board as GitHub's Markdown; names stand in code spans."""
    rows = [
        [_or_blank(row.rank), _markdown_name(row), *_figures(row), _or_blank(row.attempts)]
        for row in _shown(board)
    ]
    lines = [
        f"# Leaderboard of {markdown.code(assignment.title)}",
        "",
        f"{markdown.code(assignment.metric.name)} on the {split} split, "
        f"{figures.better(assignment.metric.direction)}",
        "",
        *markdown.table(("rank", "name", assignment.metric.name, "runtime", "attempts"), rows),
    ]
    return "\n".join(lines) + "\n"


def _markdown_name(row: _Row) -> str:
    name = markdown.code(row.name)
    return f"*baseline* {name}" if row.kind == BASELINE else name


def _figures(row: _Row) -> tuple[str, str]:
    runtime = "" if row.runtime_seconds is None else figures.duration(row.runtime_seconds)
    return "" if row.score is None else figures.figure(row.score), runtime


def _or_blank(number: int | None) -> str:
    return "" if number is None else str(number)


def render(board: pd.DataFrame, assignment: Assignment, split: str, console: Console) -> None:
    """Write the board to a terminal, in columns that no name can leave."""
    page = Page(console)
    metric = assignment.metric
    width = page.width - _RANK - _SCORE - _RUNTIME - _ATTEMPTS - 2
    page.line()
    page.ends(Span(assignment.title, "bold"), Span(f"{split} split", "bold"))
    page.line(Span(f"{metric.name}, {figures.better(metric.direction)}", "dim"))
    page.rule()
    heads = ((metric.name, -_SCORE), ("runtime", -_RUNTIME), ("attempts", -_ATTEMPTS))
    page.line(
        Span("rank", "dim", -_RANK),
        "  ",
        Span("name", "dim", width),
        *[Span(text, "dim", size) for text, size in heads],
    )
    for row in _shown(board):
        style = "cyan" if row.kind == BASELINE else ""
        name = f"baseline {row.name}" if row.kind == BASELINE else row.name
        score, runtime = _figures(row)
        page.line(
            Span(_or_blank(row.rank), "bold", -_RANK),
            "  ",
            Span(name, style, width),
            Span(score, style, -_SCORE),
            Span(runtime, "dim", -_RUNTIME),
            Span(_or_blank(row.attempts), "dim", -_ATTEMPTS),
        )
    page.line()


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"the {option} {value!r} is unknown", f"use one of {', '.join(allowed)}")
