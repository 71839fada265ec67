from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first = nn.Linear(5, hidden)
        self.second = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(x)

    def head(self, x):
        x = self.first(x).relu()
        return self.second(x).squeeze(1)
