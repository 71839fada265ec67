"""What is shown of a batch: its counts and times, a line for each result, and a live view."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.host.batch import Result
from harness.host.handed_in import HandedIn
from harness.host.report.batch import Lines, View, say, watcher_for
from harness.host.report.tally import Tally, kind_of, line_of
from harness.host.report.text import printable
from tests.stored import NOON

CONTROL = re.compile(r"\r?\x1b\[[0-9;?]*[A-Za-z]")
HOSTILE = "::error::a\x1b[31m\nb\u202e\x07[bold]x[/bold]##[error]\r"


def handed_in(name: str) -> HandedIn:
    """A submission."""
    return HandedIn(name, name, Path("handed-in", "s001"), NOON)


def result(name: str = "s001", outcome: str = "ok", **changes: Any) -> Result:
    """A submission that was graded, unless it is said otherwise."""
    graded: dict[str, Any] = {"seconds": 1.26, "run": "4f2a", "points": 7.5, "max_points": 10.0}
    return Result(handed_in(name), outcome=outcome, **(graded | changes))


def fault(name: str = "s009", **changes: Any) -> Result:
    """A submission that could not be graded."""
    return Result(handed_in(name), fault="no sandbox works here", fix="start Docker", **changes)


def tally_of(*results: Result, total: int | None = None) -> Tally:
    """A batch's count."""
    tally = Tally("hw1-bikes", len(results) if total is None else total)
    for each in results:
        tally.add(each)
    return tally


def terminal(width: int = 80) -> Console:
    """A terminal that keeps what it was told."""
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=24, color_system="standard")


def told(console: Console) -> str:
    """What was written, without the harness's own colours and movements."""
    file = console.file
    assert isinstance(file, io.StringIO)
    return CONTROL.sub("", file.getvalue())


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (result(), "ok"),
        (result(outcome="time_limit"), "time_limit"),
        (result(before=True, outcome=""), "graded before"),
        (fault(), "not graded"),
        (fault(set_aside=True), "set aside"),
    ],
)
def test_a_result_is_of_one_kind(given: Result, kind: str) -> None:
    """The outcome of its run, or why it has none."""
    assert kind_of(given) == kind
    tally = tally_of(given)
    assert dict(tally.outcomes) == {kind: 1}
    assert tally.not_graded == (kind in {"not graded", "set aside"})
    assert dict(tally.outcomes) == {kind: 1}, "looking at a count adds none"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (result(), "s001: ok, 7.5 of 10 points, 1.3 s, run 4f2a"),
        (result(before=True), "s001: graded before, run 4f2a"),
        (fault(), "s009: not graded: no sandbox works here\n    fix: start Docker"),
        (fault(set_aside=True), "s009: set aside: no sandbox works here\n    fix: start Docker"),
        (Result(handed_in("s009"), fault="it is gone"), "s009: not graded: it is gone"),
    ],
)
def test_a_result_is_a_line_and_a_fault_has_its_remedy(given: Result, line: str) -> None:
    """Points without superfluous zeros, and the run by which it is found again."""
    assert line_of(given) == line


def test_the_summary_has_the_command_that_looks_into_each_kind() -> None:
    """The most frequent kind first; the run that is named is the first of its kind; columns are aligned."""
    tally = tally_of(
        *(result(run=f"a{number:03}", before=True) for number in range(3)),
        *(result(run=f"b{number:03}") for number in range(12)),
        *(result(outcome="time_limit", run=f"c{number:03}") for number in range(2)),
        fault(),
        fault(set_aside=True),
        total=100,
    )
    first, *rest = tally.summary()
    assert re.fullmatch(r"19 of 100 submissions in \d+\.\d\d s, \d+ a minute; 81 left undone", first)
    assert rest == [
        "  ok              12  harness show b000",
        "  graded before    3  harness runs hw1-bikes",
        "  time_limit       2  harness runs hw1-bikes --outcome time_limit; harness show c000",
        "  not graded       1  harness runs hw1-bikes --faults",
        "  set aside        1  harness runs hw1-bikes --faults",
        "leaderboard: harness leaderboard hw1-bikes",
    ]
    assert tally.not_graded == 2


def test_a_batch_that_was_graded_before_has_no_rate() -> None:
    """How fast nothing was run says nothing."""
    first, *_ = tally_of(result(before=True)).summary()
    assert re.fullmatch(r"1 of 1 submissions in \d\.\d\d s", first)


def test_nothing_done_is_a_summary_too() -> None:
    """Ctrl-C may come before the first result; there is no leaderboard to look at."""
    (only,) = tally_of(total=3).summary()
    assert re.fullmatch(r"0 of 3 submissions in \d\.\d\d s; 3 left undone", only)


def test_the_rest_takes_as_long_as_what_was_run() -> None:
    """What was graded before took no time, and says nothing about the rest."""
    tally = tally_of(result(), result(), *[result(before=True)] * 4, total=10)
    time.sleep(0.01)
    least = tally.seconds
    left = tally.seconds_left()
    assert left is not None
    assert least / 2 * 4 <= left <= tally.seconds / 2 * 4


def test_before_anything_was_run_nobody_knows_how_long_it_takes() -> None:
    """Results that were there are no measure."""
    assert tally_of(total=3).seconds_left() is None
    assert tally_of(result(before=True), total=3).seconds_left() is None


def test_when_all_is_done_nothing_is_left() -> None:
    """To the last bit."""
    assert tally_of(result()).seconds_left() == 0


