"""The page of one run: it says what the Markdown feedback says, and nothing that acts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.report.document import student_document
from harness.host.report.html.run_page import LOG_LINES, run_page
from harness.host.report.schema import StudentDocument
from tests.parsed_page import Element, parsed
from tests.sample_pages import HOSTILE, document_of, failed_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.records import Report

TITLE = "Homework 1: bikes by the hour"
LOSSES = st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=60)


def page_of(document: StudentDocument, log: str = "") -> Element:
    """The page of a run, read back."""
    return parsed(run_page(document, TITLE, log))


def sections_of(page: Element) -> dict[str, Element]:
    """Each section by its first heading."""
    return {section.all("h2")[0].text: section for section in page.all("section")}


def rows_of(table: Element) -> list[list[str]]:
    """The cells of a table."""
    rows = table.one("tbody").all("tr")
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in rows]


def losses_of(train: list[float | None], valid: list[float | None], best: int | None) -> StudentDocument:
    """A run with these losses."""
    return document_of(loss={"train": train, "valid": valid, "best_epoch": best})


def test_the_verdict_comes_first() -> None:
    """Whose feedback it is, how the run ended and what it earned stand at the top."""
    head = page_of(document_of()).one("header")
    assert head.one("h1").text == "Feedback on s042"
    assert head.text.startswith(f"{TITLE} · hw1-bikes")
    assert "✓ Outcome: ok" in head.text
    assert "5 of 6.5 points" in head.text


def test_a_run_that_ended_well_has_its_sections() -> None:
    """There is no failure to explain and no log where nothing was printed."""
    assert list(sections_of(page_of(document_of()))) == [
        "Score rmse, lower is better",
        "Tiers",
        "Checks",
        "Loss as the training loop reported it",
        "Run",
    ]


def test_scores_and_tiers_are_tables() -> None:
    """Each split with its value and interval, each tier with its threshold and whether it was beaten."""
    sections = sections_of(page_of(document_of()))
    assert rows_of(sections["Score rmse, lower is better"].one("table")) == [
        ["validation", "43.82", "\N{EN DASH}"],
        ["public test", "44.71", "42.00 to 48.00"],
    ]
    assert rows_of(sections["Tiers"].one("table")) == [
        ["simple", "80.00", "✓ yes"],
        ["medium", "52.00", "✓ yes"],
        ["strong", "41.50", "✗ no"],
        ["boss", "36.50", "✗ no"],
    ]


def test_checks_have_their_outcome_points_and_reason() -> None:
    """What failed or was skipped says why; what has no points shows none."""
    rows = rows_of(sections_of(page_of(document_of()))["Checks"].one("table"))
    assert rows == [
        ["contract", "✓ passed", "2 / 2"],
        ["finished", "✓ passed", "2 / 2"],
        ["beats_medium[public]", "✓ passed", "1 / 1"],
        ["beats_strong[public]", "✗ failed", "0 / 1.5"],
        ["rmse 44.71, needed <= 41.5"],
        ["uses_the_gpu", "\N{EN DASH} skipped", ""],
        ["there is no GPU on this machine"],
    ]


def test_runtime_and_environment_are_facts() -> None:
    """What the run took and where it ran are named in the words of the Markdown feedback."""
    facts = sections_of(page_of(document_of()))["Run"]
    names, values = ([fact.text for fact in facts.all(tag)] for tag in ("dt", "dd"))
    assert dict(zip(names, values, strict=True)) == {
        "Training": "3.5 s",
        "Prediction": "0.22 s",
        "Processor time": "2.4 s",
        "Peak memory": "248 MiB",
        "Sandbox": "bubblewrap, isolated",
        "Device": "cpu (16-core processor)",
        "Versions": "torch 2.13.0, Python 3.11.2",
        "Run": "e6aad0398197dfe0",
    }


def test_what_is_not_known_is_left_out_or_a_dash() -> None:
    """A run that never started has no runtime, no device name and no versions to show."""
    place = document_of().environment.model_dump() | {"device_name": "", "torch": "", "python": ""}
    nothing = dict.fromkeys(document_of().runtime.model_dump())
    section = sections_of(page_of(document_of(environment=place, runtime=nothing)))["Run"]
    assert [name.text for name in section.all("dt")] == ["Sandbox", "Device", "Run"]
    partly = nothing | {"train_seconds": 3.5, "total_seconds": 9.0}
    values = [fact.text for fact in sections_of(page_of(document_of(runtime=partly)))["Run"].all("dd")]
    assert values[:4] == ["3.5 s", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"]


def test_a_run_without_walls_says_so() -> None:
    """Nobody takes a figure for more than a claim without being told."""
    place = document_of().environment.model_dump() | {"sandbox": "none", "isolated": False}
    page = page_of(document_of(environment=place))
    assert page.one("span", class_="tag warn").text == "not isolated"


def test_a_failure_has_its_reason_and_hint() -> None:
    """What happened, in which phase, and what to do about it come before everything else."""
    page = page_of(failed_document(), "epoch 1\n")
    assert "✗ Outcome: contract_error" in page.one("header").text
    assert [heading.text for heading in page.all("h2")] == [
        "What happened in phase train",
        "What to do",
        "Checks",
        "Run",
        "Log as the submission printed it",
    ]
    reason, hint, *_ = (block.raw for block in page.all("pre"))
    assert reason == "model.py:12: MyModel returned a tensor of shape (16, 2); (16,) is needed"
    assert hint == "Give the last layer one output, and return x.squeeze(1)."


def test_a_failure_without_a_message_names_its_outcome() -> None:
    """There is always a sentence, and no heading over nothing."""
    page = page_of(failed_document(message="", hint="", phase=None))
    assert page.all("h2")[0].text == "What happened"
    assert page.all("pre")[0].raw == "The outcome is contract_error."
    assert "What to do" not in page.text


def test_without_a_reference_it_says_so() -> None:
    """On a student's copy the validation score stands alone, with the reason."""
    metric = document_of().metric.model_dump() | {"public": None, "public_ci95": None}
    page = page_of(document_of(metric=metric, baselines=[]))
    assert "There was no hidden reference: the score is on the validation rows." in page.text
    assert "Tiers" not in sections_of(page)
    assert "There was no hidden reference" not in page_of(document_of()).text


