"""A score answers questions about hidden labels: how many bits of them each attempt and each day yields.

The attacks are those of Whitehill, "Climbing the Kaggle Leaderboard by Exploiting the Log-Loss Oracle"
(arXiv 1707.01825), and their likes for the other metrics. A query's predictions form a positional code: each
row under attack weighs as much as all lighter ones together, so that every combination of their labels
gives a score of its own. The attacker is given for free what would cost more attempts: which rows are public,
how many there are, and what the rows beside those under attack add to the score.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.host.assignment import Assignment
from harness.host.attempts import Attempts, AttemptsUsedError
from harness.host.metrics import METRICS, Metric
from harness.host.records import Check, Interval, Report, Score
from harness.host.reference import Reference
from harness.host.report.document import staff_document, student_document, write_feedback
from harness.host.report.figures import significant
from harness.host.scoring import baselines, public_rows, score, score_split
from harness.protocol import Outcome

Labels = NDArray[np.int64]
Predictions = NDArray[np.float32]
ReportBuilder = Callable[..., Report]

ROWS = 240  # of the public split
EXACT_BATCH = 48  # labels that one exact log-loss gives away
SHOWN_BATCH = 13  # labels that one log-loss of four digits can tell apart: 2**13 < 9000
SHOWN_BITS = math.log2(9000)  # figures of four significant digits there are in a decade
LABEL_BITS = 10  # a label of the regression is one of 1,024 whole numbers


def _log_loss_of_row(logits: Predictions, labels: Labels) -> NDArray[np.float64]:
    loss: NDArray[np.float64] = np.logaddexp(
        0, np.where(labels == 1, -1, 1) * logits[:, 0].astype(np.float64)
    )
    return loss


def _itself(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean


def _undecided(_: Labels, outputs: int) -> NDArray[np.float64]:
    return np.zeros(outputs)


LOG_LOSS = Metric("log_loss", "min", _log_loss_of_row, _itself, _undecided)
"""Mean cross-entropy of two classes; predictions are the logit of class 1."""


def positional(first: int, count: int, unit: float) -> Predictions:
    """Logits of ``unit * 2**i`` for `count` rows from `first` on, and 0 for the others: (ROWS, 1)."""
    logits = np.zeros((ROWS, 1), np.float32)
    logits[first : first + count, 0] = unit * 2.0 ** np.arange(count)
    return logits


def decoded(total: float, count: int, unit: float) -> list[int]:
    """The labels of a batch whose losses sum to `total`: a row adds its logit where its label is 0."""
    code = round(total / unit)
    return [1 - (code >> place & 1) for place in range(count)]


def entropy(answers: Iterable[Hashable]) -> float:
    """Bits that an answer tells when each of the cases behind `answers` is as likely as the others."""
    counts = np.array(list(Counter(answers).values()), np.float64)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


@pytest.fixture
def shown(report_with: ReportBuilder) -> Callable[[Interval], dict[str, Any]]:
    """What the student's document shows of the metric on the public split."""

    def metric_of(public: Interval) -> dict[str, Any]:
        entry: dict[str, Any] = student_document(report_with({"score": Score("x", "min", public=public)}))[
            "metric"
        ]
        return entry

    return metric_of


@pytest.fixture
def labels() -> Labels:
    """(ROWS,) classes 0 and 1."""
    return np.random.default_rng(20170706).integers(0, 2, ROWS)


def test_exact_log_losses_give_all_labels_away(labels: Labels) -> None:
    """The attack works where the score is shown as it is: 48 labels a query, all 240 in five."""
    found: list[int] = []
    for first in range(0, ROWS, EXACT_BATCH):
        logits = positional(first, EXACT_BATCH, 1.0)
        total = LOG_LOSS(logits, labels) * ROWS - (ROWS - EXACT_BATCH) * math.log(2)
        known = float(np.logaddexp(0, -logits[first : first + EXACT_BATCH].astype(np.float64)).sum())
        found += decoded(total - known, EXACT_BATCH, 1.0)
    assert found == labels.tolist()


def test_displayed_log_losses_give_thirteen_labels_a_query(
    shown: Callable[[Interval], dict[str, Any]], labels: Labels
) -> None:
    """The same attack on what a student sees gets 13 labels of a query built for four digits, never 48."""
    unit = 1e6 * ROWS / 2**SHOWN_BATCH
    public = score_split(LOG_LOSS, positional(0, SHOWN_BATCH, unit), labels)
    assert public is not None
    total = shown(public)["public"] * ROWS
    assert decoded(total, SHOWN_BATCH, unit) == labels[:SHOWN_BATCH].tolist()

    public = score_split(LOG_LOSS, positional(0, EXACT_BATCH, 1.0), labels)
    assert public is not None
    found = decoded(shown(public)["public"] * ROWS, EXACT_BATCH, 1.0)
    heaviest = SHOWN_BATCH + 1
    assert found[-SHOWN_BATCH + 1 :] == labels[EXACT_BATCH - SHOWN_BATCH + 1 : EXACT_BATCH].tolist()
    assert found[:-heaviest] != labels[: EXACT_BATCH - heaviest].tolist()


