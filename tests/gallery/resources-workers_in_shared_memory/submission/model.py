import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        images = TensorDataset(torch.zeros(8, 3, 1024, 1024))
        for _ in DataLoader(images, batch_size=8, num_workers=1):
            pass
        return self.net(x).squeeze(1)
