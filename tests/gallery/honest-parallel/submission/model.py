"""Prepares its data with every kind of parallel work that Python offers."""

import csv
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import scaling
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

torch.set_num_threads(2)


class MyDataset(Dataset):
    def __init__(self, file):
        with open(file) as lines:
            rows = [[float(cell) for cell in row[1:]] for row in list(csv.reader(lines))[1:]]
        columns = list(zip(*rows))[:4]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            means = pool.map(scaling.mean, columns)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            widths = pool.map(scaling.width, columns)
        with ThreadPoolExecutor(4) as pool:
            scaled = list(pool.map(scaling.scale, columns, means, widths))
        said = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True)
        assert said.stdout == b"42\n"
        loader = DataLoader(TensorDataset(torch.tensor(scaled).T), batch_size=16, num_workers=2)
        self.x = torch.cat([x for (x,) in loader])
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