def learnt_from_value(truth: int, count: int) -> float:
    """Bits that a shown log-loss tells of `count` labels, by how many combinations would show the same.

    The loss grows with the code, so that those combinations are neighbours, and bisection finds both ends.
    """
    logits = positional(0, count, 1e6)

    def figure(code: int) -> float:
        classes = np.ones(ROWS, np.int64)
        classes[:count] = [1 - (code >> place & 1) for place in range(count)]
        return significant(LOG_LOSS(logits, classes))

    def first_at_least(wanted: Callable[[float], bool]) -> int:
        low, high = 0, 1 << count
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if wanted(figure(middle)) else (middle + 1, high)
        return low

    value = figure(truth)
    same = first_at_least(lambda other: other > value) - first_at_least(lambda other: other >= value)
    return count - math.log2(same)


def test_a_displayed_figure_bounds_what_any_code_learns() -> None:
    """Of 13 labels or of 40, four digits tell 12 to 13.2 bits: no more than a decade has figures."""
    random = np.random.default_rng(1)
    for count in (SHOWN_BATCH, 40):
        codes = [int(code) for code in random.integers(0, 1 << count, 150)]
        bits = float(np.mean([learnt_from_value(code, count) for code in codes]))
        assert 12.0 < bits <= SHOWN_BITS


def test_an_interval_of_four_digits_would_answer_further_questions(
    shown: Callable[[Interval], dict[str, Any]],
) -> None:
    """Where the value tells nothing, ends of four digits tell 7 bits of 128 cases, the widened ones under 1.

    Labels are swapped in pairs of the same weight, which changes only what the resamples weigh.
    """
    random = np.random.default_rng(3)
    weights = 1e4 * (1 + np.arange(20))
    logits = np.concatenate([weights, weights, np.zeros(24)]).astype(np.float32)[:, None]
    values, exact, widened = [], [], []
    for _ in range(128):
        ones = random.integers(0, 2, 20)
        public = score_split(LOG_LOSS, logits, np.concatenate([ones, 1 - ones, np.zeros(24, np.int64)]))
        assert public is not None
        values.append(significant(public.value))
        exact.append(tuple(map(significant, public.ci95)))
        widened.append(tuple(shown(public)["public_ci95"]))
    assert entropy(values) == 0
    assert entropy(exact) > 6.5
    assert entropy(widened) < 1


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((42.22, 47.25), [42, 48]),
        ((0.6051, 0.6492), [0.6, 0.65]),
        ((0.9, 0.99995), [0.9, 1.0]),
        ((-0.31, 0.42), [-0.4, 0.5]),
        ((0.0, 0.04), [0.0, 0.04]),
        ((5.0, 5.0), [5.0, 5.0]),
        ((1e30, 1.0000001e30), [1e30, 1e30]),
        ((1e-300, 1.0), [0.0, 1.0]),
        ((123456.0, 234567.0), [100000, 300000]),
    ],
)
def test_a_students_interval_covers_the_exact_one(
    shown: Callable[[Interval], dict[str, Any]], ends: tuple[float, float], expected: list[float]
) -> None:
    """Its ends are multiples of the first digit of its width, on the outer sides."""
    assert shown(Interval(ends[0], ends, 9))["public_ci95"] == expected


def test_exact_rmses_give_three_labels_a_query() -> None:
    """Squared errors are linear in the label, so powers of 1,024 as predictions read three labels at once."""
    random = np.random.default_rng(5)
    answers = random.integers(0, 1 << LABEL_BITS, ROWS).astype(np.float64)
    metric = METRICS["rmse"]
    zeros = np.zeros((ROWS, 1), np.float32)
    code = np.array([1.0, 2.0**LABEL_BITS, 4.0**LABEL_BITS])
    query = zeros.copy()
    query[:3, 0] = code
    sums = [metric(predictions, answers) ** 2 * ROWS for predictions in (zeros, query)]
    read = round((sums[0] + float((code**2).sum()) - sums[1]) / 2)
    assert [read >> place & 1023 for place in (0, 10, 20)] == answers[:3].tolist()


def test_displayed_rmses_give_less_than_a_label_a_query() -> None:
    """Shown in four digits, the best of many predictions for a row leaves some of its label's 10 bits open.

    The other rows' errors drown the row's own; a good model, which makes them small, lets more be read.
    """
    random = np.random.default_rng(7)
    answers = random.integers(0, 1 << LABEL_BITS, ROWS).astype(np.float64)
    good = (answers + random.normal(0, 45, ROWS)).astype(np.float32)
    best = {}
    for name, others in (("ignorant", np.full(ROWS, 512, np.float32)), ("good", good)):
        bits = []
        for prediction in (0, -1000, -2000, -5000, -1e4, -3e4, -1e5):
            predictions = others[:, None].copy()
            predictions[0] = prediction
            figures = []
            for label in range(1 << LABEL_BITS):
                answers[0] = label
                figures.append(significant(METRICS["rmse"](predictions, answers)))
            bits.append(entropy(figures))
        best[name] = max(bits)
    assert 9 < best["ignorant"] < best["good"] < 9.9


