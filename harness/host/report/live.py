"""Shows how far a run is while it runs: a line that moves on a terminal, a few lines in a log, nothing."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from rich.live import Live
from rich.text import Text

from harness.host.report.figures import duration, figure, stopwatch
from harness.host.report.page import is_unicode
from harness.host.report.text import encodable, printable
from harness.protocol import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from harness.host.records import EpochClaim

REFRESHES_PER_SECOND = 5
SECONDS_BETWEEN_LINES = 5.0
LINES_A_TRAINING = 10
NARROWEST_BAR, WIDEST_BAR = 4, 24
_DOING = {Phase.SUBMISSION: "reading the submission", Phase.TRAIN: "training", Phase.PREDICT: "predicting"}


class Progress(Protocol):
    """What the main flow tells while it runs. Everything may be called from any one thread, in any order."""

    def note(self, text: str) -> None:
        """Something worth a line of its own, such as which sandbox was taken and why."""

    def phase(self, phase: Phase) -> None:
        """A phase starts."""

    def epoch(self, claim: EpochClaim, epochs: int) -> None:
        """The training loop reports an epoch, of at most `epochs`. It costs next to nothing."""

    def finish(self) -> None:
        """The run is over, well or not; the terminal is left as it was. A second call does nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a phase is, in values that a reader in another thread takes all at once.

    Attributes:
        started: by the clock of the progress, in seconds.
    """

    phase: Phase
    started: float
    epoch: int = 0
    epochs: int = 0
    train_loss: float = math.nan
    valid_loss: float = math.nan
    best_loss: float = math.inf
    best_epoch: int = 0

    def after(self, claim: EpochClaim, epochs: int) -> Standing:
        """The standing after one more epoch. What is claimed is kept within bounds, not believed."""
        epochs = max(epochs, 1)
        epoch = min(max(claim.epoch, 0), epochs)
        better = claim.valid_loss < self.best_loss
        return replace(
            self,
            epoch=epoch,
            epochs=epochs,
            train_loss=claim.train_loss,
            valid_loss=claim.valid_loss,
            best_loss=claim.valid_loss if better else self.best_loss,
            best_epoch=epoch if better else self.best_epoch,
        )

    def losses(self) -> str:
        """The losses of the last epoch and the best so far."""
        best = f" best {figure(self.best_loss)}" if self.best_epoch else ""
        return f"train {figure(self.train_loss)} valid {figure(self.valid_loss)}{best}"

    def remaining(self, now: float) -> float | None:
        """Seconds left at the pace so far, if no early stop comes; None before the first epoch."""
        return (now - self.started) / self.epoch * (self.epochs - self.epoch) if self.epoch else None


class SilentProgress:
    """Shows nothing."""

    def note(self, text: str) -> None:
        """See `Progress`."""

    def phase(self, phase: Phase) -> None:
        """See `Progress`."""

    def epoch(self, claim: EpochClaim, epochs: int) -> None:
        """See `Progress`."""

    def finish(self) -> None:
        """See `Progress`."""


class PlainProgress:
    """Lines for a log: one a phase, one a tenth of the epochs, and one if five seconds went by without."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._standing: Standing | None = None
        self._written = 0.0

    def note(self, text: str) -> None:
        """See `Progress`."""
        self._write(text)

    def phase(self, phase: Phase) -> None:
        """See `Progress`."""
        self._standing = Standing(phase, self._clock())
        self._write(_DOING[phase])

    def epoch(self, claim: EpochClaim, epochs: int) -> None:
        """See `Progress`."""
        before = self._standing or Standing(Phase.TRAIN, self._clock())
        self._standing = now = before.after(claim, epochs)
        tenth_before, tenth = (s.epoch * LINES_A_TRAINING // now.epochs for s in (before, now))
        if tenth > tenth_before or self._clock() - self._written >= SECONDS_BETWEEN_LINES:
            elapsed = duration(self._clock() - now.started)
            self._write(f"epoch {now.epoch}/{now.epochs}  {now.losses()}  {elapsed}")

    def finish(self) -> None:
        """See `Progress`."""

    def _write(self, text: str) -> None:
        self._written = self._clock()
        line = encodable(printable(text), self._console.encoding)
        self._console.print(Text(line), soft_wrap=True)


class LiveProgress:
    """One line that is drawn anew five times a second, in a thread of its own, and is gone at the end."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._unicode = is_unicode(console)
        self._standing: Standing | None = None
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """See `Progress`."""
        line = encodable(printable(text), self._console.encoding)
        self._console.print(Text(line, style="dim"), soft_wrap=True)

    def phase(self, phase: Phase) -> None:
        """See `Progress`."""
        self._standing = Standing(phase, self._clock())
        if self._live is None:
            self._live = Live(
                get_renderable=self.line,
                console=self._console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def epoch(self, claim: EpochClaim, epochs: int) -> None:
        """See `Progress`."""
        standing = self._standing or Standing(Phase.TRAIN, self._clock())
        self._standing = standing.after(claim, epochs)

    def finish(self) -> None:
        """See `Progress`."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def line(self) -> Text:
        """The line as it stands now; the bar takes what room the figures leave."""
        standing = self._standing
        if standing is None:
            return Text()
        line = Text(_DOING[standing.phase], no_wrap=True, overflow="crop")
        room = max(self._console.width - 1, 1)
        rest = self._figures(standing)
        columns = min(room - line.cell_len - rest.cell_len - 1, WIDEST_BAR)
        if standing.epochs and columns >= NARROWEST_BAR:
            done = standing.epoch * columns // standing.epochs
            full, empty = ("━", "─") if self._unicode else ("#", ".")
            line.append(" ").append(full * done, style="cyan").append(empty * (columns - done), style="dim")
        line.append_text(rest)
        line.truncate(room)
        return line

    def _figures(self, standing: Standing) -> Text:
        now = self._clock()
        figures = Text()
        if standing.epochs:
            figures.append(f" {standing.epoch}/{standing.epochs}  {standing.losses()}")
        figures.append(f"  {stopwatch(now - standing.started)}", style="dim")
        remaining = standing.remaining(now)
        if remaining is not None:
            figures.append(f"  eta {stopwatch(remaining)}", style="dim")
        return figures


def progress_for(console: Console) -> Progress:
    """The progress that suits a console: a moving line on a terminal, lines elsewhere."""
    return LiveProgress(console) if console.is_interactive else PlainProgress(console)
