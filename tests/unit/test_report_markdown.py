"""The student's Markdown reads well, and nothing in it acts: it is parsed back to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.host.records import Check, Environment, Place, Report, Score
from harness.host.report.document import write_feedback
from harness.host.report.markdown import block, code, table
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from markdown_it.token import Token

HOSTILE = (
    "a|b\n| x | y |\n```\n~~~\n# h\n<script>alert(1)</script>![i](http://x/y.png)[l](javascript:x) "
    "` `` ``` https://x.example www.x.example @everyone &lt; \x1b[2J\u202e </code></pre>\\"
)
ACTIVE = {"html_block", "html_inline", "link_open", "image"}
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("`|~\\\n<>[]()*_#"))


def tokens(text: str) -> Iterator[Token]:
    """All that a parser of GitHub's tables finds in a text."""
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        yield token
        yield from token.children or ()


def feedback(report: Report, folder: Path) -> str:
    """The student's Markdown."""
    write_feedback(report, folder / "feedback.md")
    return (folder / "feedback.md").read_text(encoding="utf-8")


def test_it_tells_what_a_student_needs(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """Points, score, tiers, checks and the learning curve are there."""
    text = feedback(report_with(), tmp_path)
    for expected in (
        "# Feedback on `alice`",
        "**1.5 of 3 points**",
        "| public test | 0.6235 | 0.6000 to 0.6500 |",
        "| `strong` | 0.5000 | no |",
        "| `beats_strong[public]` | failed | 0 / 1.5 |",
        "rmse 0.6235 is over the threshold 0.5000",
        "─── train   ━━━ valid   ◆ best epoch",
        "- sandbox `bubblewrap`, isolated",
    ):
        assert expected in text.splitlines() or expected in text
    assert sum(token.type == "table_open" for token in tokens(text)) == 3


def test_a_failure_has_its_reason_and_hint(failed_report: Report, tmp_path: Path) -> None:
    """The message, with file and line, and the hint stand in blocks of their own."""
    found = [token.content for token in tokens(feedback(failed_report, tmp_path)) if token.type == "fence"]
    assert found[0].startswith("model.py:12: MyModel returned a tensor")
    assert found[1] == "Give the last layer one output: nn.Linear(hidden, 1).\n"


def test_without_a_reference_it_says_so(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """On a student's copy the validation score stands alone, with the reason."""
    score = Score("rmse", "min", validation=report_with().run.score.validation)
    assert "There was no hidden reference" in feedback(
        report_with({"score": score, "baselines": ()}), tmp_path
    )


def test_nothing_hostile_acts(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """Names, messages and versions make no HTML, link, image, heading, row or cell of their own."""
    harmless = {
        "outcome": Outcome.RUNTIME_ERROR,
        "message": "x",
        "hint": "x",
        "place": Place("x", 1),
        "environment": Environment(
            "none", isolated=False, device="x", device_name="x", torch="x", python="x"
        ),
    }
    wicked = harmless | {
        "message": HOSTILE,
        "hint": HOSTILE,
        "place": Place(HOSTILE, 1),
        "environment": Environment(
            "none", isolated=False, device=HOSTILE, device_name=HOSTILE, torch=HOSTILE, python=HOSTILE
        ),
    }
    built = [
        feedback(
            report_with(run, submission_name=word, checks=(Check(word, "failed", 0, 1, word),)), tmp_path
        )
        for run, word in ((harmless, "x"), (wicked, HOSTILE))
    ]
    plain, hostile = ([token.type for token in tokens(text)] for text in built)
    assert hostile == plain
    assert not set(hostile) & ACTIVE
    assert not set(built[1]) & set("\x1b\u202e")


@given(TEXT)
@example("a | b")
@example("\\|")
@example("``a` ")
def test_a_code_span_holds_any_text(text: str) -> None:
    """In a table's cell, a code span is read back as one, whatever is in it."""
    found = list(tokens("\n".join(table(("a", "b"), [[code(text), "end"]]))))
    assert [token.type for token in found if token.type.startswith("code")] == ["code_inline"]
    assert [token.content for token in found if token.type == "text"] == ["a", "b", "end"]


@given(TEXT)
@example("a\n```\n~~~~\n````")
@example("`" * 300)
def test_a_block_holds_any_text(text: str) -> None:
    """A fenced block ends where it should, whatever is in it."""
    found = [token.type for token in tokens("\n".join([*block(text), "", "after"]))]
    assert found == ["fence", "paragraph_open", "inline", "text", "paragraph_close"]


@pytest.mark.parametrize(("text", "shown"), [("a|b", "a\\x7cb"), ("", ""), ("`", "`"), (" x ", " x ")])
def test_a_code_span_shows_its_text(text: str, shown: str) -> None:
    """What is read back is the text, with a visible escape for the table's bar."""
    found = [token.content for token in tokens(code(text)) if token.type == "code_inline"]
    assert [content.strip() for content in found] == [shown.strip()]
