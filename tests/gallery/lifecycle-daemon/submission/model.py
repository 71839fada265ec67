import atexit
import os
import subprocess
import sys
import threading
import time

from torch import nn

PROGRAM = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(3600)"


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        subprocess.Popen([sys.executable, "-c", PROGRAM, "gallery-daemon"], start_new_session=True)
        threading.Thread(target=time.sleep, args=(3600,)).start()
        atexit.register(time.sleep, 3600)

    def forward(self, x):
        return self.net(x).squeeze(1)
