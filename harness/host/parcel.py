"""What a worker is given and what it answers, as bytes: messages of `harness.protocol`, nothing pickled.

Three kinds go out and back: the assignment's rows, sent once; a submission's plan, which names them by their
digest; and an answer. Each carries the sender's edition, and is refused where that is another one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.host.assignment import Limits
from harness.host.edition import differences, edition
from harness.host.errors import MachineError
from harness.host.execution import Execution
from harness.host.records import Environment, EpochClaim, PhaseResult, Place, Usage
from harness.host.verdict import Job
from harness.host.work import Draws, Plan, Rows
from harness.protocol import Message, Outcome, Phase, ProtocolError, encode, read_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ROWS, WORK, ANSWER, FAULT, STOPPED = "rows", "work", "answer", "fault", "stopped"
DTYPES = ("<f4", "<f8", "<i8")
ROW_ARRAYS = ("train_inputs", "train_targets", "test_inputs")
EPOCH_NUMBERS = 3  # of a claim: both losses and the seconds


class ParcelError(MachineError):
    """The bytes are no parcel of this edition."""


@dataclass(frozen=True, eq=False, slots=True)
class Parcel:
    """One submission's work.

    Attributes:
        run_id: of the run.
        sandbox: ``auto``, ``docker``, ``bubblewrap`` or ``none``.
        device: ``cpu`` or ``cuda``.
        runtime: of the Docker engine; None for the engine's own.
        rows: digest of the assignment's rows.
        plan: what is done with them.
    """

    run_id: str
    sandbox: str
    device: str
    runtime: str | None
    rows: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        execution: what came out of the sandboxes.
        where: they ran.
        seconds: from the parcel's arrival to the end of the last sandbox.
    """

    execution: Execution
    where: Environment
    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """The worker could not do it, and the submission is not judged."""

    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The worker was told to leave before there was a result."""


def digest_of(parcel: bytes) -> str:
    """The name of an assignment's rows."""
    return hashlib.sha256(parcel).hexdigest()


def pack_rows(rows: Rows) -> bytes:
    """The rows as bytes."""
    shapes, blobs = _packed({name: getattr(rows, name) for name in ROW_ARRAYS})
    names = json.dumps([rows.id_column, *rows.features]).encode()  # may be longer than a header
    return _wrap(ROWS, {"arrays": shapes}, {**blobs, "train_file": rows.train_file, "names": names})


def unpack_rows(parcel: bytes) -> Rows:
    """The rows again.

    Raises:
        ParcelError: the bytes are no rows, or of another edition.
    """
    message = _unwrap(parcel, ROWS)
    id_column, *features = json.loads(bytes(message.blobs["names"]))
    arrays = _unpacked(message)
    return Rows(
        features=tuple(features),
        id_column=id_column,
        train_file=bytes(message.blobs["train_file"]),
        **{name: arrays[name] for name in ROW_ARRAYS},
    )


def pack_work(parcel: Parcel) -> bytes:
    """A submission's work as bytes: hardly more than its code, since its orders can be drawn again."""
    plan = parcel.plan
    fields = {
        "run_id": parcel.run_id,
        "sandbox": parcel.sandbox,
        "device": parcel.device,
        "runtime": parcel.runtime,
        "rows": parcel.rows,
        "limits": plan.limits.model_dump(),
        "jobs": [_job_fields(job) for job in (plan.training, *plan.predictions)],
        "draws": asdict(plan.draws),
        "reads_csv": plan.reads_csv,
    }
    return _wrap(WORK, fields, plan.training.blobs)


def unpack_work(parcel: bytes) -> Parcel:
    """A submission's work again.

    Raises:
        ParcelError: the bytes are no work, or of another edition.
    """
    message = _unwrap(parcel, WORK)
    fields, code = message.fields, dict(message.blobs)
    training, first, second = (
        Job(**{**each, "phase": Phase(each["phase"])}, blobs=code) for each in fields["jobs"]
    )
    drawn = fields["draws"]
    draws = Draws(drawn["seed"], drawn["valid_ratio"], tuple(drawn["order_seeds"]))
    plan = Plan(
        limits=Limits.model_validate(fields["limits"]),
        training=training,
        predictions=(first, second),
        draws=draws,
        valid_rows=draws.valid_rows(training.fields["rows"]),
        orders=draws.orders(first.fields["rows"]),
        reads_csv=fields["reads_csv"],
    )
    names = ("run_id", "sandbox", "device", "runtime", "rows")
    return Parcel(**{name: fields[name] for name in names}, plan=plan)


