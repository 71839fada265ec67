"""The public side of a report: what may be shown where students read along, such as the log of a CI job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.host.report.figures import widened

if TYPE_CHECKING:
    from harness.host.records import Interval, Report


def public_side(report: Report) -> Report:
    """A report without its private half, and with intervals as coarse as students see them.

    Private checks, figures and verdicts, the test loss and the predictions are left out; points are those of
    the checks that are left.
    """
    run = report.run
    score = replace(run.score, public=_coarse(run.score.public), private=None, test_loss=None)
    return replace(
        report,
        run=replace(
            run,
            score=score,
            baselines=tuple(replace(tier, private=None) for tier in run.baselines),
            environment=replace(run.environment, image=""),
            predictions=None,
            finding="",
            kept=None,
        ),
        checks=tuple(check for check in report.checks if not check.private),
    )


def _coarse(interval: Interval | None) -> Interval | None:
    return None if interval is None else replace(interval, ci95=widened(*interval.ci95))
