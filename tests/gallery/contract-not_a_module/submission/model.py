from torch import nn


class MyModel:
    def __init__(self, hidden):
        self.net = nn.Linear(4, 1)

    def forward(self, x):
        return self.net(x).squeeze(1)
