import csv

import torch
from torch import nn


class MyDataset(torch.utils.data.Dataset):
    def __init__(self, file):
        with open(file) as lines:
            rows = [[float(cell) for cell in row[1:]] for row in list(csv.reader(lines))[1:]]
        rows += [row for row in rows[:1] if len(row) == 4]
        self.x = torch.tensor([row[:4] for row in rows])
        self.y = torch.tensor([row[4] for row in rows]) if len(rows[0]) == 5 else None

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
