"""The command as its users start it, and the course that the repository ships."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
HARNESS = Path(sys.prefix, "bin", "harness")


@dataclass(frozen=True)
class Graded:
    """What one command left: its exit status, both streams, and the staff report if it wrote one."""

    status: int
    output: str
    errors: str
    report: dict[str, Any]


@pytest.fixture
def grade(tmp_path: Path) -> Callable[..., Graded]:
    """Run ``harness grade`` and read what it wrote."""

    def run(submission: Path, *arguments: str, cwd: Path = ROOT) -> Graded:
        file = tmp_path / "report.json"
        file.unlink(missing_ok=True)
        done = subprocess.run(
            [HARNESS, "grade", str(submission), "--json", str(file), *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        report = json.loads(file.read_text()) if file.exists() else {}
        return Graded(done.returncode, done.stdout, done.stderr, report)

    return run


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course with one small assignment, y = x1 + 2 x2, and its reference; returns its folder."""
    folder = tmp_path / "course"
    assignment, reference = folder / "assignments" / "sum", folder / "reference" / "sum"
    (assignment / "data").mkdir(parents=True)
    reference.mkdir(parents=True)
    rows = [(n, (n * 37 % 101) / 101, (n * 61 % 89) / 89) for n in range(160)]
    test, train = rows[:60], rows[60:]
    write = (assignment / "data" / "train.csv").write_text
    write("id,x1,x2,y\n" + "".join(f"{n},{a:.4f},{b:.4f},{a + 2 * b:.4f}\n" for n, a, b in train))
    write = (assignment / "data" / "test.csv").write_text
    write("id,x1,x2\n" + "".join(f"{n},{a:.4f},{b:.4f}\n" for n, a, b in test))
    (reference / "answers.csv").write_text("id,y\n" + "".join(f"{n},{a + 2 * b:.4f}\n" for n, a, b in test))
    (reference / "reference.toml").write_text(f'answers = "answers.csv"\nsplit_key = "{"5a" * 32}"\n')
    (assignment / "assignment.toml").write_text(ASSIGNMENT)
    return folder


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    """An honest linear model for that assignment."""
    folder = tmp_path / "linear"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    (folder / "config.toml").write_text(CONFIG)
    return folder


ASSIGNMENT = """
id = "sum"
title = "A sum"
task = "regression"
[data]
target = "y"
[metric]
name = "rmse"
direction = "min"
[loss]
name = "MSELoss"
[limits]
train_seconds = 20.0
predict_seconds = 20.0
[points]
contract = 1.0
finished = 1.0
finite = 1.0
runtime = 1.0
[[tiers]]
name = "simple"
threshold = 0.5
public_points = 0.5
private_points = 0.5
[[tiers]]
name = "impossible"
threshold = 1e-9
public_points = 0.5
private_points = 0.5
"""
MODEL = """
from torch import nn


class MyModel(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(1)
"""
CONFIG = """
assignment = "sum"
seed = 1
epochs = 30
batch_size = 16

[model]
features = 2

[optimizer]
name = "SGD"
lr = 0.2
"""
