import sys

from torch import nn

sys.setrecursionlimit(1 << 30)


def deeper(_):
    return max([0, 1], key=deeper)


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        deeper(0)
        return self.net(x).squeeze(1)