def test_rounding_hides_nothing_of_an_accuracy(shown: Callable[[Interval], dict[str, Any]]) -> None:
    """Below some 10,000 rows four digits tell each number of hits, and that is 5 bits of 240 labels."""
    answers = np.zeros(ROWS, np.int64)
    figures = {}
    for hits in range(ROWS + 1):
        logits = np.tile(np.array([[0.0, 1.0]], np.float32), (ROWS, 1))
        logits[:hits] = [1.0, 0.0]
        exact = METRICS["accuracy"](logits, answers)
        figures[hits] = shown(Interval(exact, (exact, exact), ROWS))["public"]
    assert len(set(figures.values())) == ROWS + 1
    shares = [math.comb(ROWS, hits) / 2**ROWS for hits in range(ROWS + 1)]
    bits = -sum(share * math.log2(share) for share in shares)
    assert 4.9 < bits < 5.1


def test_a_cap_bounds_the_bits_of_a_day(labels: Labels, tmp_path: Path) -> None:
    """With three attempts a day, the attack on the displayed log-loss has 39 of 240 labels in the evening."""
    ledger = Attempts(tmp_path / "attempts.sqlite")
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    unit = 1e6 * ROWS / 2**SHOWN_BATCH
    found: list[int] = []

    def attack() -> None:
        for first in range(0, ROWS, SHOWN_BATCH):
            attempt = ledger.begin("hw1-bikes", "team-a", now, 3)
            total = significant(LOG_LOSS(positional(first, SHOWN_BATCH, unit), labels)) * ROWS
            found.extend(decoded(total, SHOWN_BATCH, unit))
            ledger.finish(attempt, Outcome.OK)

    with pytest.raises(AttemptsUsedError):
        attack()
    assert found == labels[:39].tolist()


PRIVATE_ASSIGNMENT = Assignment.model_validate(
    {
        "id": "toy",
        "title": "A toy",
        "task": "regression",
        "data": {"target": "count"},
        "metric": {"name": "rmse", "direction": "min"},
        "loss": {"name": "MSELoss"},
        "points": {"contract": 1.0, "finished": 1.0, "finite": 1.0, "runtime": 1.0},
        "tiers": [{"name": "simple", "threshold": 300.0, "public_points": 1.0, "private_points": 1.0}],
        "folder": Path("assignments/toy"),
    }
)


def test_the_private_split_yields_no_bit(report_with: ReportBuilder, tmp_path: Path) -> None:
    """Whatever the private labels are, the student gets the same document, byte for byte; staff do not."""
    random = np.random.default_rng(11)
    ids = np.array([str(number) for number in range(ROWS)])
    key = bytes(range(32))
    answers = random.integers(0, 1 << LABEL_BITS, ROWS).astype(np.float64)
    predictions = np.zeros((ROWS, 1), np.float32)
    students, staff = set(), set()
    for scale in (0.0, 1.0, 7.0):
        reference = Reference(ids, _with_private_scaled(answers, ids, key, scale), key)
        scored = score(
            PRIVATE_ASSIGNMENT,
            test_predictions=predictions,
            test_ids=ids,
            reference=reference,
            valid_predictions=None,
            valid_targets=answers[:0],
        )
        report = _report_of(scored, report_with)
        staff.add(json.dumps(staff_document(report)))
        for ending in ("json", "md"):
            write_feedback(report, tmp_path / f"feedback.{ending}")
            students.add((tmp_path / f"feedback.{ending}").read_bytes())
    assert (len(students), len(staff)) == (2, 3)


def _with_private_scaled(
    answers: NDArray[np.float64], ids: NDArray[np.str_], key: bytes, scale: float
) -> NDArray[np.float64]:
    public = public_rows(ids, key, PRIVATE_ASSIGNMENT.split.public_share)
    return np.where(public, answers, answers * scale)


def _report_of(scored: Score, report_with: ReportBuilder) -> Report:
    """A report with the checks that every tier has on both splits."""
    tiers = baselines(PRIVATE_ASSIGNMENT, scored)
    checks = []
    for tier in tiers:
        for split, beaten in (("public", tier.public), ("private", tier.private)):
            outcome = "passed" if beaten else "failed"
            name = f"beats_{tier.name}[{split}]"
            checks.append(Check(name, outcome, float(bool(beaten)), 1.0, private=split == "private"))
    report = report_with({"score": scored, "baselines": tiers})
    return dataclasses.replace(report, checks=tuple(checks))
