"""The guest's loops give bit for bit the numbers of the lecture's, on CPU in one thread."""

from __future__ import annotations

import copy
import itertools
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from harness.guest import build, data, loops
from harness.guest.tasks import task_of
from harness.host.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, VALID_ROWS, FEATURES, CLASSES, EPOCHS, SEED = 517, 130, 11, 3, 4, 5201314
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.001, "momentum": 0.5},
    "Adam": {"lr": 0.01},
}
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda _: None,
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS),
}


OUTPUTS = {"regression": 1, "classification": CLASSES}


def criterion_of(task: str) -> Any:
    """The loss that the lecture takes."""
    return nn.MSELoss() if task == "regression" else nn.CrossEntropyLoss()


class DropoutNet(nn.Module):
    """A model whose loss depends on the random state at each step."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(16, OUTPUTS[task]),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, FEATURES) to (B,) numbers or (B, CLASSES) scores."""
        x = self.layers(x)
        return x.squeeze(1) if x.shape[1] == 1 else x


class WritingNet(nn.Module):
    """A model that writes into the batch that it is given, which is its own affair."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, FEATURES) to (B,)."""
        x.mul_(1.5).add_(0.25)
        prediction: torch.Tensor = self.layer(x)
        return prediction.squeeze(1)


class PlainNet(nn.Module):
    """Without batch statistics, so that a batch may have one row."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, OUTPUTS[task])
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, FEATURES) to (B,) numbers or (B, CLASSES) scores."""
        x = self.layers(x)
        return x.squeeze(1) if x.shape[1] == 1 else x


def model_of(task: str, batch_size: int) -> nn.Module:
    """A model for the task."""
    return PlainNet(task) if batch_size == 1 else DropoutNet(task)


