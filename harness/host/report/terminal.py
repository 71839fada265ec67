"""Shows a report on a terminal: outcome, reason and figures, readable in 80 columns without colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.report.curve import BEST, VALID_PEN, learning_curve
from harness.host.report.figures import better, duration, figure, memory, points
from harness.host.report.page import Page, Span
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from rich.console import Console

    from harness.host.records import Check, EpochClaim, Interval, Report, Run

LOG_LINES = 15
DOING = {
    Phase.SUBMISSION: "while reading the submission",
    Phase.TRAIN: "while training",
    Phase.PREDICT: "while predicting",
}
_LABEL = 14
_VALUE = 12
_CURVE_STYLES = {**dict.fromkeys(VALID_PEN.signs, "cyan"), BEST: "bold green"}


def render(report: Report, console: Console) -> None:
    """Write the whole report to `console`.

    Everything in it is escaped, and no line is longer than the console is wide. It is for whoever has the
    reference at hand: then it shows the private split too.
    """
    page = Page(console)
    run = report.run
    ended_well = run.outcome is Outcome.OK
    _headline(page, report)
    if not ended_well:
        _failure(page, run)
    _score(page, run)
    _tiers(page, run)
    _checks(page, report.checks)
    _loss(page, run)
    _runtime(page, report)
    _notebook(page, report.notes)
    _environment(page, run)
    if not ended_well and run.log.strip():
        page.heading("Log", f"its last {LOG_LINES} lines, as the submission printed them")
        page.tail(run.log, LOG_LINES)
    page.line()


def _headline(page: Page, report: Report) -> None:
    run = report.run
    ended_well = run.outcome is Outcome.OK
    style = "bold green" if ended_well else "bold red"
    mark = f"{page.glyphs.passed if ended_well else page.glyphs.failed} " if page.unicode else ""
    page.line()
    total = f"{points(report.points)} / {points(report.max_points)} points"
    page.ends(Span(report.title or report.assignment, "bold"), Span(total, style))
    where = f"   {page.glyphs.dot}   "
    page.line(
        Span(f"{mark}{run.outcome.value}", style),
        Span(where, "dim"),
        report.assignment,
        Span(where, "dim"),
        report.submission_name,
    )
    page.rule()


def _failure(page: Page, run: Run) -> None:
    where = [DOING[run.phase]] if run.phase else []
    where += [f"at {run.place.file}:{run.place.line}"] if run.place else []
    page.heading("What happened", ", ".join(where))
    page.quote(run.message or f"The outcome is {run.outcome.value}.", style="red")
    if run.hint:
        page.heading("What to do")
        page.quote(run.hint)


def _score(page: Page, run: Run) -> None:
    score = run.score
    splits = {"validation": score.validation, "public test": score.public, "private test": score.private}
    known = {name: interval for name, interval in splits.items() if interval is not None}
    if not known:
        return
    page.heading("Score", f"{score.metric}, {better(score.direction)}")
    for name, interval in known.items():
        _interval(page, name, interval)
    if score.chance is not None:
        page.line(
            "  ",
            Span("chance", width=_LABEL),
            Span(figure(score.chance), width=_VALUE),
            Span("the best single answer to all training rows", "dim"),
        )
    if score.public is None and score.private is None:
        page.paragraph(
            "There is no hidden reference on this machine: the score is on the validation rows, "
            "which the training saw when it chose its best epoch.",
            style="yellow",
        )


def _interval(page: Page, name: str, interval: Interval) -> None:
    low, high = map(figure, interval.ci95)
    page.line(
        "  ",
        Span(name, width=_LABEL),
        Span(figure(interval.value), "bold", width=_VALUE),
        Span(f"95 % interval {low} {page.glyphs.dash} {high}", "dim", width=36),
        Span(f"{interval.rows} rows", "dim"),
    )


def _tiers(page: Page, run: Run) -> None:
    splits = {
        "public": {tier.name: tier.public for tier in run.baselines},
        "private": {tier.name: tier.private for tier in run.baselines},
    }
    scored = {name: beaten for name, beaten in splits.items() if set(beaten.values()) - {None}}
    if not scored:
        return
    page.line()
    heads = [Span(name, "dim", width=-10) for name in scored]
    page.line(Span("Tiers", "bold", width=_LABEL + 2), Span("threshold", "dim", width=9), *heads)
    signs = {
        True: (page.glyphs.passed, "green"),
        False: (page.glyphs.failed, "red"),
        None: (page.glyphs.absent, "dim"),
    }
    for tier in run.baselines:
        beaten = [signs[split[tier.name]] for split in scored.values()]
        page.line(
            "  ",
            Span(tier.name, width=_LABEL),
            Span(figure(tier.threshold), width=9),
            *[Span(sign, style, width=-10) for sign, style in beaten],
        )


def _checks(page: Page, checks: tuple[Check, ...]) -> None:
    if not checks:
        return
    signs = {
        "passed": (page.glyphs.passed, "green"),
        "failed": (page.glyphs.failed, "red"),
        "skipped": (page.glyphs.absent, "dim"),
    }
    page.line()
    page.ends(Span("Checks", "bold"), Span("points", "dim"))
    for check in checks:
        sign, style = signs.get(check.outcome, (page.glyphs.error, "bold red"))
        earned = f"{points(check.points)} / {points(check.max_points)}" if check.max_points else ""
        room = page.width - len(earned) - 7
        page.line(
            "  ",
            Span(sign, style, width=3),
            Span(check.name, width=room),
            Span(earned, width=-len(earned) - 2),
        )
        if check.outcome != "passed" and check.message:
            page.quote(check.message, indent=5, style="dim" if check.outcome == "skipped" else "")


def _loss(page: Page, run: Run) -> None:
    if not run.epochs:
        return
    page.heading("Loss", "reported by the training loop")
    best = _best(run)
    shown = best or run.epochs[-1]
    page.line(
        "  ",
        Span("best epoch" if best else "last epoch", width=_LABEL),
        Span(f"{shown.epoch} of {len(run.epochs)}", width=_VALUE),
        f"train {figure(shown.train_loss)}   valid {figure(shown.valid_loss)}",
    )
    if run.score.test_loss is not None:
        page.line(
            "  ",
            Span("test", width=_LABEL),
            Span(figure(run.score.test_loss), width=_VALUE),
            Span("computed by the harness", "dim"),
        )
    curve = learning_curve(
        [claim.train_loss for claim in run.epochs],
        [claim.valid_loss for claim in run.epochs],
        run.best_epoch,
        size=(page.width - 2, 9),
        unicode=page.unicode,
    )
    if curve:
        page.line()
        page.plot(curve, indent=2, styles=_CURVE_STYLES if page.unicode else {})


def _best(run: Run) -> EpochClaim | None:
    if run.best_epoch is None or not 1 <= run.best_epoch <= len(run.epochs):
        return None
    return run.epochs[run.best_epoch - 1]


def _runtime(page: Page, report: Report) -> None:
    runtime = report.run.runtime
    if not runtime.total_seconds:
        return
    rows = (
        (
            ("training", duration(runtime.train_seconds)),
            ("prediction", duration(runtime.predict_seconds)),
            ("in all", duration(runtime.total_seconds)),
        ),
        (
            ("processor", duration(runtime.cpu_seconds)),
            ("peak memory", memory(runtime.peak_memory_bytes)),
            ("time limit", duration(report.seconds_limit)),
        ),
    )
    page.heading("Runtime")
    for row in rows:
        spans = [(Span(name, "dim", width=_LABEL), Span(value, width=_VALUE)) for name, value in row]
        page.line("  ", *[span for pair in spans for span in pair])


def _notebook(page: Page, notes: tuple[str, ...]) -> None:
    if not notes:
        return
    page.heading("Notebook", "what was taken of it")
    for note in notes:
        page.quote(note)


def _environment(page: Page, run: Run) -> None:
    environment = run.environment
    page.heading("Environment")
    wall = Span("isolated") if environment.isolated else Span("NOT ISOLATED", "bold red")
    page.line("  ", Span("sandbox", "dim", width=_LABEL), f"{environment.sandbox}, ", wall)
    if environment.reason:
        page.paragraph(environment.reason, indent=_LABEL + 2, style="dim")
    device = [environment.device, f"({environment.device_name})" if environment.device_name else ""]
    versions = {"torch": environment.torch, "Python": environment.python}
    rows = {
        "device": " ".join(filter(None, device)),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "image": environment.image,
        "run": run.run_id,
    }
    for name, value in rows.items():
        if value:
            page.line("  ", Span(name, "dim", width=_LABEL), value)
