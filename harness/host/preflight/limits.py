"""What the whole training would take, and whether that is within the assignment's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.preflight.records import Projection, Said
from harness.host.report.figures import duration, memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.host.assignment import Limits
    from harness.host.config import TrainConfig
    from harness.host.records import Usage

MEBIBYTE = 1 << 20
NEARLY = 0.9  # of the memory: a training keeps its best weights, and allocates a little more with time
SAFE = 0.8  # of the time: what is advised should hold on a machine that is a little slower


def project(
    measured: Mapping[str, float], config: TrainConfig, limits: Limits, predicted: int, usage: Usage
) -> Projection | None:
    """Extrapolate what was measured; None where no epoch was.

    Args:
        measured: the guest's claims.
        config: says how many epochs.
        limits: of the assignment.
        predicted: rows of one prediction.
        usage: what the host saw of the sandbox; it is believed before any claim.
    """
    if not {"setup_seconds", "epoch_seconds", "row_seconds", "epochs_timed"} <= measured.keys():
        return None
    peak = usage.peak_memory_bytes
    claimed = measured.get("memory_bytes")
    return Projection(
        epochs=config.epochs,
        epochs_timed=measured["epochs_timed"],
        early_stop=bool(config.early_stop),
        train_seconds=measured["setup_seconds"] + config.epochs * measured["epoch_seconds"],
        train_limit=limits.train_seconds,
        predict_seconds=measured["setup_seconds"] + predicted * measured["row_seconds"],
        predict_limit=limits.predict_seconds,
        memory_bytes=peak if peak is not None else _whole(claimed),
        memory_limit=limits.memory_mb * MEBIBYTE,
        weights_bytes=_whole(measured.get("weights_bytes")),
        weights_limit=limits.weights_mb * MEBIBYTE,
        gpu_bytes=_whole(measured.get("gpu_bytes")),
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def over_the_limits(projection: Projection) -> Iterator[Said]:
    """A finding for each limit that would be reached."""
    if projection.train_seconds > projection.train_limit:
        yield _too_slow(projection)
    if projection.predict_seconds > projection.predict_limit:
        yield Said(
            "predicts_too_slowly",
            "the prediction would take too long",
            f"a prediction would take about {duration(projection.predict_seconds)}; the limit is "
            f"{duration(projection.predict_limit)}",
            "make forward() faster in evaluation mode, or use a larger batch_size",
        )
    if projection.memory_bytes is not None and projection.memory_bytes > NEARLY * projection.memory_limit:
        yield Said(
            "too_much_memory",
            "the training would need too much memory",
            f"a few batches took {memory(projection.memory_bytes)}; "
            f"the limit is {memory(projection.memory_limit)}",
            "use a smaller batch_size or a smaller model",
        )
    if projection.weights_bytes is not None and projection.weights_bytes > projection.weights_limit:
        yield Said(
            "weights_too_large",
            "the weights are too large",
            f"they take {memory(projection.weights_bytes)}; the limit is {memory(projection.weights_limit)}",
            "use fewer parameters: narrower or fewer layers, and no large buffers",
        )


def _too_slow(projection: Projection) -> Said:
    each = projection.train_seconds / projection.epochs
    fits = int(SAFE * projection.train_limit / each)
    less = f"set epochs to {fits} or fewer, or " if fits else ""
    stops = " Early stopping may end it sooner." if projection.early_stop else ""
    return Said(
        "trains_too_slowly",
        "the training would take too long",
        f"{projection.epochs:,} epochs would take about {duration(projection.train_seconds)}; the limit is "
        f"{duration(projection.train_limit)}.{stops}",
        f"{less}use a larger batch_size or a smaller model",
    )
