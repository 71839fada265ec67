from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = nn.Linear(4, hidden)
        self.output = nn.Linear(hidden, 1)
        self.more = {"deep": {"one": (nn.Linear(hidden, hidden),)}}

    def forward(self, x):
        x = self.more["deep"]["one"][0](self.hidden(x).relu())
        return self.output(x.relu()).squeeze(1)
