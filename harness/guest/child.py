"""What happens in the forked child: the student's code is imported here and meets the loops."""

from __future__ import annotations

import io
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from harness.guest import build, data, load, loops, threads
from harness.guest.findings import Finding, explain, place_of
from harness.guest.tasks import task_of
from harness.protocol import Message, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.guest.channel import Sender

MEBIBYTE = 1 << 20
PREDICTION_CSV, TRAINING_CSV = "test.csv", "train.csv"


def run(job: Message, sender: Sender) -> None:
    """Do a job's phase and send its result; student code never makes this raise."""
    try:
        match job.fields["phase"]:
            case Phase.TRAIN:
                result = _train(job, sender)
            case Phase.CHECK:
                result = _check(job)
            case _:
                result = _predict(job)
    except BaseException as error:  # noqa: BLE001  a student's SystemExit is a result too
        result = _failure(error)
    _flush()
    sender.send(result)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112  the student may have put anything there
            continue


def _failure(error: BaseException) -> Message:
    finding, place = explain(error), place_of(error)
    fields: dict[str, Any] = {
        "outcome": finding.outcome,
        "message": finding.message,
        "hint": finding.hint,
        "file": place.file if place else None,
        "line": place.line if place else None,
    }
    return Message("result", fields)


def prepare(fields: Any) -> None:  # noqa: ANN401  a message's fields
    """Threads, seeds and determinism, as the course's notebooks set them."""
    torch.set_num_threads(fields["threads"])
    seed_everything(fields["seed"])
    # Some operations have no deterministic form: those warn in the log rather than fail. This is
    # torch.use_deterministic_algorithms(True, warn_only=True) without the import of the compiler.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set by a property
    if fields["device"] == "cuda":
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        torch.cuda.manual_seed_all(fields["seed"])


def seed_everything(seed: int) -> None:
    """Seed Python, PyTorch and, where it is there, NumPy."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def _model(job: Message) -> tuple[Any, torch.nn.Module]:
    load.unpack(job.fields["files"], bytes(job.blobs["code"]))
    module = load.import_model_module()
    # Importing may have drawn random numbers; the model's first weights depend on the seed alone.
    seed_everything(job.fields["seed"])
    model = load.build_model(module, job.fields["model"])
    if torch.get_num_threads() == job.fields["threads"]:  # else the student has chosen
        threads.fit_to_first_batch(model, job.fields["threads"])
    return module, model


def _tensor(job: Message, name: str, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """A blob as a tensor of its own memory; a shape without numbers is one dimension."""
    blob = bytearray(job.blobs[name])
    if not blob:
        return torch.empty(shape or (0,), dtype=dtype)
    return torch.frombuffer(blob, dtype=dtype).reshape(shape or (-1,))


def _train(job: Message, sender: Sender) -> Message:
    def on_epoch(epoch: int, train_loss: float, valid_loss: float, seconds: float) -> None:
        losses = {"train_loss": repr(train_loss), "valid_loss": repr(valid_loss)}  # JSON has no NaN
        sender.send(Message("epoch", {"epoch": epoch, "seconds": seconds, **losses}))

    _, training = _training(job, on_epoch)
    best_epoch, state = loops.fit(training)
    weights = _saved(state, job.fields["caps"]["payload_bytes"])
    return Message("result", {"outcome": Outcome.OK, "best_epoch": best_epoch}, {"payload": weights})


def _training(
    job: Message, on_epoch: Callable[[int, float, float, float], None]
) -> tuple[Any, loops.Training]:
    """The submission's module, and all that the training loop works with."""
    fields = job.fields
    prepare(fields)
    task = task_of(fields["task"], fields["outputs"])
    module, model = _model(job)
    device = fields["device"]
    model = model.to(device)
    optimizer = build.build_optimizer(fields["optimizer"], model)
    tr_set, dv_set = _training_sets(job, module, task.target_dtype)
    return module, loops.Training(
        model=model,
        tr_set=tr_set,
        dv_set=dv_set,
        criterion=task.criterion(fields["loss"]).to(device),
        optimizer=optimizer,
        scheduler=build.build_scheduler(fields["scheduler"], optimizer),
        task=task,
        device=device,
        epochs=fields["epochs"],
        early_stop=fields["early_stop"],
        grad_clip=fields["grad_clip"],
        on_epoch=on_epoch,
    )


