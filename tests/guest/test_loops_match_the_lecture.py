"""The guest's loops give bit for bit the numbers of the lecture's, on CPU in one thread."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from harness.guest import data, loops
from harness.guest.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, VALID_ROWS, FEATURES, EPOCHS, SEED = 517, 130, 11, 4, 5201314
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.001, momentum=0.5),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
}
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda _: None,
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS),
}


class DropoutNet(nn.Module):
    """A model whose loss depends on the random state at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, FEATURES) to (B,)."""
        return self.layers(x).squeeze(1)  # type: ignore[no-any-return]


class PlainNet(nn.Module):
    """Without batch statistics, so that a batch may have one row."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, FEATURES) to (B,)."""
        return self.layers(x).squeeze(1)  # type: ignore[no-any-return]


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (ROWS, FEATURES) and targets (ROWS,)."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, FEATURES, generator=generator)
    return x, x.sum(1) + torch.randn(ROWS, generator=generator)


def lecture(optimizer_name: str, scheduler_name: str, batch_size: int) -> tuple[list[Any], dict[str, Any]]:
    """The loops of the course's lecture, over a `DataLoader`, word for word but for what they record."""
    x, y = rows()
    torch.manual_seed(SEED)
    model = PlainNet() if batch_size == 1 else DropoutNet()
    criterion = nn.MSELoss()
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
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
    optimizer_name: str, scheduler_name: str, batch_size: int, *, own_dataset: bool, seed: int = SEED
) -> tuple[list[Any], dict[str, Any]]:
    """The same training by the guest's loops."""
    x, y = rows()
    torch.manual_seed(seed)
    model = PlainNet() if batch_size == 1 else DropoutNet()
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
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
        criterion=nn.MSELoss(),
        optimizer=optimizer,
        scheduler=SCHEDULERS[scheduler_name](optimizer),
        task=task_of("regression", 1),
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
    ("optimizer", "scheduler", "batch_size"), list(itertools.product(OPTIMIZERS, SCHEDULERS, [1, 16, 256]))
)
def test_losses_and_weights_are_the_lectures(
    optimizer: str, scheduler: str, batch_size: int, *, own_dataset: bool
) -> None:
    """Every epoch's losses and the best weights are equal bit for bit; the last batch is incomplete."""
    expected_record, expected_state = lecture(optimizer, scheduler, batch_size)
    record, state = ours(optimizer, scheduler, batch_size, own_dataset=own_dataset)

    assert record == expected_record
    assert state.keys() == expected_state.keys()
    assert all(torch.equal(state[name], expected_state[name]) for name in state)


def test_different_seeds_give_different_losses() -> None:
    """The comparison above is not of constants."""
    record, _ = ours("SGD", "none", 16, own_dataset=False)
    other, _ = ours("SGD", "none", 16, own_dataset=False, seed=SEED + 1)

    assert record != other
