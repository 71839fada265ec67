import csv
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

CENTRED = ("temp", "hum")
LEFT_OUT = ("id", "count", "atemp")  # atemp says nearly the same as temp


class MyDataset(Dataset[Tensor | tuple[Tensor, Tensor]]):
    """Chooses the columns itself; the grader gives it the training file, and later the test file."""

    def __init__(self, file: str) -> None:
        with Path(file).open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        names = [name for name in rows[0] if name not in LEFT_OUT]
        self.x = torch.tensor([[float(row[name]) for name in names] for row in rows])
        for name in CENTRED:
            self.x[:, names.index(name)] -= 0.5
        self.y = None
        if "count" in rows[0]:  # the test file has no answers
            self.y = torch.tensor([float(row["count"]) for row in rows])

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor | tuple[Tensor, Tensor]:
        if self.y is None:
            return self.x[index]
        return self.x[index], self.y[index]


class MyModel(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return x.squeeze(1)