def _check(job: Message) -> Message:
    """Look the submission over; what was seen until something ended it is told too."""
    from harness.guest import observations, preflight  # noqa: PLC0415  of no use to a training

    fields, started = job.fields, time.monotonic()
    seen = observations.Observations()
    result = Message("result", {"outcome": Outcome.OK})
    try:
        module, training = _training(job, lambda *_: None)
        subject = preflight.Subject(
            training=training,
            optimizer=fields["optimizer"],
            scheduler=fields["scheduler"],
            rows=(fields["rows"] - fields["valid_rows"], fields["valid_rows"]),
            batch_size=fields["batch_size"],
            predicted=tuple((rows, size) for rows, size in fields["predicted"]),
            unlabelled=_unlabelled(job, module),
            seed=lambda: seed_everything(fields["seed"]),
            seconds=fields["seconds"],
            started=started,
        )
        preflight.examine(subject, seen)
    except BaseException as error:  # noqa: BLE001  as in `run`
        result = _failure(error)
    return Message(result.kind, result.fields, {"payload": seen.payload()})


def _unlabelled(job: Message, module: Any) -> Callable[[], Any] | None:  # noqa: ANN401
    """What makes batches of the student's own data set, of a few training rows without their targets."""
    rows = job.fields["unlabelled_rows"]
    if not (hasattr(module, "MyDataset") and "unlabelled" in job.blobs):
        return None

    def batches() -> data.OnlyInputs:
        path = data.write_csv(PREDICTION_CSV, job.blobs["unlabelled"])
        dataset = data.student_dataset(module.MyDataset, path, rows, labelled=False)
        return data.OnlyInputs(DataLoader(dataset, job.fields["batch_size"], shuffle=False))

    return batches


def _saved(state: dict[str, Any], most: int) -> memoryview:
    """The state as bytes; the supervisor would refuse more than `most`, but could not say what they are."""
    buffer = io.BytesIO()
    torch.save(
        {name: value.cpu() if torch.is_tensor(value) else value for name, value in state.items()}, buffer
    )
    weights = buffer.getbuffer()
    if weights.nbytes > most:
        taken, allowed = weights.nbytes / MEBIBYTE, most / MEBIBYTE
        raise Finding(
            Outcome.OUTPUT_LIMIT,
            f"the trained weights take {taken:.1f} MiB where {allowed:g} MiB are allowed",
            "use fewer parameters: narrower or fewer layers, and no large buffers",
        )
    return weights


def _training_sets(job: Message, module: Any, target_dtype: torch.dtype) -> tuple[Any, Any]:  # noqa: ANN401
    fields, batch_size = job.fields, job.fields["batch_size"]
    rows = fields["rows"]
    valid_rows = _tensor(job, "valid_rows", torch.int64)
    if hasattr(module, "MyDataset"):
        path = data.write_csv(TRAINING_CSV, job.blobs.get("csv"))
        dataset = data.student_dataset(module.MyDataset, path, rows, labelled=True)
        return data.training_batches(dataset, valid_rows, rows, batch_size)
    x = _tensor(job, "inputs", torch.float32, rows, *fields["row_shape"])
    y = _tensor(job, "targets", target_dtype, rows)
    train_rows = data.complement(valid_rows, rows)
    sets = [
        data.TensorBatches((x[part], y[part]), batch_size, shuffle=shuffle, device=fields["device"])
        for part, shuffle in ((train_rows, True), (valid_rows, False))
    ]
    return sets[0], sets[1]


def _predict(job: Message) -> Message:
    fields = job.fields
    prepare(fields)
    task = task_of(fields["task"], fields["outputs"])
    module, model = _model(job)
    _load_weights(model, bytes(job.blobs["weights"]))
    model = model.to(fields["device"])
    predictions = loops.test(model, _test_set(job, module), task, fields["device"])
    payload = predictions.as_subclass(torch.Tensor).to(torch.float32).contiguous()
    if len(payload) != fields["rows"]:
        raise Finding(
            Outcome.INVALID_PREDICTIONS,
            f"{len(payload)} rows were predicted where there are {fields['rows']}",
            "MyDataset must give each row of its file once",
        )
    return Message("result", {"outcome": Outcome.OK}, {"payload": payload.numpy().data})


def _test_set(job: Message, module: Any) -> data.OnlyInputs:  # noqa: ANN401
    fields = job.fields
    if hasattr(module, "MyDataset"):
        path = data.write_csv(PREDICTION_CSV, job.blobs.get("csv"))
        dataset = data.student_dataset(module.MyDataset, path, fields["rows"], labelled=False)
        return data.OnlyInputs(DataLoader(dataset, fields["batch_size"], shuffle=False))
    x = _tensor(job, "inputs", torch.float32, fields["rows"], *fields["row_shape"])
    batches = data.TensorBatches((x,), fields["batch_size"], shuffle=False, device=fields["device"])
    return data.OnlyInputs(batches)


def _load_weights(model: torch.nn.Module, weights: bytes) -> None:
    try:
        state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except Exception as error:
        raise Finding(
            Outcome.CONTRACT_ERROR,
            f"the trained weights do not fit MyModel as it is built for testing: {error}",
            "build every layer in __init__ from its arguments alone, and keep only tensors in its state",
        ) from error
