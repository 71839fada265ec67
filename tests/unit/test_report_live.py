"""Progress is shown without holding the run up, and nothing of it outlives the run."""

from __future__ import annotations

import io
import math
import time

import pytest
from rich.console import Console

from harness.host.records import EpochClaim
from harness.host.report.live import LiveProgress, PlainProgress, Progress, SilentProgress, progress_for
from harness.protocol import Phase


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time it was set to, in seconds."""
        return self.now


def console(*, terminal: bool = False, width: int = 80) -> tuple[Console, io.StringIO]:
    """A console, and what is written to it."""
    file = io.StringIO()
    return Console(file=file, width=width, force_terminal=terminal, force_interactive=terminal), file


def claim(epoch: int, valid_loss: float = 0.5) -> EpochClaim:
    """An epoch's report."""
    return EpochClaim(epoch, train_loss=0.25, valid_loss=valid_loss, seconds=0.1)


def test_a_log_gets_a_line_for_each_tenth() -> None:
    """A thousand quick epochs make ten lines."""
    screen, file = console()
    progress = PlainProgress(screen, Clock())
    progress.note("sandbox: bubblewrap")
    progress.phase(Phase.TRAIN)
    for epoch in range(1, 1001):
        progress.epoch(claim(epoch), 1000)
    progress.phase(Phase.PREDICT)
    progress.finish()
    lines = file.getvalue().splitlines()
    assert lines[:2] == ["sandbox: bubblewrap", "training"]
    assert lines[2] == "epoch 100/1000  train 0.2500 valid 0.5000 best 0.5000  0.00 s"
    assert lines[-1] == "predicting"
    assert len(lines) == 13


def test_a_log_is_never_silent_for_long() -> None:
    """Slow epochs are told of once five seconds went by."""
    screen, file = console()
    clock = Clock()
    progress = PlainProgress(screen, clock)
    progress.phase(Phase.TRAIN)
    for epoch in range(1, 7):
        clock.now += 2.0
        progress.epoch(claim(epoch), 1000)
    assert [line.split()[1] for line in file.getvalue().splitlines()[1:]] == ["3/1000", "6/1000"]


def test_the_moving_line_tells_where_the_run_stands() -> None:
    """Epoch, losses, the best so far, the time and what is left of it fit in 80 columns."""
    screen, _ = console(terminal=True)
    clock = Clock()
    progress = LiveProgress(screen, clock)
    progress.phase(Phase.TRAIN)
    try:
        progress.epoch(claim(19, 0.25), 60)
        progress.epoch(claim(20, 0.75), 60)
        clock.now += 30.0
        line = progress.line()
    finally:
        progress.finish()
    assert line.plain.startswith("training ━━")
    assert line.plain.endswith(" 20/60  train 0.2500 valid 0.7500 best 0.2500  0:30  eta 1:00")
    assert line.cell_len < 80


@pytest.mark.parametrize("hostile", [math.nan, math.inf, -math.inf, 1e308, -1e-308])
@pytest.mark.parametrize("epoch", [-5, 0, 10**12])
def test_claims_cannot_break_the_line(epoch: int, hostile: float) -> None:
    """Whatever the training loop claims, the line stays within the console and no error comes."""
    screen, file = console(terminal=True, width=60)
    progress = LiveProgress(screen, Clock())
    plain = PlainProgress(console()[0], Clock())
    progress.phase(Phase.TRAIN)
    for shown in (progress, plain):
        shown.epoch(EpochClaim(epoch, hostile, hostile, hostile), 60)
        shown.epoch(EpochClaim(epoch, hostile, hostile, hostile), 0)
    assert progress.line().cell_len < 60
    progress.finish()
    assert "Traceback" not in file.getvalue()


def test_an_epoch_costs_next_to_nothing() -> None:
    """Ten thousand epochs a second would cost less than a tenth of one core."""
    progress = LiveProgress(console(terminal=True)[0])
    started = time.thread_time()
    for epoch in range(5000):
        progress.epoch(claim(epoch), 5000)
    assert (time.thread_time() - started) / 5000 < 50e-6


def test_the_terminal_is_left_as_it_was() -> None:
    """After the end, which may come twice, the cursor is back and nothing draws any more."""
    screen, file = console(terminal=True)
    progress = LiveProgress(screen)
    progress.phase(Phase.TRAIN)
    progress.epoch(claim(1), 2)
    progress.phase(Phase.PREDICT)
    progress.finish()
    progress.finish()
    text = file.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    time.sleep(0.5)
    assert file.getvalue() == text


def test_notes_are_escaped() -> None:
    """A note is one line of text, not markup and not terminal controls."""
    for terminal, kind in ((False, PlainProgress), (True, LiveProgress)):
        screen, file = console(terminal=terminal)
        kind(screen).note("[red]a\x1b[2J\nb")
        assert r"[red]a\x1b[2J\x0ab" in file.getvalue()


def test_the_console_decides_which_progress_suits() -> None:
    """A line moves on a terminal only; in a log of a CI system there are lines."""
    assert isinstance(progress_for(console(terminal=True)[0]), LiveProgress)
    assert isinstance(progress_for(console()[0]), PlainProgress)


def test_silence_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody watches, nothing is written."""
    progress: Progress = SilentProgress()
    progress.note("x")
    progress.phase(Phase.TRAIN)
    progress.epoch(claim(1), 2)
    progress.finish()
    assert capsys.readouterr() == ("", "")
