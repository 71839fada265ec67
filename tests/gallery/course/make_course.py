"""Makes the gallery's assignments, ``toy``, ``toy-short`` and ``toy-long``: their time limits differ.

Usage: ``python tests/gallery/course/make_course.py``. The seed is fixed, so the same bytes come out again.
The answers, the ids of the test rows and the split key have random digits that occur nowhere else: a probe
that meets one of them in a sandbox has found what must not be there.
"""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

COURSE = Path(__file__).parent
SEED = 20220218
TRAIN_ROWS, TEST_ROWS, FEATURES = 120, 60, 4
SENTINEL_PREFIX = "5e17ab1e"
LIMITS = {
    "toy": {"train_seconds": 6.0, "predict_seconds": 4.0},
    "toy-short": {"train_seconds": 3.0, "predict_seconds": 2.0},
    "toy-long": {"train_seconds": 90.0, "predict_seconds": 90.0},
}
ASSIGNMENT = """\
id = "{name}"
title = "A curved surface"
task = "regression"

[data]
target = "height"

[metric]
name = "rmse"
direction = "min"

[loss]
name = "MSELoss"

[limits]
train_seconds = {train_seconds}
predict_seconds = {predict_seconds}
memory_mb = 700
processes = 64
scratch_mb = 32
shared_memory_mb = 32
log_kb = 64
weights_mb = 4
submission_kb = 256

[points]
contract = 1
finished = 1
finite = 1
runtime = 1

[[tiers]]
name = "simple"
threshold = 0.9
public_points = 1
private_points = 1

[[tiers]]
name = "strong"
threshold = 0.6
public_points = 1
private_points = 1

[ranges]
epochs = [1, 100000]
"optimizer.lr" = [1e-6, 100.0]
"""


def main() -> None:
    """Write all assignments and their references."""
    for name, limits in LIMITS.items():
        generator = random.Random(SEED)  # noqa: S311  test data, not secrets
        assignment, reference = COURSE / "assignments" / name, COURSE / "reference" / name
        (assignment / "data").mkdir(parents=True, exist_ok=True)
        reference.mkdir(parents=True, exist_ok=True)
        (assignment / "assignment.toml").write_text(ASSIGNMENT.format(name=name, **limits))
        inputs = [f"x{number}" for number in range(1, FEATURES + 1)]
        train = [_row(generator) for _ in range(TRAIN_ROWS)]
        test = [_row(generator) for _ in range(TEST_ROWS)]
        ids = [f"t{generator.getrandbits(64):016x}" for _ in test]
        _write(
            assignment / "data" / "train.csv",
            ["id", *inputs, "height"],
            [[f"r{number}", *x, f"{y:.5f}"] for number, (x, y) in enumerate(train)],
        )
        _write(
            assignment / "data" / "test.csv",
            ["id", *inputs],
            [[i, *x] for i, (x, _) in zip(ids, test, strict=True)],
        )
        _write(
            reference / "answers.csv",
            ["id", "height"],
            [[i, repr(y)] for i, (_, y) in zip(ids, test, strict=True)],
        )
        key = f"{SENTINEL_PREFIX}{generator.getrandbits(224):056x}"
        (reference / "reference.toml").write_text(f'answers = "answers.csv"\nsplit_key = "{key}"\n')


def _row(generator: random.Random) -> tuple[list[str], float]:
    """Four inputs with eight random digits, and a height with sixteen."""
    x = [f"{generator.uniform(-1, 1):.8f}" for _ in range(FEATURES)]
    a, b, c, d = map(float, x)
    return x, 2 * a + 3 * abs(b) - 2 * c * d + math.sin(3 * d) + generator.gauss(0, 0.1)


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
