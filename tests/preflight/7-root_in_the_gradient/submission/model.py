from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = nn.Linear(4, hidden)
        self.output = nn.Linear(hidden, 1)
        nn.init.zeros_(self.hidden.weight)
        nn.init.zeros_(self.hidden.bias)

    def forward(self, x):
        x = (self.hidden(x) ** 2).sqrt()
        return self.output(x).squeeze(1)
