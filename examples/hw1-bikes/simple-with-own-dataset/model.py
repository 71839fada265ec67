import csv

import torch
from torch import nn
from torch.utils.data import Dataset

WEATHER = ["temp", "atemp", "hum", "windspeed"]


class MyDataset(Dataset):
    """Leaves out the weather that is felt rather than measured, and centres what is left."""

    def __init__(self, file):
        with open(file, newline="") as lines:
            rows = list(csv.DictReader(lines))
        names = [name for name in rows[0] if name not in ("id", "atemp", "count")]
        self.x = torch.tensor([[float(row[name]) for name in names] for row in rows])
        for name in WEATHER:
            if name in names:
                self.x[:, names.index(name)] -= 0.5
        self.y = None
        if "count" in rows[0]:  # the test file has no answers
            self.y = torch.tensor([float(row["count"]) for row in rows])

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        if self.y is None:
            return self.x[index]
        return self.x[index], self.y[index]


class MyModel(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(1)
