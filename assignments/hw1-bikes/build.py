"""Makes the assignment's three CSV files from the Bikeshare table of the package ISLP 0.4.0.

Usage: ``python assignments/hw1-bikes/build.py [--islp-csv PATH] [--into DIR]``

The order of the rows, their ids and which of them are test rows follow from the reference's secret key by
HMAC-SHA-256 alone: the same bytes come out on every machine and with every version of Python, and who has
only this folder cannot tell a row's time from its place.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import hmac
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
ASSIGNMENT = Path("assignments/hw1-bikes")
REFERENCE = Path("reference/hw1-bikes")
SOURCE_SHA256 = "ac6950ae6f11efcc69c29d6bb13e8881c001e27d36434660d59444a1414f712c"
TEST_SHARE = 0.3

# Source column, name in the files made, and its values in the source with their names in the files made.
CATEGORIES: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("season", "season", {"1": "winter", "2": "spring", "3": "summer", "4": "autumn"}),
    (
        "mnth",
        "month",
        {
            name: name.lower()[:3]
            for name in (
                *("Jan", "Feb", "March", "April", "May", "June"),
                *("July", "Aug", "Sept", "Oct", "Nov", "Dec"),
            )
        },
    ),
    ("hr", "hour", {str(hour): str(hour) for hour in range(24)}),
    (
        "weekday",
        "weekday",
        {str(day): name for day, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))},
    ),
    # One hour of the year had heavy rain: a column of its own would be a column for one row.
    (
        "weathersit",
        "weather",
        {"clear": "clear", "cloudy/misty": "cloudy", "light rain/snow": "rain", "heavy rain/snow": "rain"},
    ),
)
FLAGS = ("holiday", "workingday")
NUMBERS = ("temp", "atemp", "hum", "windspeed")  # the source has scaled them to 0..1
TARGET = "bikers"


class Row(NamedTuple):
    """One hour: the text of its features, in the order of `feature_names`, and of its count."""

    features: tuple[str, ...]
    target: str


def feature_names() -> list[str]:
    """Return the names of the feature columns, in the files' order."""
    one_hot = [
        f"{name}_{value}" for _, name, values in CATEGORIES for value in dict.fromkeys(values.values())
    ]
    return [*one_hot, *FLAGS, *NUMBERS]


def encode(record: Mapping[str, str]) -> Row:
    """Turn one record of the source into a row; what gives the answer or the date away is left behind."""
    features: list[str] = []
    for column, _, values in CATEGORIES:
        value = values[record[column]]
        features += ["1" if value == other else "0" for other in dict.fromkeys(values.values())]
    features += [record[flag] for flag in FLAGS]
    features += [f"{float(record[number]):.4g}" for number in NUMBERS]
    return Row(tuple(features), record[TARGET])


def read_rows(source: Path) -> list[Row]:
    """Read the source's rows, in its order; of rows with the same features the first alone is kept.

    A test row whose twin is a training row would have its answer nearly given.

    Raises:
        SystemExit: the file is not the one of ISLP 0.4.0.
    """
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != SOURCE_SHA256:
        sys.exit(f"{source}: not the Bikeshare.csv of ISLP 0.4.0. Get it with: pip install ISLP==0.4.0")
    rows: dict[tuple[str, ...], Row] = {}
    for record in csv.DictReader(content.decode("ascii").splitlines()):
        row = encode(record)
        rows.setdefault(row.features, row)
    return list(rows.values())


def keyed_order(size: int, key: bytes, purpose: str) -> list[int]:
    """Return the numbers 0 to `size` - 1 in an order that tells nothing to who lacks the key."""
    return sorted(
        range(size),
        key=lambda number: hmac.new(key, f"{purpose} {number}".encode(), hashlib.sha256).digest(),
    )


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
    rows = read_rows(source)
    order = keyed_order(len(rows), key, "row")
    ids = [number + 1 for number in keyed_order(len(rows), key, "id")]
    shuffled = [(identity, rows[number]) for identity, number in zip(ids, order, strict=True)]
    n_test = round(len(rows) * TEST_SHARE)
    test, train = shuffled[:n_test], shuffled[n_test:]
    names = feature_names()
    data = into / ASSIGNMENT / "data"
    write_csv(
        data / "train.csv", ["id", *names, "count"], ([i, *row.features, row.target] for i, row in train)
    )
    write_csv(data / "test.csv", ["id", *names], ([i, *row.features] for i, row in test))
    write_csv(into / REFERENCE / "answers.csv", ["id", "count"], ([i, row.target] for i, row in test))


def find_source() -> Path:
    """Return the table's path in the installed package, which is found without importing it.

    Raises:
        SystemExit: the package is not installed.
    """
    spec = importlib.util.find_spec("ISLP")
    if spec is None or spec.origin is None:
        sys.exit("ISLP is not installed. Do: pip install --no-deps ISLP==0.4.0, or give --islp-csv PATH")
    return Path(spec.origin).parent / "data" / "Bikeshare.csv"


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Make the CSV files of hw1-bikes.")
    parser.add_argument(
        "--islp-csv", type=Path, help="ISLP's Bikeshare.csv; default: the installed package's"
    )
    parser.add_argument(
        "--into", type=Path, default=ROOT, help="the folder to write below; default: this tree"
    )
    arguments = parser.parse_args()
    reference = tomllib.loads((ROOT / REFERENCE / "reference.toml").read_text(encoding="utf-8"))
    build(arguments.islp_csv or find_source(), bytes.fromhex(reference["split_key"]), arguments.into)


if __name__ == "__main__":
    main()
