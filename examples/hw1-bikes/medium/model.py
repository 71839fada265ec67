from torch import nn


class MyModel(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.hidden = nn.Linear(features, hidden)
        self.activation = nn.LeakyReLU()
        self.output = nn.Linear(hidden, 1)

    def forward(self, x):
        x = self.activation(self.hidden(x))
        return self.output(x).squeeze(1)
