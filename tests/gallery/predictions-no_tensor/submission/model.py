from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.trained = False

    def forward(self, x):
        self.trained |= self.training
        y = self.net(x).squeeze(1)
        return y if self.trained else y.tolist()
