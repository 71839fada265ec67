from torch import nn
from torch.nn import functional


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = nn.Linear(4, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x):
        x = functional.dropout(self.hidden(x).relu(), 0.5)
        return self.output(x).squeeze(1)
