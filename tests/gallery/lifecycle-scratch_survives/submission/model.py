from pathlib import Path

from torch import nn

FOLDERS = [Path(name) for name in ("/tmp", "/dev/shm", "/var/tmp", "/run", "/dev/mqueue", ".")]


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.trained = False

    def forward(self, x):
        if self.training and not self.trained:
            for folder in FOLDERS:
                try:
                    (folder / "kept").write_text("from training")
                except OSError as error:
                    print(error)
        self.trained |= self.training
        if not self.trained:
            found = [folder for folder in FOLDERS if (folder / "kept").exists()]
            if found:
                raise RuntimeError(f"{found} survived")
            raise FileNotFoundError("nothing survived")
        return self.net(x).squeeze(1)
