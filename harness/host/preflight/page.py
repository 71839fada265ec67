"""Shows on a terminal what a preflight came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.report.figures import duration, memory
from harness.host.report.page import Page, Span
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from rich.console import Console

    from harness.host.preflight.records import Checked, Projection, Said
    from harness.host.records import Place

LOG_LINES = 15
NOTHING = "nothing to complain about"
_LABEL, _VALUE = 14, 14


def render(checked: Checked, console: Console) -> None:
    """Write what was found, what would have to be done about it, and what the training would take.

    Everything in it is escaped, and no line is longer than the console is wide.
    """
    page = Page(console)
    _headline(page, checked)
    if checked.outcome is not Outcome.OK:
        _failure(page, checked)
    if checked.found:
        page.heading("Found", "as seen inside the sandbox, beside the submission's code")
        for said in checked.found:
            _finding(page, said)
    for text in checked.skipped:
        page.line()
        page.paragraph(text, indent=0, style="dim")
    if is_clean(checked):
        page.line()
        page.line(Span(NOTHING, "bold green"))
    else:
        _background(page, checked)
    if checked.projection is not None:
        _projection(page, checked.projection)
    page.line()


def is_clean(checked: Checked) -> bool:
    """Whether it went through, and nothing was found."""
    return checked.outcome is Outcome.OK and not checked.found


def _headline(page: Page, checked: Checked) -> None:
    ended_well = is_clean(checked)
    style = "bold green" if ended_well else "bold red"
    mark = f"{page.glyphs.passed if ended_well else page.glyphs.failed} " if page.unicode else ""
    count = len(checked.found)
    word = checked.outcome.value
    if checked.outcome is Outcome.OK and count:
        word = "1 finding" if count == 1 else f"{count} findings"
    where = f"   {page.glyphs.dot}   "
    wall = Span("") if checked.environment.isolated else Span(f"{where}NOT ISOLATED", "bold red")
    page.line()
    page.ends(Span(checked.title or checked.assignment, "bold"), Span("checked, not graded", "dim"))
    page.line(
        Span(f"{mark}{word}", style),
        Span(where, "dim"),
        checked.assignment,
        Span(where, "dim"),
        checked.submission_name,
        wall,
    )
    page.rule()


def _failure(page: Page, checked: Checked) -> None:
    result = checked.result
    reading = result.phase is Phase.SUBMISSION
    page.heading("What happened", _at("while reading it" if reading else "while checking", result.place))
    page.quote(result.message or f"The outcome is {result.outcome.value}.", style="red")
    if result.hint:
        page.heading("What to do")
        page.quote(result.hint)


def _background(page: Page, checked: Checked) -> None:
    """What helps to understand a fault: what was taken of a notebook, and what the code printed."""
    if checked.notes:
        page.heading("Notebook", "what was taken of it")
        for note in checked.notes:
            page.quote(note)
    if checked.result.log.strip():
        page.heading("Log", f"its last {LOG_LINES} lines, as the submission printed them")
        page.tail(checked.result.log, LOG_LINES)


def _at(doing: str, place: Place | None) -> str:
    return f"{doing}, at {place.file}:{place.line}" if place is not None else doing


def _finding(page: Page, said: Said) -> None:
    where = f"{said.place.file}:{said.place.line}" if said.place is not None else ""
    page.line()
    page.line("  ", Span(f"{page.glyphs.failed} ", "red"), Span(said.title, "bold"), "  ", Span(where, "dim"))
    page.quote(said.message, indent=4)
    page.quote(f"Hint: {said.hint}", indent=4, style="cyan")


def _projection(page: Page, projection: Projection) -> None:
    page.heading(
        "Projection", f"an estimate from {_timed(projection.epochs_timed)}, as timed inside the sandbox"
    )
    most = " at most" if projection.early_stop else ""
    epochs = f"{projection.epochs:,} {'epoch' if projection.epochs == 1 else 'epochs'}{most}"
    rows = (
        ("training", duration(projection.train_seconds), duration(projection.train_limit), epochs),
        ("prediction", duration(projection.predict_seconds), duration(projection.predict_limit), ""),
        ("peak memory", memory(projection.memory_bytes), memory(projection.memory_limit), ""),
        ("weights", memory(projection.weights_bytes), memory(projection.weights_limit), ""),
    )
    for name, value, limit, remark in rows:
        about = "about " if name in {"training", "prediction"} else ""
        page.line(
            "  ",
            Span(name, "dim", width=_LABEL),
            Span(f"{about}{value}", width=_VALUE + 6),
            Span(f"of {limit}", "dim", width=_VALUE + 2),
            Span(remark, "dim"),
        )
    if projection.gpu_bytes is not None:
        page.line("  ", Span("GPU memory", "dim", width=_LABEL), memory(projection.gpu_bytes))


def _timed(epochs: float) -> str:
    if epochs < 1:
        return f"{100 * epochs:.2g} % of an epoch"
    return f"{epochs:.0f} {'epoch' if round(epochs) == 1 else 'epochs'}"
