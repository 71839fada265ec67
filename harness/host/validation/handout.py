"""Looks at what students get: the handout's figures, the starter, and whether a kit can be made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.host.config import parse_config
from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.release.kit import BESIDE_THE_DATA, HANDOUT, make_kit
from harness.host.release.leaks import find_leaks
from harness.host.release.starter import load_starter
from harness.host.validation.findings import Finding, passed, problem, some, warning
from harness.host.validation.tiers import points_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.assignment import Assignment
    from harness.host.data import Data
    from harness.host.release.hidden import Hidden

MIB_A_GIB = 1024


def check_handout(assignment: Assignment, data: Data) -> Iterator[Finding]:
    """Whether the handout states the figures that students are graded by."""
    path = assignment.folder / HANDOUT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        yield problem("handout", f"{path.name} cannot be read ({type(error).__name__})", f"write {path}")
        return
    words = set(re.findall(r"[\w.:-]*\w", text.replace(",", "").lower()))
    missing = [what for what, forms in _stated(assignment, data) if not words & forms]
    if missing:
        yield warning("handout", f"it does not mention {some(missing, 8)}", f"say it in {path.name}")
    else:
        yield passed("handout", "it states rows, target, metric, thresholds, points, and limits")


def _stated(assignment: Assignment, data: Data) -> Iterator[tuple[str, set[str]]]:
    """What a handout should say, and the words of which one has to be there."""
    limits = assignment.limits
    yield f"the target {assignment.data.target}", {assignment.data.target.lower()}
    yield f"the metric {assignment.metric.name}", {assignment.metric.name}
    yield f"the {len(data.train_inputs)} training rows", {str(len(data.train_inputs))}
    yield f"the {len(data.test_inputs)} test rows", {str(len(data.test_inputs))}
    yield f"the {len(data.features)} features", {str(len(data.features))}
    for tier in assignment.tiers:
        yield f"the threshold {tier.threshold:g} of {tier.name}", _spelled(tier.threshold)
    yield f"the {points_of(assignment):g} points", _spelled(points_of(assignment))
    yield f"{limits.train_seconds:g} seconds for training", _spelled(limits.train_seconds)
    yield f"{limits.predict_seconds:g} seconds for predicting", _spelled(limits.predict_seconds)
    yield f"{limits.memory_mb} MiB of memory", {str(limits.memory_mb), f"{limits.memory_mb / MIB_A_GIB:g}"}
    if assignment.deadline is not None:
        yield "the deadline's date", {f"{assignment.deadline:%Y-%m-%d}", str(assignment.deadline.day)}
    if assignment.attempts_per_day is not None:
        yield f"the {assignment.attempts_per_day} attempts a day", _spelled(assignment.attempts_per_day)


def _spelled(number: float) -> set[str]:
    """A number as people write it: 0.635 also as 63.5."""
    return {
        str(number),
        f"{number:g}",
        f"{100 * number:g}",
        *(f"{number:.{digits}f}" for digits in (1, 2, 3)),
    }


def check_starter(assignment: Assignment) -> Iterator[Finding]:
    """Whether there is something to begin with that this assignment takes."""
    try:
        config = parse_config(load_starter(assignment).config, assignment)
    except (InvalidSubmissionError, UsageError) as error:
        yield problem(
            "starter", error.message, "students begin with starter/: make it one that can be graded"
        )
        return
    if config.assignment not in {None, assignment.id}:
        yield problem(
            "starter", f"its config names the assignment {config.assignment}", f"name {assignment.id}"
        )
    else:
        yield passed("starter", "its config is one that this assignment takes")


def check_kit(assignment: Assignment, data: Data, hidden: Hidden) -> Iterator[Finding]:
    """Whether a kit can be made in which nothing hidden is found."""
    notes: list[str] = []
    try:
        kit = make_kit(assignment, [], notes.append)
    except UsageError as error:
        yield problem("kit", error.message, error.fix)
        return
    leaks = find_leaks(kit.files, kit.test_file, data, hidden)
    for leak in leaks:
        yield problem("kit", f"{leak.path}: {leak.what}", "docs/how-to/release-a-kit.md says what to do")
    for note in notes:
        yield warning("kit", note, "see that it is what you want")
    if not leaks and not notes:
        yield passed("kit", f"{len(kit.files)} files, and nothing hidden is found in them")
    folders = {assignment.train_path.parent, assignment.test_path.parent}
    if not any((folder / name).is_file() for folder in folders for name in BESIDE_THE_DATA):
        yield warning(
            "data", "nothing says where they are from", "write a NOTICE with source and licence beside them"
        )
