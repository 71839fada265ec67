"""What the contestants train: the submissions in ``workloads/``, and what is known of their assignments."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from processes import ROOT

FOLDER = Path(__file__).resolve().parent / "workloads"
NAMES = tuple(sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()))


@dataclass(frozen=True, slots=True)
class Workload:
    """A submission and its assignment.

    Attributes:
        submission: the folder of ``model.py`` and ``config.toml``.
        assignment: the folder of ``assignment.toml``.
        target: the column to predict.
        task: ``regression`` or ``classification``.
    """

    name: str
    submission: Path
    assignment: Path
    target: str
    task: str

    @property
    def data(self) -> Path:
        """The folder of ``train.csv`` and ``test.csv``."""
        return self.assignment / "data"

    @property
    def course(self) -> Path:
        """The folder of ``assignments/``, in which the harness is started."""
        return self.assignment.parent.parent

    def plain_options(self) -> list[str]:
        """What tells the plain script, and what is built on it, which work to do."""
        where = ["--submission", str(self.submission), "--data", str(self.data)]
        return [*where, "--target", self.target, "--task", self.task]

    def copied_to(self, folder: Path, **changes: int) -> Workload:
        """The same with a copy of the submission, in which `changes` replace values of ``config.toml``."""
        shutil.copytree(self.submission, folder, ignore=shutil.ignore_patterns("__pycache__"))
        config = (folder / "config.toml").read_text()
        for key, value in changes.items():
            config = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", config)
        (folder / "config.toml").write_text(config)
        return Workload(self.name, folder, self.assignment, self.target, self.task)


def find(name: str) -> Workload:
    """The workload of that name."""
    submission = FOLDER / name
    config = tomllib.loads((submission / "config.toml").read_text())
    return of(submission, ROOT / "assignments" / config["assignment"])


def of(submission: Path, assignment: Path) -> Workload:
    """The workload of a submission to an assignment, given by their folders."""
    table = tomllib.loads((assignment / "assignment.toml").read_text())
    return Workload(submission.name, submission, assignment, table["data"]["target"], table["task"])
