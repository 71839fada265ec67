import os

import canary
import forbidden
import probe
from torch import nn

READ_ONLY = {"usr", "opt", "lib", "lib64", "bin", "sbin"}
WRITABLE = [f"/{folder}" for folder in set(os.listdir("/")) - READ_ONLY]


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.trained = False
        self.canary = canary.CANARY

    def forward(self, x):
        self.trained |= self.training
        if not self.trained:
            raise RuntimeError(probe.search(forbidden.SHIFTED, WRITABLE))
        return self.net(x).squeeze(1)
