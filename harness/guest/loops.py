"""The loops that every submission goes through: training, validation and testing.

They are those of the course's first PyTorch lecture. This is the place to look if you want to know what
is done with your model; everything around it only feeds these functions.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.guest.findings import Finding
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from harness.guest.tasks import Task

    Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Training:
    """All that the training loop works with.

    Attributes:
        early_stop: epochs without a better validation loss before training ends; 0: never.
        grad_clip: maximum norm of the gradient, or None.
        on_epoch: called with the epoch, its training loss, its validation loss and its seconds.
    """

    model: nn.Module
    tr_set: Batches
    dv_set: Batches
    criterion: nn.Module
    optimizer: Optimizer
    scheduler: Any
    task: Task
    device: str
    epochs: int
    early_stop: int
    grad_clip: float | None
    on_epoch: Callable[[int, float, float, float], None]


def fit(training: Training) -> tuple[int, dict[str, Any]]:
    """Train for all epochs, or until early stopping.

    Returns:
        The best epoch, counted from 1, and the model's state after it.

    Raises:
        Finding: a loss became NaN or infinite, or the model's output has the wrong shape.
    """
    best_loss, best_epoch, best_state = math.inf, 0, {}
    for epoch in range(1, training.epochs + 1):
        started = time.perf_counter()
        train_loss = train(training)
        valid_loss = validate(training.model, training.dv_set, training.criterion, training.device)
        training.on_epoch(epoch, train_loss, valid_loss, time.perf_counter() - started)
        _stop_if_diverged(epoch, train_loss, valid_loss)

        if valid_loss < best_loss:
            best_loss, best_epoch, best_state = valid_loss, epoch, copy_of_state(training.model)
        elif training.early_stop and epoch - best_epoch >= training.early_stop:
            break
        if isinstance(training.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            training.scheduler.step(valid_loss)
        elif training.scheduler is not None:
            training.scheduler.step()
    return best_epoch, best_state


def train(training: Training) -> float:
    """Train for one epoch; return the mean loss over its rows."""
    model, optimizer, device = training.model, training.optimizer, training.device
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    losses: list[Tensor] = []
    rows: list[int] = []
    model.train()
    for x, y in training.tr_set:
        for parameter in parameters:  # all that optimizer.zero_grad() does, in a twentieth of its time
            parameter.grad = None
        x, y = x.to(device), y.to(device)  # noqa: PLW2901  as in the lecture
        pred = model(x)
        if not losses:
            training.task.check_training_output(pred, y)
        loss = training.criterion(pred, y)
        loss.backward()
        if training.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.grad_clip)
        optimizer.step()
        losses.append(loss.detach())
        rows.append(len(x))
    # The losses are fetched from the device once an epoch, not once a batch.
    return _mean(torch.stack(losses).tolist(), rows)


def validate(model: nn.Module, dv_set: Batches, criterion: nn.Module, device: str) -> float:
    """Return the mean loss over the validation rows."""
    losses: list[Tensor] = []
    rows: list[int] = []
    model.eval()
    for x, y in dv_set:
        x, y = x.to(device), y.to(device)  # noqa: PLW2901  as in the lecture
        with torch.no_grad():
            pred = model(x)
            loss = criterion(pred, y)
        losses.append(loss.detach())
        rows.append(len(x))
    return _mean(torch.stack(losses).tolist(), rows)


def test(model: nn.Module, tt_set: Iterable[Tensor], task: Task, device: str) -> Tensor:
    """Return the predictions for all test rows, (rows, outputs) on the CPU."""
    preds = []
    model.eval()
    for x in tt_set:
        x = x.to(device)  # noqa: PLW2901  as in the lecture
        with torch.no_grad():
            pred = model(x)
        preds.append(task.check_prediction(pred, len(x)).detach().cpu())
    return torch.cat(preds)


def _mean(losses: list[float], rows: list[int]) -> float:
    total = 0.0
    for loss, n in zip(losses, rows, strict=True):
        total += loss * n
    return total / sum(rows)


def _stop_if_diverged(epoch: int, train_loss: float, valid_loss: float) -> None:
    for name, loss in (("training", train_loss), ("validation", valid_loss)):
        if not math.isfinite(loss):
            raise Finding(
                Outcome.DIVERGED,
                f"the {name} loss is {'NaN' if math.isnan(loss) else 'infinite'} in epoch {epoch}",
                "try a tenth of the lr, set grad_clip = 1.0, and look for log, sqrt or division of 0",
            )


def copy_of_state(model: nn.Module) -> dict[str, Any]:
    """A copy of the state, on its device, that further training does not change."""
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else value
        for name, value in model.state_dict().items()
    }
