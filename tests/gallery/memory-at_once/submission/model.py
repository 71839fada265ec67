import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.table = nn.Parameter(torch.ones(2_500_000_000))

    def forward(self, x):
        return self.table[: len(x)]