def test_the_slowest_three_are_kept() -> None:
    """Among those that were run, in ascending order."""
    seconds = [3.0, 9.0, 1.0, 7.0, 8.0]
    tally = tally_of(
        *(result(f"s{number:03}", seconds=each) for number, each in enumerate(seconds)),
        result("s099", seconds=100.0, before=True),
    )
    assert tally.slowest == [(7.0, "s003"), (8.0, "s004"), (9.0, "s001")]


def test_without_a_terminal_each_result_is_a_line_as_it_comes() -> None:
    """The count is padded, so that names stand below each other; what was graded before is only counted."""
    console = Console(file=io.StringIO(), width=80)
    watcher = watcher_for(Tally("hw1-bikes", 10), console)
    assert type(watcher) is Lines
    with watcher:
        watcher.begins(handed_in("s001"))
        watcher.ends(result("s001"))
        watcher.ends(result("s002", before=True))
        watcher.note("the image is another one")
        watcher.ends(fault("s003"))
    assert told(console).splitlines() == [
        " 1/10  s001: ok, 7.5 of 10 points, 1.3 s, run 4f2a",
        "the image is another one",
        " 3/10  s003: not graded: no sandbox works here",
        "    fix: start Docker",
    ]


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not move back to what is to be shown anew."""
    monkeypatch.setenv("TERM", "dumb")
    assert type(watcher_for(tally_of(), terminal())) is Lines


def test_a_long_line_is_not_broken() -> None:
    """Whoever reads a log by lines finds the whole result in one."""
    console = Console(file=io.StringIO(), width=40)
    Lines(Tally("hw1-bikes", 1), console).ends(result("x" * 100))
    assert told(console) == f"1/1  {'x' * 100}: ok, 7.5 of 10 points, 1.3 s, run 4f2a\n"


def test_a_terminal_shows_what_is_done_what_runs_and_what_was_slowest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The view is gone at the end; what did not go well has left its line, and what went well has not."""
    monkeypatch.setenv("TERM", "xterm")
    console = terminal()
    watcher = watcher_for(Tally("hw1-bikes", 5), console)
    assert type(watcher) is View
    with watcher:
        for name in ("s001", "s002", "s003"):
            watcher.begins(handed_in(name))
        watcher.ends(result("s001", seconds=12.34))
        watcher.ends(result("s002", "time_limit", seconds=185))
        watcher.ends(result("s004", before=True))
        shown = drawn(watcher, console)
    assert re.search(r"3 of 5 +\d:\d\d +about \d:\d\d left", shown[0])
    counts, runs, *slowest = [re.sub(r" +", " ", line).strip() for line in shown[1:]]
    assert counts == "1 ok 1 time_limit 1 graded before"
    assert re.fullmatch(r"runs \d+\.\d+ s s003", runs)
    assert slowest == ["slowest 3 min 05 s s002", "slowest 12.3 s s001"]
    lines = told(console).splitlines()
    assert "s002: time_limit, 7.5 of 10 points, 185.0 s, run 4f2a" in lines
    assert not [line for line in lines if "s001: ok" in line or "s004: graded" in line]


def test_at_the_end_nothing_is_said_to_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is done, and nothing runs."""
    monkeypatch.setenv("TERM", "xterm")
    console = terminal()
    with View(Tally("hw1-bikes", 1), console) as view:
        view.begins(handed_in("s001"))
        view.ends(result("s001"))
        shown = drawn(view, console)
    assert "left" not in shown[0]
    assert not [line for line in shown if line.split()[:1] == ["runs"]]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("name", ["x" * 250, "\u4e2d" * 200, "e" + "\u0301" * 50], ids=ascii)
def test_the_view_is_never_wider_than_the_terminal(width: int, name: str) -> None:
    """A line that the terminal would break could not be taken back; a name has a line of its own, cut."""
    console = terminal(width)
    view = View(tally_of(result(name, "time_limit"), fault(name), total=10_000), console)
    view.begins(handed_in(name))
    shown = drawn(view, console)
    assert max(map(cell_len, shown)) <= width
    assert [line.split()[0] for line in shown[-3:]] == ["runs", "slowest", "slowest"]


@pytest.mark.parametrize("live", [False, True])
def test_a_hostile_name_acts_nowhere(monkeypatch: pytest.MonkeyPatch, *, live: bool) -> None:
    """Names are the students' choice: they stay on their line, with their controls and markup unread."""
    monkeypatch.setenv("TERM", "xterm")
    console = terminal() if live else Console(file=io.StringIO(), width=80)
    watcher = watcher_for(Tally("hw1-bikes", 3), console)
    with watcher:
        watcher.begins(handed_in(HOSTILE))
        watcher.ends(result(HOSTILE, "time_limit"))
        watcher.ends(Result(handed_in(HOSTILE), fault=HOSTILE, fix=HOSTILE))
        watcher.note(HOSTILE)
        shown = drawn(watcher, console) if isinstance(watcher, View) else []
    text = "\n".join([told(console), *shown])
    assert printable(HOSTILE)[:40] in text
    assert not {character for character in text if character not in {"\n", printable(character)}}
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]


def test_the_name_is_hostile() -> None:
    """The control: shown as it is, it would act."""
    assert printable(HOSTILE) != HOSTILE
    assert any(line.startswith("::") for line in HOSTILE.splitlines())


def test_what_a_console_cannot_carry_is_escaped() -> None:
    """A log in ASCII has the name all the same, and nothing fails."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=written, width=80)
    say(console, "s\u00e9: ok")
    written.flush()
    assert written.buffer.getvalue() == b"s\\xe9: ok\n"


def drawn(view: View, console: Console) -> list[str]:
    """The lines that the view shows now."""
    rows = console.render_lines(view._shown(), console.options, pad=False)
    return ["".join(segment.text for segment in row).rstrip() for row in rows]
