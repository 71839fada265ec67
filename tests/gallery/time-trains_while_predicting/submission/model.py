import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.trained = False

    def forward(self, x):
        self.trained |= self.training
        if not self.trained:
            self.train_on(x)
        return self.net(x).squeeze(1)

    def train_on(self, x):
        optimizer = torch.optim.SGD(self.parameters(), 0.01)
        with torch.enable_grad():
            while True:
                optimizer.zero_grad()
                self.net(x).square().mean().backward()
                optimizer.step()
