"""The tables of the store, to which rows are only ever added.

    runs ──┬── curves          what the training loop claimed
           ├── scores ─── private_scores
           └── choices         the run that a student wants to count
    faults                     what could not be graded, and why

A run is scored when it is graded and may be scored again; its newest row in `scores` counts. Everything that
tells of the private split stands in `private_scores` alone: what students get is made without reading it.
Moments are microseconds since 1970, digests are SHA-256 in hexadecimal digits.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
# A number that grows in the order of recording; SQLite counts by itself only in an INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _figure(name: str) -> Column[float]:
    """A number, null where there is none or it is not finite."""
    return Column(name, Float(53))


def _interval(name: str) -> tuple[Column[float], Column[float], Column[float], Column[int]]:
    """A metric's value on a split with its 95 % interval, over so many rows."""
    return _figure(name), _figure(f"{name}_low"), _figure(f"{name}_high"), Column(f"{name}_rows", Integer)


RUNS = Table(
    "runs",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("replaces", _NUMBER),  # an earlier run of what was handed in once; null: none
    Column("assignment", String, nullable=False),
    Column("title", String, nullable=False),
    Column("student", String, nullable=False),
    Column("submission", String, nullable=False),  # its name
    Column("submission_sha256", String, nullable=False),  # empty: it could not be read
    Column("key", String, nullable=False),  # of all that decides what comes out: see harness.host.identity
    Column("assignment_sha256", String, nullable=False),  # of what a run depends on
    Column("harness", String, nullable=False),
    Column("submitted", BigInteger, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Column("phase", String),
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("file", String),
    Column("line", BigInteger),
    Column("finding", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("notes", JSON, nullable=False),  # a list of lines
    Column("train_seconds", Float(53), nullable=False),
    Column("predict_seconds", Float(53), nullable=False),
    Column("total_seconds", Float(53), nullable=False),
    Column("seconds_limit", Float(53), nullable=False),
    _figure("cpu_seconds"),
    Column("peak_memory_bytes", BigInteger),
    Column("sandbox", String, nullable=False),
    Column("isolated", Boolean, nullable=False),
    Column("device", String, nullable=False),
    Column("device_name", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("torch", String, nullable=False),
    Column("python", String, nullable=False),
    Column("image", String, nullable=False),
    Column("seed", BigInteger),
    _figure("valid_ratio"),
    Column("config_sha256", String),
    # digests of artifacts, null where there is none
    Column("content", String),  # the submission's files
    Column("log", String),
    Column("weights", String),
    Column("test_predictions", String),
    Column("valid_predictions", String),
    Index("runs_by_student", "assignment", "student", "submission_sha256"),
    Index("runs_by_replaced", "replaces"),
)

CURVES = Table(
    "curves",
    METADATA,
    Column("run", _NUMBER, ForeignKey(RUNS.c.number), primary_key=True),
    Column("best_epoch", Integer),
    # A loss for each epoch: a number, "inf", "-inf", or null for NaN.
    Column("train", JSON, nullable=False),
    Column("valid", JSON, nullable=False),
    Column("seconds", JSON, nullable=False),
)

SCORES = Table(
    "scores",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("run", _NUMBER, ForeignKey(RUNS.c.number), nullable=False),
    Column("scored", BigInteger, nullable=False),
    Column("metric", String, nullable=False),
    Column("direction", String, nullable=False),
    *_interval("validation"),
    *_interval("public"),
    _figure("chance"),
    Column("points", Float(53), nullable=False),  # of the checks that students see
    Column("max_points", Float(53), nullable=False),
    Column("checks", JSON, nullable=False),
    Column("baselines", JSON, nullable=False),
    Index("scores_by_run", "run", "number"),
)

PRIVATE_SCORES = Table(
    "private_scores",
    METADATA,
    Column("score", _NUMBER, ForeignKey(SCORES.c.number), primary_key=True),
    Column("scored_by", String, nullable=False),  # digest of the answers, the tiers and the checks
    *_interval("private"),
    _figure("test_loss"),
    Column("points", Float(53), nullable=False),  # of the checks that staff alone see
    Column("max_points", Float(53), nullable=False),
    Column("checks", JSON, nullable=False),
    Column("baselines", JSON, nullable=False),
)

CHOICES = Table(
    "choices",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("run", _NUMBER, ForeignKey(RUNS.c.number), nullable=False),
    Column("chosen", BigInteger, nullable=False),
)

FAULTS = Table(
    "faults",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("assignment", String, nullable=False),
    Column("student", String, nullable=False),
    Column("submission", String, nullable=False),
    Column("happened", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("fix", Text, nullable=False),
)
