import os

from torch import nn

READ = ("environ", "mem", "auxv", "io", "syscall", "stack", "smaps", "maps")
LINKS = ("cwd", "exe", "root", "ns/mnt")


def read(name):
    with open(f"/proc/1/{name}", "rb") as file:
        file.read(1)


ATTEMPTS = {name: lambda name=name: read(name) for name in READ}
ATTEMPTS |= {name: lambda name=name: os.readlink(f"/proc/1/{name}") for name in LINKS}
ATTEMPTS["descriptors"] = lambda: os.listdir("/proc/1/fd")
ATTEMPTS["its score for running out of memory"] = lambda: open("/proc/1/oom_score_adj", "w")
ATTEMPTS["its priority"] = lambda: os.setpriority(os.PRIO_PROCESS, 1, -5)


def reached():
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
        except OSError as error:
            print(name, error)
        else:
            yield name


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        found = ", ".join(reached()) or "nothing"
        raise RuntimeError(f"reached {found} in {len(ATTEMPTS)} attempts")