def pack_answer(answer: Answer | Fault | Stopped) -> bytes:
    """An answer as bytes."""
    if isinstance(answer, Stopped):
        return _wrap(STOPPED, {}, {})
    if isinstance(answer, Fault):
        return _wrap(FAULT, asdict(answer), {})
    execution = answer.execution
    results = [*execution.results, *([execution.again] if execution.again is not None else [])]
    blobs: dict[str, bytes | memoryview] = {}
    for number, result in enumerate(results):
        claims = [(claim.train_loss, claim.valid_loss, claim.seconds) for claim in result.epochs]
        blobs[f"payload {number}"] = result.payload
        blobs[f"log {number}"] = result.log.encode(errors="surrogatepass")
        blobs[f"epochs {number}"] = np.array(claims, dtype="<f8").tobytes()
    fields = {
        "versions": execution.versions,
        "where": asdict(answer.where),
        "seconds": answer.seconds,
        "results": [_result_fields(result) for result in results],
        "again": execution.again is not None,
    }
    return _wrap(ANSWER, fields, blobs)


def unpack_answer(parcel: bytes) -> Answer | Fault | Stopped:
    """An answer again.

    Raises:
        ParcelError: the bytes are no answer, or of another edition.
    """
    message = _unwrap(parcel, ANSWER, FAULT, STOPPED)
    fields = message.fields
    if message.kind == STOPPED:
        return Stopped()
    if message.kind == FAULT:
        return Fault(fields["message"], fields["fix"])
    results = [_result(each, number, message.blobs) for number, each in enumerate(fields["results"])]
    again = results.pop() if fields["again"] else None
    execution = Execution(fields["versions"], tuple(results), again)
    return Answer(execution, Environment(**fields["where"]), fields["seconds"])


def _job_fields(job: Job) -> dict[str, Any]:
    return {
        "phase": job.phase,
        "fields": job.fields,
        "seconds": job.seconds,
        "payload_bytes": job.payload_bytes,
        "log_bytes": job.log_bytes,
    }


def _result_fields(result: PhaseResult) -> dict[str, Any]:
    apart = replace(result, payload=b"", log="", epochs=())
    return {key: value for key, value in asdict(apart).items() if key not in {"payload", "log", "epochs"}}


def _result(fields: dict[str, Any], number: int, blobs: Mapping[str, bytes | memoryview]) -> PhaseResult:
    claims = np.frombuffer(blobs[f"epochs {number}"], dtype="<f8").reshape(-1, EPOCH_NUMBERS).tolist()
    place = fields["place"]
    return PhaseResult(
        **{
            **fields,
            "outcome": Outcome(fields["outcome"]),
            "phase": Phase(fields["phase"]),
            "place": Place(**place) if place is not None else None,
            "usage": Usage(**fields["usage"]),
        },
        payload=bytes(blobs[f"payload {number}"]),
        log=bytes(blobs[f"log {number}"]).decode(errors="surrogatepass"),
        epochs=tuple(EpochClaim(epoch, *claim) for epoch, claim in enumerate(claims, 1)),
    )


def _packed(arrays: dict[str, NDArray[Any]]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Types and shapes of arrays for a header, and their bytes."""
    shapes = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    return shapes, {name: array.tobytes() for name, array in arrays.items()}


def _unpacked(message: Message) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, (dtype, *shape) in message.fields["arrays"].items():
        if dtype not in DTYPES:
            raise ParcelError(f"an array of {dtype!r:.20} came, which is none of {', '.join(DTYPES)}")
        arrays[name] = np.frombuffer(message.blobs[name], dtype=dtype).reshape(shape)
    return arrays


def _wrap(kind: str, fields: dict[str, Any], blobs: Mapping[str, bytes | memoryview]) -> bytes:
    return b"".join(encode(Message(kind, {**fields, "edition": edition()}, blobs)))


def _unwrap(parcel: bytes, *kinds: str) -> Message:
    view, start = memoryview(parcel), 0

    def take(size: int) -> bytes:
        nonlocal start
        piece = bytes(view[start : start + size])
        start += size
        if len(piece) < size:
            raise ProtocolError("it is cut off")
        return piece

    try:
        message = read_message(take, max_blob_bytes=len(parcel))
    except ProtocolError as error:
        raise ParcelError(f"a parcel cannot be read: {error}") from error
    theirs = message.fields.get("edition")
    if different := differences(theirs if isinstance(theirs, dict) else {}):
        raise ParcelError(
            f"a parcel of another edition of the harness came: {different}",
            "install the same harness, with the same constraints.txt, on all machines",
        )
    if message.kind not in kinds:
        raise ParcelError(f"a parcel came that is {message.kind!r:.20} and not {' or '.join(kinds)}")
    return message
