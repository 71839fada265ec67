"""Shows how a batch goes on: a live view on a terminal, else one line for each result as it comes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.host.report.figures import duration, stopwatch
from harness.host.report.tally import BEFORE, GRADED, kind_of, line_of
from harness.host.report.text import encodable, printable, printable_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from harness.host.report.tally import Named, Outcome, Tally

_REFRESHES_PER_SECOND = 4
_BAR = 30


class Lines:
    """Writes a line for each result; for files and CI.

    Args:
        tally: counts them.
        console: where lines go.
    """

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally, self._console = tally, console

    def begins(self, handed_in: Named) -> None:
        """Nothing is shown before there is a result."""

    def ends(self, result: Outcome) -> None:
        """Write the result's line; those that were graded before are only counted."""
        self._tally.add(result)
        if not result.before:
            done = f"{self._tally.done:>{len(str(self._tally.total))}}/{self._tally.total}"
            self.note(f"{done}  {line_of(result)}")

    def note(self, text: str) -> None:
        """Write a line of its own."""
        say(self._console, printable_text(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class View(Lines):
    """Shows what is done, what runs, and when it will be over; what did not go well has a line above.

    Args:
        tally: counts the results.
        console: a terminal.
    """

    def __init__(self, tally: Tally, console: Console) -> None:
        super().__init__(tally, console)
        self._running: dict[str, float] = {}
        self._live = Live(
            get_renderable=self._shown,
            console=console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        )

    def begins(self, handed_in: Named) -> None:
        """Show it among those that run."""
        self._running[handed_in.name] = time.monotonic()

    def ends(self, result: Outcome) -> None:
        """Count it, and write its line if it did not go well."""
        self._running.pop(result.handed_in.name, None)
        self._tally.add(result)
        if kind_of(result) not in {GRADED, BEFORE}:
            self.note(line_of(result))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _shown(self) -> RenderableType:
        tally, now = self._tally, time.monotonic()
        left = tally.seconds_left()
        until = f"about {stopwatch(left)} left" if left is not None and tally.done < tally.total else ""
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=tally.total, completed=tally.done, width=_BAR),
            f"{tally.done} of {tally.total}",
            stopwatch(tally.seconds),
            until,
        )
        counts = "   ".join(f"{count} {kind}" for kind, count in tally.outcomes.most_common())
        running = sorted(self._running.copy().items(), key=lambda each: each[1])
        lines = [
            Text(counts),
            *(self._line("runs", name, now - since) for name, since in running),
            *(self._line("slowest", name, seconds) for seconds, name in reversed(tally.slowest)),
        ]
        return Group(head, *lines)

    def _line(self, label: str, name: str, seconds: float) -> Text:
        shown = encodable(printable(name), self._console.encoding)
        text = Text(f"  {label:<8} {duration(seconds):>12}  ", style="dim", no_wrap=True, overflow="ellipsis")
        return text.append(shown, style="default")


def watcher_for(tally: Tally, console: Console) -> Lines:
    """The view that suits a console."""
    live = console.is_terminal and not console.is_dumb_terminal
    return View(tally, console) if live else Lines(tally, console)


def say(console: Console, text: str) -> None:
    """Write lines as they are, whatever the console's width and encoding."""
    console.print(Text(encodable(text, console.encoding)), soft_wrap=True)
