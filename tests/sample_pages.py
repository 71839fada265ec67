"""A made-up class and a made-up run, for the tests of the pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.host.report.html.board_page import BoardView
from harness.host.report.schema import StudentDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

TIERS = {"simple": 80.0, "medium": 52.0, "strong": 41.5, "boss": 36.5}
MADE_AT = datetime(2025, 3, 28, 18, 5, tzinfo=timezone(timedelta(hours=1), "CET"))
TYPES = {
    "rank": "Int64",
    "name": "object",
    "group": "object",
    "score": "float64",
    "last": "float64",
    "progress": "float64",
    "runtime_seconds": "float64",
    "attempts": "Int64",
    "kind": "object",
}
HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\">",
    "</script><script>document.title='pwned'</script><!--",
    "\u202egnirts\u202c \u2066\u0645\u0631\u062d\u0628\u0627\u2069",
    "long-" + "x" * 4096,
    "{{7*7}}{% set a = 1 %}",
    "\"double\" 'single' `back` &amp; \\u003c",
    "javascript:document.title='pwned'",
    "a\nb\tc\x1b[31m\x00",
)


def student(name: str, score: float, rank: int | None = 1, **changes: Any) -> dict[str, Any]:
    """A row of the board for one student."""
    return {
        "rank": rank,
        "name": name,
        "group": "",
        "score": score,
        "last": score,
        "progress": float("nan"),
        "runtime_seconds": 12.3,
        "attempts": 3,
        "kind": "submission",
        **changes,
    }


def tier(name: str, threshold: float) -> dict[str, Any]:
    """A row of the board for a tier."""
    nan = float("nan")
    nothing: dict[str, Any] = {"rank": None, "attempts": None, "last": nan, "runtime_seconds": nan}
    return student(name, threshold, **nothing, kind="baseline")


def view_of(rows: Sequence[dict[str, Any]], history: pd.DataFrame | None = None, **changes: Any) -> BoardView:
    """A board of these rows, in their order; without a history the class has none."""
    board = pd.DataFrame(list(rows), columns=list(TYPES)).astype(TYPES)
    view = BoardView(
        assignment="hw1-bikes",
        title="Homework 1: bikes by the hour",
        split="public",
        metric="rmse",
        direction="min",
        made_at=MADE_AT,
        board=board,
        history=history_of([]) if history is None else history,
    )
    return replace(view, **changes)


def history_of(days: Sequence[tuple[float, float, int]]) -> pd.DataFrame:
    """The class over time: best, median and students of each day from the third of March on."""
    return pd.DataFrame(
        {
            "time": pd.date_range("2025-03-03", periods=len(days), freq="D", tz="UTC"),
            "best": np.array([best for best, _, _ in days], dtype=np.float64),
            "median": np.array([median for _, median, _ in days], dtype=np.float64),
            "students": np.array([students for *_, students in days], dtype=np.int64),
        }
    )


def class_of(count: int, names: Sequence[str] = (), *, without_score: int = 3, seed: int = 0) -> BoardView:
    """A class with a root mean squared error each, as courses have them, four tiers and a month's history.

    Args:
        count: students.
        names: of the first ones; the others have made-up ids.
        without_score: how many of them have none.
        seed: of all that is drawn.
    """
    random = np.random.default_rng(seed)
    scores = np.sort(random.gamma(3, 6, count - without_score) + random.normal(34, 1, count - without_score))
    ids = [f"s{number:03}" for number in random.permutation(np.arange(1, count + 1))]
    rows = [
        student(
            name,
            score,
            rank,
            group=f"Section {'ABC'[rank % 3]}",
            last=score + random.gamma(1, 3) * (rank % 3 > 0),
            progress=random.gamma(1, 2) if rank % 5 else float("nan"),
            runtime_seconds=random.lognormal(2.5, 0.9),
            attempts=int(random.integers(1, 30)),
        )
        for rank, (name, score) in enumerate(zip((*names, *ids), scores, strict=False), 1)
    ]
    rows += [tier(name, threshold) for name, threshold in TIERS.items()]
    rows.sort(key=lambda row: (row["score"], row["kind"] == "baseline"))
    nothing: dict[str, Any] = {"last": float("nan"), "runtime_seconds": float("nan"), "group": "Section A"}
    rows += [student(name, float("nan"), None, **nothing) for name in ids[count - without_score :]]
    days = [
        (
            max(scores[0], 130 - 8 * day**0.8),
            max(float(np.median(scores)), 150 - 5.0 * day),
            day * len(scores) // 25,
        )
        for day in range(1, 26)
    ]
    return view_of(rows, history_of(days))


def document_of(**changes: Any) -> StudentDocument:
    """A student's document of a run that ended well, with some of its fields changed."""
    epochs = np.arange(1, 41)
    fields: dict[str, Any] = {
        "run_id": "e6aad0398197dfe0",
        "assignment": "hw1-bikes",
        "submission": {"name": "s042", "sha256": "ab" * 32},
        "outcome": "ok",
        "phase": None,
        "message": "",
        "hint": "",
        "points": 5.0,
        "max_points": 6.5,
        "checks": [
            _check("contract", "passed", 2.0, 2.0),
            _check("finished", "passed", 2.0, 2.0),
            _check("beats_medium[public]", "passed", 1.0, 1.0),
            _check("beats_strong[public]", "failed", 0.0, 1.5, "rmse 44.71, needed <= 41.5"),
            _check("uses_the_gpu", "skipped", 0.0, 0.0, "there is no GPU on this machine"),
        ],
        "metric": {
            "name": "rmse",
            "direction": "min",
            "validation": 43.82,
            "public": 44.71,
            "public_ci95": (42.0, 48.0),
        },
        "baselines": [
            {"name": name, "threshold": threshold, "public": threshold > 44}
            for name, threshold in TIERS.items()
        ],
        "loss": {
            "train": list(3e4 * np.exp(-epochs / 8) + 1900),
            "valid": list(2.7e4 * np.exp(-epochs / 8) + 1920 + 9 * np.abs(epochs - 31)),
            "best_epoch": 31,
        },
        "runtime": {
            "train_seconds": 3.5,
            "predict_seconds": 0.22,
            "total_seconds": 10.2,
            "cpu_seconds": 2.4,
            "peak_memory_bytes": 260046848,
        },
        "environment": {
            "sandbox": "bubblewrap",
            "isolated": True,
            "device": "cpu",
            "device_name": "16-core processor",
            "torch": "2.13.0",
            "python": "3.11.2",
        },
    }
    return StudentDocument.model_validate(fields | changes)


def failed_document(**changes: Any) -> StudentDocument:
    """A student's document of a run that failed in the training."""
    failure: dict[str, Any] = {
        "outcome": "contract_error",
        "phase": "train",
        "message": "model.py:12: MyModel returned a tensor of shape (16, 2); (16,) is needed",
        "hint": "Give the last layer one output, and return x.squeeze(1).",
        "points": 0.0,
        "checks": [
            _check("contract", "failed", 0.0, 2.0, "the outcome is contract_error"),
            _check("finished", "failed", 0.0, 2.0, "the outcome is contract_error"),
            _check("beats_medium[public]", "skipped", 0.0, 1.0, "there is no score"),
        ],
        "metric": {
            "name": "rmse",
            "direction": "min",
            "validation": None,
            "public": None,
            "public_ci95": None,
        },
        "baselines": [
            {"name": name, "threshold": threshold, "public": None} for name, threshold in TIERS.items()
        ],
        "loss": {"train": [], "valid": [], "best_epoch": None},
    }
    return document_of(**(failure | changes))


def _check(name: str, outcome: str, points: float, most: float, message: str = "") -> dict[str, Any]:
    return {"name": name, "outcome": outcome, "points": points, "max_points": most, "message": message}
