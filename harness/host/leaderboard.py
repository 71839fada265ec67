"""Ranks the submissions of one assignment by their reports, and shows one split of them.

Three steps that know nothing of each other: `read_reports` says where runs come from, `rank` who is before
whom, and the writers how that is shown. Only the split that was asked for reaches the writers.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError

from harness.host.errors import UsageError
from harness.host.report import figures, markdown
from harness.host.report.cells import cell
from harness.host.report.page import Page, Span
from harness.host.report.schema import StaffDocument
from harness.host.report.text import inert_json, printable
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from harness.host.assignment import Assignment, Tier

SPLITS = ("public", "private")
FORMS = ("table", "csv", "md", "json")
SCHEMA = "harness/leaderboard/v1"
RUNS = ("submission", "outcome", "metric", "public", "private", "runtime_seconds", "written_ns", "run_id")
SUBMISSION, BASELINE = "submission", "baseline"
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
            f"make one: harness grade SUBMISSION --json {reports}/NAME.json; --reports names another folder",
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
    runs = runs.astype(dict.fromkeys((*SPLITS, "runtime_seconds"), "float64"))
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


def _rounded(board: pd.DataFrame) -> pd.DataFrame:
    """The board with figures of four significant digits: a displayed score is an oracle."""
    columns = ["score", "runtime_seconds"]
    return board.assign(**{name: board[name].map(figures.significant) for name in columns})


def _records(board: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, rounded; None where there is nothing to show."""
    rounded = _rounded(board).astype(object)
    return rounded.where(rounded.notna(), None).to_dict("records")  # type: ignore[return-value]  # names are text


def to_csv(board: pd.DataFrame, assignment: Assignment, split: str) -> str:
    """The board as CSV with a header; names are made harmless to spreadsheets."""
    shown = _rounded(board).assign(name=board["name"].map(cell))
    columns = {"score": f"{split}_{assignment.metric.name}"}
    return shown.rename(columns=columns).to_csv(index=False, lineterminator="\n")


def to_json(board: pd.DataFrame, assignment: Assignment, split: str) -> str:
    """The board in the form ``harness/leaderboard/v1``, in ASCII: every other character is escaped."""
    document = {
        "schema": SCHEMA,
        "assignment": assignment.id,
        "split": split,
        "metric": assignment.metric.name,
        "direction": assignment.metric.direction,
        "rows": _records(board),
    }
    return inert_json(json.dumps(document, allow_nan=False, indent=2)) + "\n"


def to_markdown(board: pd.DataFrame, assignment: Assignment, split: str) -> str:
    """The board as GitHub's Markdown; names stand in code spans."""
    metric = assignment.metric
    rows = []
    for row in _records(board):
        rank_, score, runtime, attempts = _texts(row)
        label = "*baseline* " if row["kind"] == BASELINE else ""
        rows.append([label + markdown.code(row["name"]), rank_, score, runtime, attempts])
    lines = [
        f"# Leaderboard of {markdown.code(assignment.title)}",
        "",
        f"{markdown.code(metric.name)} on the {split} split, {figures.better(metric.direction)}",
        "",
        *markdown.table(("name", "rank", metric.name, "runtime", "attempts"), rows),
    ]
    return "\n".join(lines) + "\n"


def _texts(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Rank, score, runtime and attempts for people; empty where there is none."""
    score, seconds = row["score"], row["runtime_seconds"]
    return (
        "" if row["rank"] is None else str(row["rank"]),
        "" if score is None else figures.figure(score),
        "" if seconds is None else figures.duration(seconds),
        "" if row["attempts"] is None else str(row["attempts"]),
    )


def render(board: pd.DataFrame, assignment: Assignment, split: str, console: Console) -> None:
    """Write the board to a terminal, in columns that no name can leave."""
    page = Page(console)
    metric = assignment.metric
    width = page.width - _RANK - _SCORE - _RUNTIME - _ATTEMPTS - 2

    def line(texts: tuple[str, str, str, str], name: str, style: str) -> None:
        sizes = (-_SCORE, -_RUNTIME, -_ATTEMPTS)
        rest = [Span(text, style, size) for text, size in zip(texts[1:], sizes, strict=True)]
        page.line(Span(texts[0], style, -_RANK), "  ", Span(name, style, width), *rest)

    page.line()
    page.ends(Span(assignment.title, "bold"), Span(f"{split} split", "bold"))
    page.line(Span(f"{metric.name}, {figures.better(metric.direction)}", "dim"))
    page.rule()
    line(("rank", metric.name, "runtime", "attempts"), "name", "dim")
    for row in _records(board):
        is_baseline = row["kind"] == BASELINE
        label = "baseline " if is_baseline else ""
        line(_texts(row), label + row["name"], "cyan" if is_baseline else "")
    page.line()


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"the {option} {value!r} is unknown", f"use one of {', '.join(allowed)}")
