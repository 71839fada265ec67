"""Times the training loops alone, in one process and one thread, and prints seconds an epoch as JSON.

The contestants train the same model from the same seed; that their losses are equal is asserted, so they
differ in speed and in nothing else.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plain_hw1
import torch
from timings import Timing, turns
from torch import Tensor

from harness.guest import loops
from harness.guest.data import TensorBatches
from harness.guest.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_SIZES = (16, 256)
EPOCHS = 5
BASELINE = "lecture, DataLoader"


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained: rows (N, F) with targets (N,), and the submission with its config."""

    x: Tensor
    y: Tensor
    submission: Path
    config: dict[str, Any]
    batch_size: int

    def loaders(self) -> tuple[Any, Any]:
        """Training and validation rows through `torch.utils.data.DataLoader`."""
        return plain_hw1.loaders(self.x, self.y, self.config, self.batch_size)

    def tensor_batches(self) -> tuple[Any, Any]:
        """The same rows, cut from whole tensors."""
        config = self.config
        rows = plain_hw1.split_rows(len(self.x), config["valid_ratio"], config["seed"])
        tr_set, dv_set = (
            TensorBatches((self.x[part], self.y[part]), self.batch_size, shuffle=shuffle)
            for part, shuffle in zip(rows, (True, False), strict=True)
        )
        return tr_set, dv_set


def with_lecture(work: Work) -> dict[str, list[float]]:
    """Train by the lecture's loops."""
    model, criterion = plain_hw1.build(work.submission, work.config)
    return plain_hw1.train(*work.loaders(), model, criterion, work.config, "cpu")


def with_guest(work: Work, sets: tuple[Any, Any]) -> dict[str, list[float]]:
    """Train by the guest's loops."""
    model, criterion = plain_hw1.build(work.submission, work.config)
    optimizer = plain_hw1.build_optimizer(work.config, model)
    record: dict[str, list[float]] = {"train": [], "valid": []}

    def on_epoch(_epoch: int, train_loss: float, valid_loss: float, _seconds: float) -> None:
        record["train"].append(train_loss)
        record["valid"].append(valid_loss)

    training = loops.Training(
        model=model,
        tr_set=sets[0],
        dv_set=sets[1],
        criterion=criterion,
        optimizer=optimizer,
        scheduler=plain_hw1.build_scheduler(work.config, optimizer),
        task=task_of("regression", 1),
        device="cpu",
        epochs=work.config["epochs"],
        early_stop=0,
        grad_clip=work.config.get("grad_clip"),
        on_epoch=on_epoch,
    )
    loops.fit(training)
    return record


CONTESTANTS: dict[str, Callable[[Work], dict[str, list[float]]]] = {
    BASELINE: with_lecture,
    "harness, DataLoader": lambda work: with_guest(work, work.loaders()),
    "harness, TensorBatches": lambda work: with_guest(work, work.tensor_batches()),
}


def race(work: Work, rounds: int) -> dict[str, Timing]:
    """Seconds an epoch of each contestant.

    Raises:
        RuntimeError: two contestants came to different losses, so they did not do the same work.
    """
    expected = with_lecture(work)  # also imports what the first optimizer needs
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for order in turns(list(CONTESTANTS), rounds):
        for name in order:
            started = time.perf_counter()
            record = CONTESTANTS[name](work)
            seconds[name].append((time.perf_counter() - started) / work.config["epochs"])
            if record != expected:
                raise RuntimeError(f"{name}: the losses differ from the lecture's at batch {work.batch_size}")
    return {name: Timing(tuple(each)) for name, each in seconds.items()}


def main() -> None:
    """Race at each batch size and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submission", type=Path, required=True, help="folder of model.py and config.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of train.csv")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, _ = plain_hw1.read_rows(options.data / "train.csv", "count")
    assert y is not None  # noqa: S101  narrows the type: training rows have targets
    results = []
    with tempfile.TemporaryDirectory() as folder:
        fixed = {"epochs": EPOCHS, "early_stop": 0, "save_path": Path(folder, "model.pth")}
        config = plain_hw1.read_config(options.submission) | fixed
        for batch_size in BATCH_SIZES:
            timings = race(Work(x, y, options.submission, config, batch_size), options.rounds)
            results += [
                {
                    "batch_size": batch_size,
                    "name": name,
                    "epoch_seconds": timing.as_json(),
                    "ratio_to_lecture": timing.ratio_to(timings[BASELINE]),
                }
                for name, timing in timings.items()
            ]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