def test_a_score_without_an_interval_has_a_dash() -> None:
    """An interval that could not be computed is not shown as one."""
    for interval in (None, (float("nan"), 1.0)):
        metric = document_of().metric.model_dump() | {"public_ci95": interval}
        section = sections_of(page_of(document_of(metric=metric)))["Score rmse, lower is better"]
        assert rows_of(section.one("table"))[1] == ["public test", "44.71", "\N{EN DASH}"]


def test_the_learning_curve_marks_the_best_epoch() -> None:
    """Both lines, the best epoch and the scale are named, in a wide and in a narrow drawing."""
    section = sections_of(page_of(document_of()))["Loss as the training loop reported it"]
    assert section.one("figcaption").text == "Best epoch 31 of 40: train 2523, valid 2480."
    for chart in section.all("svg"):
        labels = [text.text for text in chart.all("text")]
        assert {"train", "valid", "best epoch 31", "loss, log scale", "epoch", "1", "40"} <= set(labels)
        assert len(chart.all("path", class_="best")) == 1
    assert len(section.all("svg")) == 2


@pytest.mark.parametrize(
    ("train", "valid", "best", "summary"),
    [
        ([2.0], [3.0], 1, "Best epoch 1 of 1: train 2.000, valid 3.000."),
        ([2.0, None], [None, None], None, "Last epoch 2 of 2: no finite loss."),
        ([None], [None], 1, "Best epoch 1 of 1: no finite loss."),
        ([2.0], [], 7, "Last epoch 1 of 1: train 2.000."),
    ],
)
def test_too_few_losses_are_words_alone(
    train: list[float | None], valid: list[float | None], best: int | None, summary: str
) -> None:
    """One epoch makes no curve; what it was is still told."""
    page = page_of(losses_of(train, valid, best))
    assert not page.all("svg")
    assert page.one("figcaption").text == summary