def rows(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (ROWS, FEATURES) and targets (ROWS,): float32 numbers, or int64 classes."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, FEATURES, generator=generator)
    if task == "regression":
        return x, x.sum(1) + torch.randn(ROWS, generator=generator)
    return x, (x[:, :CLASSES] + torch.randn(ROWS, CLASSES, generator=generator)).argmax(1)


def lecture(
    task: str, optimizer_name: str, scheduler_name: str, batch_size: int
) -> tuple[list[Any], dict[str, Any]]:
    """The loops of the course's lecture, over a `DataLoader`, word for word but for what they record."""
    x, y = rows(task)
    torch.manual_seed(SEED)
    model = model_of(task, batch_size)
    criterion = criterion_of(task)
    optimizer: Any = getattr(torch.optim, optimizer_name)(model.parameters(), **OPTIMIZERS[optimizer_name])
    scheduler: Any = SCHEDULERS[scheduler_name](optimizer)
    tr_set: Any = DataLoader(TensorDataset(x[VALID_ROWS:], y[VALID_ROWS:]), batch_size, shuffle=True)
    dv_set: Any = DataLoader(TensorDataset(x[:VALID_ROWS], y[:VALID_ROWS]), batch_size, shuffle=False)
    record, best, best_state = [], float("inf"), {}
    for _ in range(EPOCHS):
        model.train()
        total_loss = 0.0
        for xb, yb in tr_set:
            optimizer.zero_grad()
            pred = model(xb)
            loss = criterion(pred, yb)
            loss.backward()
            optimizer.step()
            total_loss += loss.detach().cpu().item() * len(xb)
        train_loss = total_loss / len(tr_set.dataset)
        model.eval()
        total_loss = 0
        for xb, yb in dv_set:
            with torch.no_grad():
                loss = criterion(model(xb), yb)
            total_loss += loss.cpu().item() * len(xb)
        valid_loss = total_loss / len(dv_set.dataset)
        record.append((train_loss, valid_loss))
        if valid_loss < best:
            best, best_state = valid_loss, copy.deepcopy(model.state_dict())
        if scheduler is not None:
            scheduler.step()
    return record, best_state


def ours(
    task: str,
    optimizer_name: str,
    scheduler_name: str,
    batch_size: int,
    *,
    own_dataset: bool,
    seed: int = SEED,
) -> tuple[list[Any], dict[str, Any]]:
    """The same training by the guest's loops."""
    x, y = rows(task)
    torch.manual_seed(seed)
    model = model_of(task, batch_size)
    optimizer = build.build_optimizer({"name": optimizer_name, **OPTIMIZERS[optimizer_name]}, model)
    tr_set: Any
    dv_set: Any
    if own_dataset:
        valid_rows = torch.arange(VALID_ROWS)
        tr_set, dv_set = data.training_batches(TensorDataset(x, y), valid_rows, ROWS, batch_size)
    else:
        tr_set = data.TensorBatches((x[VALID_ROWS:], y[VALID_ROWS:]), batch_size, shuffle=True)
        dv_set = data.TensorBatches((x[:VALID_ROWS], y[:VALID_ROWS]), batch_size, shuffle=False)
    record: list[Any] = []
    training = loops.Training(
        model=model,
        tr_set=tr_set,
        dv_set=dv_set,
        criterion=task_of(task, OUTPUTS[task]).criterion({"name": type(criterion_of(task)).__name__}),
        optimizer=optimizer,
        scheduler=SCHEDULERS[scheduler_name](optimizer),
        task=task_of(task, OUTPUTS[task]),
        device="cpu",
        epochs=EPOCHS,
        early_stop=0,
        grad_clip=None,
        on_epoch=lambda _, train_loss, valid_loss, __: record.append((train_loss, valid_loss)),
    )
    _, state = loops.fit(training)
    return record, state


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("own_dataset", [False, True], ids=["tensors", "student's data set"])
@pytest.mark.parametrize(
    ("task", "optimizer", "scheduler", "batch_size"),
    [
        *itertools.product(["regression"], OPTIMIZERS, SCHEDULERS, [1, 16, 256]),
        *itertools.product(["classification"], ["SGD"], ["none"], [1, 16, 256]),
        *itertools.product(["classification"], ["Adam"], ["cosine"], [1, 16, 256]),
    ],
)
def test_losses_and_weights_are_the_lectures(
    task: str, optimizer: str, scheduler: str, batch_size: int, *, own_dataset: bool
) -> None:
    """Every epoch's losses and the best weights are equal bit for bit; the last batch is incomplete."""
    expected_record, expected_state = lecture(task, optimizer, scheduler, batch_size)
    record, state = ours(task, optimizer, scheduler, batch_size, own_dataset=own_dataset)

    assert record == expected_record
    assert state.keys() == expected_state.keys()
    assert all(torch.equal(state[name], expected_state[name]) for name in state)


@pytest.mark.parametrize("name", sorted(build.FASTER_AT_ONCE))
def test_parameters_stepped_at_once_are_stepped_alike(name: str) -> None:
    """The optimizers that step all parameters at once come to the bits that PyTorch's default comes to."""
    models, optimizers = [], []
    for make in (getattr(torch.optim, name), None):
        torch.manual_seed(SEED)
        model = DropoutNet("regression")
        models.append(model)
        optimizers.append(make(model.parameters()) if make else build.build_optimizer({"name": name}, model))
    x, y = rows("regression")
    for _ in range(30):
        for model, optimizer in zip(models, optimizers, strict=True):
            torch.manual_seed(SEED)
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()

    assert [optimizer.defaults["foreach"] for optimizer in optimizers] == [None, True]
    for expected, found in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(found, expected)


def test_config_that_says_how_to_step_is_followed() -> None:
    """What a student asks for is not overruled."""
    optimizer = build.build_optimizer({"name": "Adam", "fused": True}, PlainNet("regression"))

    assert (optimizer.defaults["fused"], optimizer.defaults["foreach"]) == (True, None)


@pytest.mark.parametrize("own_dataset", [False, True], ids=["tensors", "student's data set"])
def test_model_that_writes_into_its_batch_meets_fresh_rows_each_epoch(
    monkeypatch: pytest.MonkeyPatch, *, own_dataset: bool
) -> None:
    """A loader's batches are copies, and so are ours."""
    monkeypatch.setattr(sys.modules[__name__], "model_of", lambda *_: WritingNet())
    expected_record, _ = lecture("regression", "SGD", "none", 16)
    record, _ = ours("regression", "SGD", "none", 16, own_dataset=own_dataset)

    assert record == expected_record


def test_different_seeds_give_different_losses() -> None:
    """The comparison above is not of constants."""
    record, _ = ours("regression", "SGD", "none", 16, own_dataset=False)
    other, _ = ours("regression", "SGD", "none", 16, own_dataset=False, seed=SEED + 1)

    assert record != other


@pytest.mark.parametrize("task", OUTPUTS)
def test_predictions_and_their_accuracy_are_the_lectures(task: str) -> None:
    """The testing loop gives the same bits, and the host counts the hits that the lecture counts."""
    x, y = rows(task)
    torch.manual_seed(SEED)
    model = model_of(task, 16).eval()
    tt_set: Any = DataLoader(TensorDataset(x, y), 16, shuffle=False)
    preds, train_acc = [], 0.0
    for xb, yb in tt_set:
        with torch.no_grad():
            outputs = model(xb)
        preds.append(outputs.cpu())
        _, train_pred = torch.max(outputs.reshape(len(xb), -1), 1)
        train_acc += (train_pred.detach() == yb.detach()).sum().item()
    expected = torch.cat(preds)

    batches = data.OnlyInputs(data.TensorBatches((x,), 16, shuffle=False))
    predictions = loops.test(model, batches, task_of(task, OUTPUTS[task]), "cpu")

    assert predictions.shape == (ROWS, OUTPUTS[task])
    assert torch.equal(predictions, expected.reshape(ROWS, -1))
    if task == "classification":
        accuracy = METRICS["accuracy"](predictions.numpy(), y.numpy())
        assert accuracy == pytest.approx(train_acc / len(tt_set.dataset), abs=1e-12)
