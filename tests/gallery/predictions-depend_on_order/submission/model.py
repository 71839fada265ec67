from torch import nn


class MyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.calls = 0

    def forward(self, x):
        if not self.training:
            self.calls += 1
        return self.linear(x).squeeze(1) + 0.1 * self.calls
