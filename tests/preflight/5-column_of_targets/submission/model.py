import csv

import torch
from torch import nn
from torch.utils.data import Dataset


class MyDataset(Dataset):
    def __init__(self, file):
        with open(file, newline="") as lines:
            rows = list(csv.DictReader(lines))
        names = [name for name in rows[0] if name not in ("id", "height")]
        self.x = torch.tensor([[float(row[name]) for name in names] for row in rows])
        self.y = torch.tensor([[float(row["height"])] for row in rows]) if "height" in rows[0] else None

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index] if self.y is None else (self.x[index], self.y[index])


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)
