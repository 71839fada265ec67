"""Shows the figures of a run of the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from summary import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    Row = Mapping[str, Any]

TEXT_COLUMNS = frozenset({"contestant", "step", "bar", "curve", "to"})
KEPT = {None: "", True: " [green]✓[/]", False: " [yellow]✗[/]"}


def show(result: Mapping[str, Any], console: Console) -> None:
    """Write the tables of what was measured, and who did not run."""
    facts = result["machine"]
    gpu = f", {facts['gpu']}" if facts["gpu"] else ""
    console.print(f"{facts['cpu']}{gpu}, {facts['cores']} cores, torch {facts['versions'].get('torch', '?')}")
    if result["load_average"] > facts["cores"]:
        console.print(
            f"Load average {result['load_average']:.1f} on {facts['cores']} cores: others were at work, so "
            "read the ratios rather than the seconds.",
            style="yellow",
        )
    for table in tables(result):
        console.print(table)
    for name, reason in result["not_run"].items():
        console.print(f"{name}: not run: {reason}", markup=False)


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """A table for each part of the result that is there."""
    for name, rows in result.get("workloads", {}).items():
        yield _processes(name, rows)
    for name, rows in result.get("phases", {}).items():
        yield _phases(name, rows)
    if "help" in result:
        yield _help(result["help"])
    for batch in result.get("batches", []):
        yield _batch(batch)
    loops = result.get("loops", [])
    for device, batch_size in dict.fromkeys((row["device"], row["batch_size"]) for row in loops):
        yield _loops(device, batch_size, loops)
    if "board" in result:
        yield _board(result["board"])
    if result.get("scaling"):
        yield _scaling(result["scaling"])


def _table(title: str, heads: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        table.add_column(head, justify="left" if head in TEXT_COLUMNS else "right", no_wrap=True)
    return table


def _processes(workload: str, rows: Sequence[Row]) -> Table:
    heads = ("contestant", "wall", "min-max", "ratio", "bar", "train", "predict", "rest", "losses")
    table = _table(f"{workload}: whole process, medians in seconds, in times of plain", heads)
    for row in rows:
        table.add_row(
            row["name"],
            *_spread(row["wall_seconds"]),
            _ratio(row["ratio_to_plain"]),
            _bar(row),
            *[f"{row[part]['median']:.2f}" for part in PARTS],
            row["losses"] or "-",
        )
    return table


def _phases(workload: str, rows: Sequence[Row]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row["phases"]))
    table = _table(f"{workload}: phases, medians in seconds", ("contestant", *names))
    for row in rows:
        seconds = (row["phases"].get(name) for name in names)
        table.add_row(row["name"], *["-" if each is None else f"{each:.2f}" for each in seconds])
    return table


def _help(row: Row) -> Table:
    table = _table("Start of the command, seconds", ("contestant", "wall", "min-max", "bar"))
    table.add_row("harness grade --help", *_spread(row["wall_seconds"]), _bar(row))
    return table


def _batch(batch: Row) -> Table:
    title = f"{batch['workload']}: {batch['size']} submissions, {batch['jobs']} at once, in times of xargs"
    heads = ("contestant", "wall", "min-max", "a minute", "ratio", "bar", "losses")
    table = _table(title, heads)
    for row in batch["rows"]:
        table.add_row(
            row["name"],
            *_spread(row["wall_seconds"]),
            f"{row['per_minute']:.1f}",
            _ratio(row["ratio_to_xargs"]),
            _bar(row),
            {None: "-", True: "equal", False: "DIFFER"}[row["same_losses"]],
        )
    return table


def _loops(device: str, batch_size: int, rows: Sequence[Row]) -> Table:
    title = f"Loops alone on {device}, batch {batch_size}, medians in ms an epoch; faster than the lecture's"
    heads = ("step", "contestant", "epoch", "min-max", "faster", "bar", "to bare", "bar")
    table = _table(title, heads)
    for row in rows:
        if (row["device"], row["batch_size"]) != (device, batch_size):
            continue
        epoch = {key: 1000 * row["epoch_seconds"][key] for key in ("median", "min", "max")}
        table.add_row(
            row["optimizer"],
            row["name"],
            *_spread(epoch, digits=1),
            _ratio(row["times_as_fast_as_lecture"]),
            _bar(row["lecture"]),
            _ratio(row["ratio_to_bare"]),
            _bar(row["bare"]),
        )
    return table


def _board(board: Row) -> Table:
    size = (
        f"{board['students']:,} students, {board['attempts']} attempts each; {board['rescored']:,} rescored"
    )
    title = f"{size}: processor seconds beside imports, MB"
    heads = ("contestant", "process", "min-max", "bar", "imports", "wall", "memory", "bar")
    table = _table(title, heads)
    for row in board["rows"]:
        table.add_row(
            row["name"],
            *_spread(row["process_seconds"]),
            _bar(row["time"]),
            f"{row['import_seconds']['median']:.2f}",
            f"{row['wall_seconds']['median']:.2f}",
            f"{row['peak_memory_bytes'] / 1e6:.0f}",
            _bar(row["memory"]),
        )
    return table


def _scaling(rows: Sequence[Row]) -> Table:
    heads = ("curve", "at", "contestant", "wall", "min-max", "ratio", "to")
    table = _table("How times grow, medians in seconds", heads)
    for row in rows:
        where = row["curve"], f"{row['at']:,}", row["name"]
        table.add_row(*where, *_spread(row["wall_seconds"]), _ratio(row["ratio"]), row["baseline"])
    return table


def _spread(timing: Mapping[str, Any], digits: int = 2) -> tuple[str, str]:
    """Median, and fastest to slowest."""
    median, least, most = (f"{timing[key]:.{digits}f}" for key in ("median", "min", "max"))
    return median, f"{least}-{most}"


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _bar(row: Mapping[str, Any]) -> str:
    if not row["bar"]:
        return ""
    bar = str(row["bar"]).replace("<= ", "≤").replace(">= ", "≥")
    return bar + KEPT[row["bar_kept"]]
