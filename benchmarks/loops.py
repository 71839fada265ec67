"""Times the training loops alone, in one process and one thread, and prints seconds an epoch as JSON.

The contestants train the same model from the same seed; that their losses are equal is asserted, so they
differ in speed and in nothing else. The bare kernels are the limit: forward, loss, backward and step on
batches that were cut beforehand, in the file's order, with nothing drawn, copied or kept. Building model,
optimizer and data is not timed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plain_script
import torch
from bars import LOOPS_FASTER, LOOPS_TO_BARE, beside
from timings import Timing, turns
from torch import Tensor, nn

from harness.guest import loops
from harness.guest.build import build_optimizer, build_scheduler
from harness.guest.data import TensorBatches, training_batches
from harness.guest.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = dict[str, list[float]]
    Trains = Callable[[], Record]

TASK = "regression"
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"name": "SGD", "lr": 1e-5, "momentum": 0.9},
    "Adam": {"name": "Adam", "lr": 0.003},
}
EPOCHS = {16: 5, 256: 40}  # by batch size: long enough for a clock
LECTURE, DATASET, TENSORS, BARE = (
    "lecture, DataLoader",
    "harness, DataLoader",
    "harness, TensorBatches",
    "bare kernels",
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained: rows (N, F) with targets (N,), the submission with its config, and where."""

    x: Tensor
    y: Tensor
    submission: Path
    config: dict[str, Any]
    device: str

    @property
    def batch_size(self) -> int:
        """Rows a batch."""
        return int(self.config["batch_size"])

    def rows(self) -> tuple[Tensor, Tensor]:
        """Positions of the training and of the validation rows."""
        return plain_script.split_rows(len(self.x), self.config["valid_ratio"], self.config["seed"])

    def model(self) -> tuple[nn.Module, nn.Module]:
        """A new model and its loss, after seeding."""
        model, criterion = plain_script.build(self.submission, self.config, TASK)
        return model.to(self.device), criterion


def lecture(work: Work) -> Trains:
    """The lecture's loops over a `DataLoader`."""
    tr_set, dv_set = plain_script.loaders(work.x, work.y, work.config, work.batch_size)
    model, criterion = work.model()
    return lambda: plain_script.train(tr_set, dv_set, model, criterion, work.config, work.device)


def with_dataset(work: Work) -> Trains:
    """The guest's loops over a student's own data set."""
    dataset = plain_script.CourseDataset(work.x, work.y)
    return _guest(work, training_batches(dataset, work.rows()[1], len(work.x), work.batch_size))


def with_tensors(work: Work) -> Trains:
    """The guest's loops over the harness's own batches."""
    tr_set, dv_set = (
        TensorBatches((work.x[part], work.y[part]), work.batch_size, shuffle=shuffle, device=work.device)
        for part, shuffle in zip(work.rows(), (True, False), strict=True)
    )
    return _guest(work, (tr_set, dv_set))


def bare(work: Work) -> Trains:
    """As many steps without anything around them; the losses are not kept."""
    tr_set, dv_set = (
        list(
            zip(
                work.x[part].to(work.device).split(work.batch_size),
                work.y[part].to(work.device).split(work.batch_size),
                strict=True,
            )
        )
        for part in work.rows()
    )
    model, criterion = work.model()
    optimizer = build_optimizer(work.config["optimizer"], model)
    parameters = list(model.parameters())

    def run() -> Record:
        for _ in range(work.config["epochs"]):
            model.train()
            for x, y in tr_set:
                for parameter in parameters:
                    parameter.grad = None
                criterion(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                for x, y in dv_set:
                    criterion(model(x), y)
        return {}

    return run


def _guest(work: Work, sets: tuple[Any, Any]) -> Trains:
    model, criterion = work.model()
    optimizer = build_optimizer(work.config["optimizer"], model)
    record: Record = {"train": [], "valid": []}

    def on_epoch(_epoch: int, train_loss: float, valid_loss: float, _seconds: float) -> None:
        record["train"].append(train_loss)
        record["valid"].append(valid_loss)

    training = loops.Training(
        model=model,
        tr_set=sets[0],
        dv_set=sets[1],
        criterion=criterion,
        optimizer=optimizer,
        scheduler=build_scheduler(work.config.get("scheduler"), optimizer),
        task=task_of(TASK, 1),
        device=work.device,
        epochs=work.config["epochs"],
        early_stop=work.config["early_stop"],
        grad_clip=work.config.get("grad_clip"),
        on_epoch=on_epoch,
    )

    def run() -> Record:
        loops.fit(training)
        return record

    return run


CONTESTANTS: dict[str, Callable[[Work], Trains]] = {
    LECTURE: lecture,
    DATASET: with_dataset,
    TENSORS: with_tensors,
    BARE: bare,
}


def race(work: Work, rounds: int) -> dict[str, Timing]:
    """Seconds an epoch of each contestant; a first round is not counted.

    Raises:
        RuntimeError: two contestants came to different losses, so they did not do the same work.
    """
    expected = lecture(work)()  # also imports what the first optimizer needs
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for number, order in enumerate(turns(list(CONTESTANTS), rounds + 1)):
        for name in order:
            run = CONTESTANTS[name](work)
            _synchronize(work.device)
            started = time.perf_counter()
            record = run()
            _synchronize(work.device)
            if number:
                seconds[name].append((time.perf_counter() - started) / work.config["epochs"])
            if name != BARE and record != expected:
                raise RuntimeError(f"{name}: the losses differ from the lecture's at batch {work.batch_size}")
    return {name: Timing(tuple(each)) for name, each in seconds.items()}


def _synchronize(device: str) -> None:
    """Wait for what a GPU was told to do."""
    if device != "cpu":
        torch.cuda.synchronize()


def summarise(
    timings: dict[str, Timing], batch_size: int, optimizer: str, device: str
) -> list[dict[str, Any]]:
    """How many times as fast as the lecture's each contestant is, and how many times as slow as the limit."""
    rows = []
    for name, timing in timings.items():
        faster, to_bare = timings[LECTURE].ratio_to(timing), timing.ratio_to(timings[BARE])
        has_bar = name == TENSORS and device == "cpu"
        rows.append(
            {
                "device": device,
                "batch_size": batch_size,
                "optimizer": optimizer,
                "name": name,
                "epoch_seconds": timing.as_json(),
                "times_as_fast_as_lecture": faster,
                "lecture": beside(faster, LOOPS_FASTER.get(batch_size) if has_bar else None),
                "ratio_to_bare": to_bare,
                "bare": beside(to_bare, LOOPS_TO_BARE.get(batch_size) if has_bar else None),
            }
        )
    return rows


def main() -> None:
    """Race with each batch size and optimizer, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submission", type=Path, required=True, help="folder of model.py and config.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of train.csv")
    parser.add_argument("--target", required=True, help="the column to predict, a number")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, _ = plain_script.read_rows(options.data / "train.csv", options.target, TASK)
    assert y is not None  # noqa: S101  narrows the type: training rows have targets
    results = []
    with tempfile.TemporaryDirectory() as folder:
        fixed = {"early_stop": 0, "save_path": Path(folder, "model.pth")}
        config = plain_script.read_config(options.submission) | fixed
        for batch_size, epochs in EPOCHS.items():
            for name, optimizer in OPTIMIZERS.items():
                changed = config | {"batch_size": batch_size, "epochs": epochs, "optimizer": optimizer}
                work = Work(x, y, options.submission, changed, options.device)
                results += summarise(race(work, options.rounds), batch_size, name, options.device)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
