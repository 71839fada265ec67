"""What a student without the harness would run: the lecture's loops in one file, from CSV to CSV.

It trains a submission's model on the course's training rows and writes its predictions for the test rows.
It imports nothing of the harness, so that it is what the harness is compared with; the validation rows are
drawn as the harness draws them, so that both do the same work and come to the same losses.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

DTYPES = {"regression": "float32", "classification": "int64"}
LOSSES = {"regression": "MSELoss", "classification": "CrossEntropyLoss"}


class CourseDataset(Dataset[Any]):
    """Rows of inputs (F,), with their target where there are targets.

    Args:
        x: inputs, (N, F) float32.
        y: targets, (N,) float32, or int64 where they are classes; None for the test rows.
    """

    def __init__(self, x: Tensor, y: Tensor | None = None) -> None:
        self.x, self.y = x, y

    def __getitem__(self, index: int) -> Tensor | tuple[Tensor, Tensor]:
        """The row at `index`."""
        if self.y is None:
            return self.x[index]
        return self.x[index], self.y[index]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.x)


def train(
    tr_set: DataLoader[Any],
    dv_set: DataLoader[Any],
    model: nn.Module,
    criterion: nn.Module,
    config: dict[str, Any],
    device: str,
) -> dict[str, list[float]]:
    """The lecture's training loop; the best epoch's weights are saved to ``config["save_path"]``."""
    optimizer = build_optimizer(config, model)
    scheduler = build_scheduler(config, optimizer)
    min_loss, early_stop_cnt = float("inf"), 0
    record: dict[str, list[float]] = {"train": [], "valid": []}
    for _ in range(config["epochs"]):
        model.train()
        total_loss = 0.0
        for x, y in tr_set:
            optimizer.zero_grad()
            x, y = x.to(device), y.to(device)  # noqa: PLW2901  as in the lecture
            pred = model(x)
            loss = criterion(pred, y)
            loss.backward()
            if "grad_clip" in config:
                nn.utils.clip_grad_norm_(model.parameters(), config["grad_clip"])
            optimizer.step()
            total_loss += loss.detach().cpu().item() * len(x)
        record["train"].append(total_loss / len(tr_set.dataset))  # type: ignore[arg-type]  # it has a length
        valid_loss = dev(dv_set, model, criterion, device)
        record["valid"].append(valid_loss)
        if valid_loss < min_loss:
            min_loss, early_stop_cnt = valid_loss, 0
            torch.save(model.state_dict(), config["save_path"])
        else:
            early_stop_cnt += 1
            if config.get("early_stop") and early_stop_cnt >= config["early_stop"]:
                break
        if scheduler is not None:
            scheduler.step()
    return record


def dev(dv_set: DataLoader[Any], model: nn.Module, criterion: nn.Module, device: str) -> float:
    """The lecture's validation loop: the mean loss over the validation rows."""
    model.eval()
    total_loss = 0.0
    for x, y in dv_set:
        x, y = x.to(device), y.to(device)  # noqa: PLW2901  as in the lecture
        with torch.no_grad():
            pred = model(x)
            loss = criterion(pred, y)
        total_loss += loss.cpu().item() * len(x)
    return float(total_loss / len(dv_set.dataset))  # type: ignore[arg-type]  # it has a length


def test(tt_set: DataLoader[Any], model: nn.Module, device: str) -> Tensor:
    """The lecture's testing loop: predictions for all rows, (N,) or (N, classes)."""
    model.eval()
    preds = []
    for x in tt_set:
        x = x.to(device)  # noqa: PLW2901  as in the lecture
        with torch.no_grad():
            pred = model(x)
            preds.append(pred.detach().cpu())
    return torch.cat(preds, dim=0)


