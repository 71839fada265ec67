import subprocess
import sys

from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        subprocess.run([sys.executable, "-c", "b'x' * 2_000_000_000"], check=True)

    def forward(self, x):
        return self.net(x).squeeze(1)
