import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.kept = []

    def forward(self, x):
        y = self.net(x).squeeze(1)
        self.kept.append(y.sum() * torch.ones(8_000_000))
        return y