def build_optimizer(config: dict[str, Any], model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that the config names."""
    name, arguments = _named(config["optimizer"])
    optimizer: torch.optim.Optimizer = getattr(torch.optim, name)(model.parameters(), **arguments)
    return optimizer


def build_scheduler(config: dict[str, Any], optimizer: torch.optim.Optimizer) -> Any:  # noqa: ANN401  many
    """The scheduler that the config names, stepped after each epoch; None where it names none."""
    if "scheduler" not in config:
        return None
    name, arguments = _named(config["scheduler"])
    return getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)


def _named(table: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    arguments = dict(table)
    return arguments.pop("name"), arguments


def read_rows(path: Path, target: str, task: str) -> tuple[Tensor, Tensor | None, list[str]]:
    """Inputs (N, F), targets (N,) where the file has them, and ids of a CSV of the course."""
    table = pd.read_csv(path, index_col="id")
    ids = [str(row) for row in table.index]
    y = torch.from_numpy(table.pop(target).to_numpy(DTYPES[task], copy=True)) if target in table else None
    return torch.from_numpy(table.to_numpy("float32")), y, ids


def split_rows(rows: int, valid_ratio: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions of the training and of the validation rows, as the harness draws them."""
    valid = torch.from_numpy(np.random.default_rng(seed).permutation(rows)[: int(rows * valid_ratio)])
    kept = torch.ones(rows, dtype=torch.bool)
    kept[valid] = False
    return kept.nonzero().squeeze(1), valid


def build(submission: Path, config: dict[str, Any], task: str) -> tuple[nn.Module, nn.Module]:
    """The submission's model and its loss, after seeding."""
    sys.path.insert(0, str(submission))
    model_class = importlib.import_module("model").MyModel
    torch.manual_seed(config["seed"])
    model = model_class(**config.get("model", {}))
    name, arguments = _named(config.get("loss", {"name": LOSSES[task]}))
    return model, getattr(nn, name)(**arguments)


def read_config(submission: Path) -> dict[str, Any]:
    """The submission's config, with what the script needs and it may leave out."""
    defaults: dict[str, Any] = {"seed": 0, "batch_size": 32, "valid_ratio": 0.2, "early_stop": 0}
    return defaults | tomllib.loads((submission / "config.toml").read_text())


def loaders(
    x: Tensor, y: Tensor, config: dict[str, Any], batch_size: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Loaders over the training and the validation rows."""
    train_rows, valid_rows = split_rows(len(x), config["valid_ratio"], config["seed"])
    return (
        DataLoader(CourseDataset(x[train_rows], y[train_rows]), batch_size, shuffle=True),
        DataLoader(CourseDataset(x[valid_rows], y[valid_rows]), batch_size, shuffle=False),
    )


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The options, which are also those of what is built on this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submission", type=Path, required=True, help="folder of model.py and config.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of train.csv and test.csv")
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--task", choices=list(DTYPES), default="regression")
    parser.add_argument("--out", type=Path, required=True, help="folder for predictions.csv and losses.json")
    return parser.parse_args(arguments)


def read_course(options: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Training inputs and targets, test inputs and their ids."""
    x, y, _ = read_rows(options.data / "train.csv", options.target, options.task)
    assert y is not None  # noqa: S101  narrows the type: training rows have targets
    test_x, _, test_ids = read_rows(options.data / "test.csv", options.target, options.task)
    return x, y, test_x, test_ids


def write_results(
    options: argparse.Namespace,
    test_ids: list[str],
    preds: Tensor,
    record: dict[str, list[float]],
    took: dict[str, float],
) -> None:
    """Write the predictions, and the losses of every epoch with what it took."""
    answers = preds.argmax(dim=1) if options.task == "classification" else preds
    with (options.out / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", options.target])
        writer.writerows(zip(test_ids, answers.tolist(), strict=True))
    (options.out / "losses.json").write_text(json.dumps({"loss": record, "runtime": took}))


def main(arguments: list[str] | None = None) -> None:
    """Train, predict, and write the predictions and what it took."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)  # as the harness for an assignment of one CPU; so small a model is faster for it
    config = read_config(options.submission) | {"save_path": options.out / "model.pth"}
    x, y, test_x, test_ids = read_course(options)
    model, criterion = build(options.submission, config, options.task)
    tr_set, dv_set = loaders(x, y, config, config["batch_size"])
    started = time.perf_counter()
    record = train(tr_set, dv_set, model, criterion, config, "cpu")
    trained = time.perf_counter()
    model.load_state_dict(torch.load(config["save_path"]))
    tt_set: DataLoader[Any] = DataLoader(CourseDataset(test_x), config["batch_size"], shuffle=False)
    preds = test(tt_set, model, "cpu")
    predicted = time.perf_counter()
    took = {"train_seconds": trained - started, "predict_seconds": predicted - trained}
    write_results(options, test_ids, preds, record, took)


if __name__ == "__main__":
    main()
