import os
import signal
import subprocess
import sys

from torch import nn

PROGRAM = "import time; time.sleep(3600)"


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, "gallery-stopped"], start_new_session=True)
        os.kill(child.pid, signal.SIGSTOP)

    def forward(self, x):
        return self.net(x).squeeze(1)