def test_no_epoch_has_no_section() -> None:
    """A run that never trained says nothing of losses."""
    assert not page_of(losses_of([], [], None)).all("figure")


def test_a_loss_that_is_null_is_a_gap() -> None:
    """An epoch whose loss was not finite breaks the line; the best epoch without a loss has no mark."""
    page = page_of(losses_of([5, 4, None, 3, 2], [5, 4, 3.5, 3, None], 5))
    chart = page.all("svg")[0]
    assert chart.one("path", class_="second").attributes["d"].count("M") == 2
    assert chart.one("path", class_="first").attributes["d"].count("M") == 1
    assert not chart.all("path", class_="best")


@given(LOSSES, LOSSES, st.none() | st.integers(-2, 70))
def test_any_losses_make_a_page(
    train: list[float | None], valid: list[float | None], best: int | None
) -> None:
    """Whatever a training loop claims is drawn or left out, and never an error."""
    page_of(losses_of(train, valid, best))


def test_many_epochs_make_a_small_page() -> None:
    """A hundred thousand epochs are thinned to what a drawing can show."""
    losses: list[float | None] = [1 + (epoch * 7919 % 1000) / 1000 for epoch in range(100_000)]
    assert len(run_page(losses_of(losses, losses, 500), TITLE, "")) < 150_000


def test_the_log_ends_the_page() -> None:
    """Its last lines are there, and it is said that these are not all; a progress bar stands as it ended."""
    log = "".join(f"line {number}\n" for number in range(1000)) + "10 %\r100 %\n"
    page = page_of(document_of(), log)
    section = sections_of(page)[f"Log its last {LOG_LINES} lines, as the submission printed them"]
    lines = section.one("pre").raw.split("\n")
    assert len(lines) == LOG_LINES
    assert lines[-2:] == ["line 999", "100 %"]
    assert (
        sections_of(page_of(document_of(), "one\n\n"))["Log as the submission printed it"].one("pre").raw
        == "one"
    )
    assert "Log" not in page_of(document_of(), " \n\n").text


def test_a_huge_log_is_cut() -> None:
    """A log without line breaks does not make a page that nobody can open."""
    html = run_page(document_of(), TITLE, "x" * 5_000_000)
    assert len(html) < 200_000
    assert "Log its last 100,000 characters, as the submission printed them" in sections_of(parsed(html))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text(text: str) -> None:
    """What a student wrote adds no element, whichever field it stands in, and nothing in it is hidden."""
    fields = document_of().environment.model_dump()
    texts = dict.fromkeys(("device", "device_name", "torch", "python"), text)
    check = {"name": text, "outcome": "failed", "points": 0.0, "max_points": 1.0, "message": text}
    hostile = failed_document(
        submission={"name": text, "sha256": ""},
        message=text,
        hint=text,
        checks=[check],
        environment=fields | texts,
    )
    html = run_page(hostile, TITLE, text)
    harmless = failed_document(
        message="x",
        hint="x",
        checks=[check | {"name": "x", "message": "x"}],
        environment=fields | dict.fromkeys(texts, "x"),
    )
    assert re.findall(r"<\w+", re.sub(r"&lt;", "", html)) == re.findall(
        r"<\w+", run_page(harmless, TITLE, "x")
    )
    assert not set(html) & set("\x1b\x00\u202e\u2066")


def test_nothing_private_can_reach_it(report_with: Callable[..., Report]) -> None:
    """The page is made of the student's document: what is private in a report is in no part of it."""
    report = report_with()
    html = run_page(StudentDocument.model_validate(student_document(report)), report.title, report.run.log)
    assert "Feedback on" in html
    assert "private" not in html
    assert "0.6346" not in html
    assert "sha256:" not in html
