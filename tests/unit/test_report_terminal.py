"""The final summary: complete, inert, within the console, with and without colours and Unicode."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.host.records import Baseline, Check, Environment, EpochClaim, Interval, Place, Report, Score
from harness.host.report.terminal import render
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "\x1b[2J\x9b31m[red]x[/red]\u202e:smile:\x00\n::error::passed 漢字 ##[error]"


def shown(report: Report, *, width: int = 80, encoding: str = "utf-8", colours: bool = False) -> str:
    """What a console of that width and encoding gets."""
    output = io.BytesIO()
    file = io.TextIOWrapper(output, encoding=encoding, newline="\n")
    render(
        report,
        Console(file=file, width=width, force_terminal=colours, color_system="standard" if colours else None),
    )
    file.flush()
    return output.getvalue().decode(encoding)


def hostile(build: Callable[..., Report]) -> Report:
    """A report in which everything that a student controls is hostile."""
    return build(
        {
            "outcome": Outcome.RUNTIME_ERROR,
            "phase": Phase.PREDICT,
            "message": HOSTILE * 40,
            "hint": HOSTILE,
            "place": Place(HOSTILE, 10**9),
            "log": (HOSTILE + "a" * 5000 + "\n") * 40,
            "epochs": tuple(EpochClaim(10**12, math.nan, -math.inf, math.nan) for _ in range(5)),
            "best_epoch": 3,
            "environment": Environment(
                "none", isolated=False, device="cpu", reason="asked for", device_name=HOSTILE, torch=HOSTILE
            ),
        },
        submission_name=HOSTILE,
        checks=(Check(HOSTILE * 5, "failed", 0.0, 1.0, HOSTILE * 100), Check("x", "error", 0, 1, HOSTILE)),
    )


def test_a_graded_run_shows_all_that_was_measured(report_with: Callable[..., Report]) -> None:
    """Headline, score with intervals, tiers, checks, losses, runtime and environment are there."""
    lines = shown(report_with()).splitlines()
    for expected in (
        "Homework 1: how many bikes will be rented?                          2 / 5 points",
        "✓ ok   ·   hw1-bikes   ·   alice",
        "  validation    0.6123      95 % interval 0.5800 – 0.6400       486 rows",  # noqa: RUF001  # typography
        "  private test  0.6346      95 % interval 0.5900 – 0.6800       643 rows",  # noqa: RUF001  # likewise
        "  chance        1.012       the best single answer to all training rows",
        "  medium        0.7000            ✓         ✓",
        "  boss          0.3500            ✗         ✗",
        "  ✓  beats_simple[public]                                              0.5 / 0.5",
        "     │ rmse 0.6235 is over the threshold 0.5000",
        "Loss  reported by the training loop",
        "  best epoch    31 of 40    train 0.2623   valid 0.3623",
        "  test          0.4012      computed by the harness",
        "  training      12.3 s      prediction    0.43 s      in all        15.1 s",
        "  processor     11.9 s      peak memory   512 MiB     time limit    5 min 00 s",
        "  sandbox       bubblewrap, isolated",
        "  versions      torch 2.13.0, Python 3.11.2",
    ):
        assert expected in lines
    assert any("◆" in line for line in lines)


def test_a_failed_run_says_what_where_and_what_to_do(failed_report: Report) -> None:
    """The reason, the line of code, the hint and the end of the log are shown, and no score is made up."""
    text = shown(failed_report)
    assert "✗ contract_error" in text
    assert "What happened  while training, at model.py:12\n  │ MyModel returned a tensor" in text
    assert "What to do\n  │ Give the last layer one output: nn.Linear(hidden, 1)." in text
    assert "  │ line 15\n" in text
    assert "  │ line 29\n" in text
    assert "line 14" not in text
    assert "Score" not in text
    assert "  last epoch    1 of 1      train 2.847   valid 3.097\n" in text


def test_without_a_reference_it_says_so(report_with: Callable[..., Report]) -> None:
    """A student's copy has no hidden reference: splits and tiers without figures are left out."""
    score = Score("accuracy", "max", validation=Interval(0.9, (0.85, 0.95), 100))
    text = shown(report_with({"score": score, "baselines": (Baseline("simple", 0.5),)}))
    assert "There is no hidden reference on this machine" in text
    assert "accuracy, higher is better" in text
    assert "public test" not in text
    assert "private test" not in text
    assert "Tiers" not in text
    assert "computed by the harness" not in text


def test_a_run_without_walls_is_marked(report_with: Callable[..., Report]) -> None:
    """Nobody overlooks that nothing was isolated: it is in capitals and in red."""
    bare = Environment("none", isolated=False, device="cpu", reason="asked for by name")
    text = shown(report_with({"environment": bare}), colours=True)
    assert "\x1b[1;31mNOT ISOLATED\x1b[0m" in text
    assert "NOT ISOLATED" not in shown(report_with())


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_no_line_is_longer_than_the_console(
    report_with: Callable[..., Report], failed_report: Report, width: int, encoding: str
) -> None:
    """Whatever is shown, the console never wraps a line itself."""
    for report in (report_with(), failed_report, hostile(report_with)):
        lines = shown(report, width=width, encoding=encoding).split("\n")
        assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("colours", [False, True])
def test_a_hostile_submission_cannot_act_on_the_terminal(
    report_with: Callable[..., Report], *, colours: bool
) -> None:
    """No control, no markup, no emoji code and no CI command of a student's gets through."""
    text = shown(hostile(report_with), colours=colours)
    assert "\x1b[2J" not in text
    assert not set(text) & set("\x9b\u202e\x00\r☺😄")
    assert r"\x1b[2J\x9b31m[red]x[/red]\u202e:smile:\x00" in text
    assert "##[" not in text
    assert not [line for line in text.split("\n") if line.lstrip().startswith("::")]


def test_ascii_is_enough(report_with: Callable[..., Report]) -> None:
    """Where the output is not Unicode, words and ASCII take the place of signs."""
    text = shown(report_with(submission_name="學"), encoding="ascii")
    assert "ok   |   hw1-bikes   |   \\u5b78" in text
    assert "  NO beats_strong[public]" in text
    assert "ooo valid   * best epoch" in text


def test_colours_only_add(report_with: Callable[..., Report]) -> None:
    """Nothing is told by colour alone: the text without colours is the same."""
    coloured = Console(
        file=io.StringIO(), width=80, force_terminal=True, color_system="standard", record=True
    )
    render(report_with(), coloured)
    assert coloured.export_text(styles=False) == shown(report_with())


def test_a_submission_that_never_ran_shows_what_there_is(report_with: Callable[..., Report]) -> None:
    """A submission that was turned away has neither losses nor a score nor times, and no empty section."""
    report = report_with(
        {
            "outcome": Outcome.INVALID_SUBMISSION,
            "phase": Phase.SUBMISSION,
            "message": "config.toml has no [optimizer].",
            "epochs": (),
            "best_epoch": None,
            "score": Score("rmse", "min"),
            "baselines": (),
            "runtime": dataclasses.replace(report_with().run.runtime, total_seconds=0.0),
        },
        checks=(),
    )
    text = shown(report)
    assert "What happened  while reading the submission" in text
    for section in ("Score", "Tiers", "Checks", "Loss", "Runtime", "What to do", "Log"):
        assert f"\n{section}" not in text
