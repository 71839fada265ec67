"""The main flow of ``harness check``: a submission is read and looked over in one sandbox.

Nothing is graded or stored, no attempt is counted, and no reference is looked for. The sandbox is that of the
training, with its walls and limits, and is given the training rows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.host.config import parse_config
from harness.host.conversation import Conversation
from harness.host.errors import InvalidSubmissionError
from harness.host.execution import environment, sandbox_spec
from harness.host.preflight.claims import MOST_BYTES, Claims, NoClaimsError, read_claims
from harness.host.preflight.limits import over_the_limits, project
from harness.host.preflight.records import Checked
from harness.host.preflight.words import left_out, said
from harness.host.records import PhaseResult, Place
from harness.host.submission import load_submission
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.assignment import Assignment
    from harness.host.config import TrainConfig
    from harness.host.phases import Material
    from harness.host.records import Environment, Submission
    from harness.host.sandbox.base import Backend
    from harness.host.verdict import Job

GUEST_SECONDS = 10.0  # for the looks that can be left out; what cannot takes what it takes
DEADLINE = 60.0
UNLABELLED_ROWS = 64
NO_CLAIMS = "what came out of the sandbox is not what a check reports: the submission's code has changed it"


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What to look over, and with what.

    Attributes:
        submission: a folder or archive.
        device: ``cpu`` or ``cuda``.
        reason: why the sandbox was chosen, for people.
        cores: the processors that are reserved for it; empty where none are.
        seconds: for what can be left out, and the host's deadline for all of it.
    """

    assignment: Assignment
    submission: Path
    device: str
    reason: str
    cores: frozenset[int] = frozenset()
    seconds: tuple[float, float] = (GUEST_SECONDS, DEADLINE)


def check(order: CheckOrder, backend: Backend) -> Checked:
    """Look one submission over; what is wrong with it is a finding, or an outcome that is not ok.

    Raises:
        HarnessError: the command, the assignment or the machine is at fault.
    """
    assignment, submission = order.assignment, None
    try:
        submission = load_submission(order.submission, max_bytes=assignment.limits.submission_kb * 1024)
        config = parse_config(submission.config, assignment)
        return _look_over(order, backend, submission, config)
    except InvalidSubmissionError as error:
        place = Place(error.file, error.line) if error.file and error.line else None
        result = PhaseResult(Outcome.INVALID_SUBMISSION, Phase.SUBMISSION, error.message, error.hint, place)
        where = environment(backend, order.device, order.reason, {})
        return _checked(order, submission, result, where)


def _look_over(order: CheckOrder, backend: Backend, submission: Submission, config: TrainConfig) -> Checked:
    limits = order.assignment.limits
    spec = sandbox_spec(limits, secrets.token_hex(8), order.cores, gpu=order.device == "cuda")
    with Conversation.open(backend, spec) as conversation:
        from harness.host.phases import prepare  # noqa: PLC0415  NumPy loads while the guest does

        material = prepare(order.assignment, submission, config, None, order.device)
        job = _job(material, order.seconds)
        versions = conversation.wait_until_ready()
        result = conversation.run(job, lambda _: None)
    where = environment(backend, order.device, order.reason, versions)
    try:
        claims = read_claims(result.payload) if result.payload or result.outcome is Outcome.OK else Claims()
    except NoClaimsError:
        result = replace(result, outcome=Outcome.RUNTIME_ERROR, message=NO_CLAIMS, hint="", place=None)
        claims = Claims()
    checked = _checked(order, submission, result, where)
    predicted = len(material.plan.orders[0])
    projection = project(claims.measured, config, limits, predicted, result.usage)
    found = [
        replace(words, place=_origin(submission, words.place))
        for claim in claims.found
        if (words := said(claim)) is not None
    ]
    found += over_the_limits(projection) if projection is not None else ()
    skipped = left_out(claims.skipped)
    return replace(checked, found=tuple(found), skipped=skipped, projection=projection)


def _job(material: Material, seconds: tuple[float, float]) -> Job:
    """The training's job, to be looked over instead of being done."""
    import numpy as np  # noqa: PLC0415  it is loaded by now

    from harness.host.data import SpelledRows  # noqa: PLC0415  likewise
    from harness.host.work import Work  # noqa: PLC0415  likewise

    plan, rows = material.plan, material.rows
    training = Work(plan, rows).training_job()
    blobs = dict(training.blobs)
    few = rows.train_inputs[:UNLABELLED_ROWS]
    if plan.reads_csv:
        spelled = SpelledRows(few, rows.features, rows.id_column)
        blobs["unlabelled"] = spelled.csv(np.arange(len(few)))
    fields = {
        "seconds": seconds[0],
        "valid_rows": len(plan.valid_rows),
        "predicted": [[job.fields["rows"], job.fields["batch_size"]] for job in plan.predictions],
        "unlabelled_rows": len(few),
    }
    return replace(
        training,
        phase=Phase.CHECK,
        fields=training.fields | fields,
        blobs=blobs,
        seconds=seconds[1],
        payload_bytes=MOST_BYTES,
    )


def _checked(
    order: CheckOrder, submission: Submission | None, result: PhaseResult, where: Environment
) -> Checked:
    return Checked(
        assignment=order.assignment.id,
        title=order.assignment.title,
        submission_name=submission.name if submission else order.submission.name,
        submission_sha256=submission.sha256 if submission else "",
        notes=submission.notes if submission else (),
        result=replace(result, place=_origin(submission, result.place)),
        found=(),
        skipped=(),
        projection=None,
        environment=where,
    )


def _origin(submission: Submission | None, place: Place | None) -> Place | None:
    return submission.origin_of(place) if submission is not None and place is not None else place
