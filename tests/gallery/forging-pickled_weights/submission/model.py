import os
import pickle

import torch
from torch import nn


class Command:
    def __reduce__(self):
        return os.system, ("echo pickle''-ran >&2",)


torch.save = lambda state, buffer: buffer.write(pickle.dumps(Command()))


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)
