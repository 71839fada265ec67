"""The arithmetic of the benchmarks, and that their contestants do the same work in the same environment."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from harness.host.assignment import load_assignment
from harness.host.config import parse_config
from harness.host.data import validation_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
WORKLOADS = sorted(folder.name for folder in (FOLDER / "workloads").iterdir() if folder.is_dir())
LOSSES = ((0.5,), (0.6,))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a module of ``benchmarks/`` as its scripts do, and forgets all of them afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in ("model", *(path.stem for path in FOLDER.glob("*.py"))):
        sys.modules.pop(name, None)


def fake_harness(path: Path, seconds: float) -> str:
    """A command that watches as the harness does, and takes so many seconds for a report."""
    path.write_text(
        f"""#!{sys.executable}
import json, pathlib, sys, time

submission, report = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[sys.argv.index("--json") + 1])
graded, count = None, 0
while True:
    source = (submission / "model.py").read_text()
    if source == graded:
        time.sleep(0.01)
        continue
    time.sleep({seconds})
    graded, count = source, count + 1
    runtime = {{"train_seconds": count, "predict_seconds": 0.0}}
    new = report.with_suffix(".new")
    document = {{"loss": {{"train": [0.5], "valid": [0.6]}}, "runtime": runtime}}
    new.write_text(json.dumps(document | {{"environment": {{"sandbox": "bubblewrap"}}}}))
    new.replace(report)
    print("\\nwatching the submission", file=sys.stderr, flush=True)
"""
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("rounds", "median"), [((3.0,), 3.0), ((9.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 2.0, 100.0), 3.0)]
)
def test_the_median_is_the_middle_of_all_rounds(
    script: Callable[[str], Any], rounds: tuple[float, ...], median: float
) -> None:
    """One slow round does not move the figure, and the order of the rounds does not matter."""
    assert script("timings").Timing(rounds).median == median


def test_a_ratio_over_one_is_slower(script: Callable[[str], Any]) -> None:
    """The ratio is of the medians, in multiples of the baseline."""
    timing = script("timings").Timing
    assert timing((6.0, 3.0, 90.0)).ratio_to(timing((2.0, 1.0, 4.0))) == 3.0
    assert timing((1.0,)).ratio_to(timing((4.0,))) == 0.25


def test_a_timing_without_rounds_is_refused(script: Callable[[str], Any]) -> None:
    """There is no median of nothing."""
    with pytest.raises(ValueError, match="at least one round"):
        script("timings").Timing(())


def test_there_is_no_ratio_to_a_baseline_of_no_time(script: Callable[[str], Any]) -> None:
    """A division by zero is said in words."""
    timing = script("timings").Timing
    with pytest.raises(ValueError, match="no ratio"):
        timing((1.0,)).ratio_to(timing((0.0,)))


def test_each_contestant_runs_once_a_round_and_first_in_turn(script: Callable[[str], Any]) -> None:
    """Every round has all of them, and the first place goes round."""
    turns = script("timings").turns(["a", "b", "c"], 4)
    assert [order[0] for order in turns] == ["a", "b", "c", "a"]
    assert all(sorted(order) == ["a", "b", "c"] for order in turns)


def test_the_first_round_of_a_race_is_not_counted(script: Callable[[str], Any]) -> None:
    """What warms the caches is shown as round 0 and kept out of the figures."""
    counts = {"a": iter(range(10)), "b": iter(range(10, 20))}
    told: list[tuple[int, str, int]] = []
    taken = script("timings").race(
        {name: count.__next__ for name, count in counts.items()}, 2, lambda *each: told.append(each)
    )
    assert taken == {"a": [1, 2], "b": [11, 12]}
    assert [number for number, _, _ in told] == [0, 0, 1, 1, 2, 2]


def test_no_variable_of_pythons_own_reaches_a_contestant(
    script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PYTHONDONTWRITEBYTECODE the plain script would compile PyTorch at every start."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KEPT", "yes")
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = json.loads(script("processes").run([sys.executable, "-c", show]))
    assert not [name for name in seen if name.startswith("PYTHON")]
    assert seen["KEPT"] == "yes"


def test_a_process_that_fails_is_an_error_with_the_end_of_its_output(script: Callable[[str], Any]) -> None:
    """A contestant that did not do its work has no time."""
    fail = "import sys; print('half way'); sys.exit('no such file')"
    with pytest.raises(RuntimeError, match=r"status 1:\nhalf way\nno such file"):
        script("processes").timed([sys.executable, "-c", fail])


@pytest.mark.parametrize(
    ("loss", "losses", "wrong"),
    [(0.5, "equal", []), (0.500000001, "close", ["cold docker"]), (0.6, "DIFFER", ["cold docker"])],
)
def test_a_contestant_with_other_losses_is_pointed_out(
    script: Callable[[str], Any], loss: float, losses: str, wrong: list[str]
) -> None:
    """Times are comparable only where every loss of every epoch is equal, to the last bit."""
    sample, summary = script("contestants").Sample, script("summary")
    plain, other = sample(4.0, 2.0, 0.5, LOSSES), sample(6.0, 1.0, 0.5, ((loss,), (0.6,)))
    rows = summary.summarise({"plain": [plain], "cold docker": [other]})
    assert [row["losses"] for row in rows] == ["equal", losses]
    assert summary.did_other_work(rows) == wrong
    assert rows[1]["ratio_to_plain"] == 1.5
    assert rows[1]["rest_seconds"]["median"] == 4.5


def test_lightning_may_come_to_losses_of_less_precision(script: Callable[[str], Any]) -> None:
    """It sums them in float32; another number of epochs is other work all the same."""
    sample, summary = script("contestants").Sample, script("summary")
    plain, near = sample(4.0, 2.0, 0.5, LOSSES), sample(4.0, 2.0, 0.5, ((0.500000001,), (0.6,)))
    short = sample(4.0, 2.0, 0.5, ((), ()))
    assert summary.did_other_work(summary.summarise({"plain": [plain], "lightning": [near]})) == []
    rows = summary.summarise({"plain": [plain], "lightning": [short]})
    assert summary.did_other_work(rows) == ["lightning"]


def test_without_the_plain_script_there_are_times_and_no_ratios(script: Callable[[str], Any]) -> None:
    """What has nothing to be compared with still has its time, and keeps or misses no bar."""
    one = script("contestants").Sample(6.0, 1.0, 0.5, LOSSES)
    (row,) = script("summary").summarise({"cold docker": [one]})
    assert row["wall_seconds"]["median"] == 6.0
    assert row["ratio_to_plain"] is None
    assert row["losses"] is None
    assert row["bar_kept"] is None


@pytest.mark.parametrize(
    ("name", "seconds", "kept"),
    [("cold bubblewrap", 4.0, True), ("cold bubblewrap", 4.1, False), ("cold docker", 4.5, True)],
)
def test_each_ratio_stands_beside_its_bar(
    script: Callable[[str], Any], name: str, seconds: float, *, kept: bool
) -> None:
    """A bar says at most, and the ratio that reaches it keeps it."""
    sample = script("contestants").Sample
    samples = {"plain": [sample(4.0, 2.0, 0.5, LOSSES)], name: [sample(seconds, 1.0, 0.5, LOSSES)]}
    rows = {row["name"]: row for row in script("summary").summarise(samples)}
    assert rows[name]["bar_kept"] is kept
    assert rows["plain"]["bar"] is None


@pytest.mark.parametrize(("ratio", "kept"), [(3.9, False), (4.0, True)])
def test_a_bar_can_be_a_least(script: Callable[[str], Any], ratio: float, *, kept: bool) -> None:
    """More submissions a minute are better."""
    bars = script("bars")
    assert bars.beside(ratio, bars.THROUGHPUT["batch bubblewrap"]) == {"bar": ">= 4.00", "bar_kept": kept}


def test_phases_are_medians_of_the_rounds_that_name_them(script: Callable[[str], Any]) -> None:
    """A sandbox may lack a phase."""
    rounds = [{"start": 1.0}, {"start": 3.0, "exit": 5.0}, {"start": 2.0}]
    assert script("phases").medians(rounds) == {"start": 2.0, "exit": 5.0}


def test_phases_follow_each_other(script: Callable[[str], Any]) -> None:
    """What a sandbox does not have takes no time, and the next phase has it."""
    lengths = script("clocked").lengths
    assert lengths(10.0, {"start": 11.0, "choose": 13.0, "ready": 17.0}) == {
        "start": 1.0,
        "choose": 2.0,
        "ready": 4.0,
    }


def test_functions_are_clocked_when_they_are_imported(script: Callable[[str], Any]) -> None:
    """Every function that ends a phase is there, so that none is left out in silence."""
    for module, name, _ in script("clocked").ENDS.values():
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found)


def test_the_throughput_of_a_batch_is_compared_with_xargs(script: Callable[[str], Any]) -> None:
    """Twice as many a minute is a ratio of 2, and other losses of any submission are pointed out."""
    batch = script("batch")
    losses = {"student-000": LOSSES, "student-001": LOSSES}
    other = {**losses, "student-001": ((0.4,), (0.6,))}
    found = batch.summarise(
        {
            "xargs": [batch.Batch(60.0, losses)],
            "batch bubblewrap": [batch.Batch(30.0, losses)],
            "batch docker": [batch.Batch(30.0, other)],
        },
        size=2,
    )
    rows = {row["name"]: row for row in found}
    assert rows["xargs"]["per_minute"] == 2.0
    assert rows["batch bubblewrap"]["ratio_to_xargs"] == 2.0
    assert rows["batch bubblewrap"]["bar_kept"] is False
    assert rows["batch docker"]["bar_kept"] is True
    assert rows["batch bubblewrap"]["same_losses"] is True
    assert rows["batch docker"]["same_losses"] is False


def test_the_submissions_of_a_batch_differ_in_their_seeds(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    """So that nothing of one could serve another, and all else is the workload's."""
    workload = script("workloads").find("hw1-bikes-16")
    script("batch").Folder(workload, tmp_path / "batch", size=3, jobs=2).fill()
    configs = [tomllib.loads(path.read_text()) for path in sorted(tmp_path.glob("batch/*/*/config.toml"))]
    assert len({config.pop("seed") for config in configs}) == 3
    original = tomllib.loads((workload.submission / "config.toml").read_text())
    del original["seed"]
    assert configs == [original] * 3


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_is_a_valid_submission(script: Callable[[str], Any], name: str) -> None:
    """Its config passes its assignment's checks, and it trains for all epochs."""
    workload = script("workloads").find(name)
    assignment = load_assignment(workload.assignment)
    table = tomllib.loads((workload.submission / "config.toml").read_text())
    config = parse_config(table, assignment)
    assert config.early_stop == 0
    assert (workload.target, workload.task) == (assignment.data.target, assignment.task)
    assert config.loss is not None
    assert config.loss.name == script("plain_script").LOSSES[workload.task]


def test_a_generated_course_is_a_valid_one(script: Callable[[str], Any], tmp_path: Path) -> None:
    """It has as many rows and features as were asked for, and a config that its assignment takes."""
    workload = script("synthetic").make(tmp_path / "course", rows=12, features=3)
    assignment = load_assignment(workload.assignment)
    parse_config(tomllib.loads((workload.submission / "config.toml").read_text()), assignment)
    x, y, ids = script("plain_script").read_rows(assignment.train_path, workload.target, workload.task)
    assert (tuple(x.shape), tuple(y.shape)) == ((12, 3), (12,))
    test_x, none, test_ids = script("plain_script").read_rows(assignment.test_path, "y", workload.task)
    assert (tuple(test_x.shape), none) == ((3, 3), None)
    assert len({*ids, *test_ids}) == 15
    assert workload.course == tmp_path / "course"


def test_the_plain_script_trains_on_the_same_rows(script: Callable[[str], Any]) -> None:
    """Its validation rows are the harness's, and every other row is trained on, once."""
    train_rows, valid_rows = script("plain_script").split_rows(101, 0.2, 7)
    assert np.array_equal(valid_rows, validation_rows(101, 0.2, 7))
    assert sorted([*train_rows.tolist(), *valid_rows.tolist()]) == list(range(101))


@pytest.mark.parametrize(("task", "values"), [("regression", "float32"), ("classification", "int64")])
def test_the_plain_script_reads_targets_as_the_task_needs_them(
    script: Callable[[str], Any], tmp_path: Path, task: str, values: str
) -> None:
    """Numbers for a regression, class numbers for a classification; the test rows have none."""
    (tmp_path / "train.csv").write_text("id,a,y,b\nr1,0.5,3,2\nr2,1.5,4,1\n")
    (tmp_path / "test.csv").write_text("id,a,b\nr3,0.5,2\n")
    x, y, ids = script("plain_script").read_rows(tmp_path / "train.csv", "y", task)
    assert x.tolist() == [[0.5, 2.0], [1.5, 1.0]]
    assert (str(y.dtype), y.tolist(), ids) == (f"torch.{values}", [3, 4], ["r1", "r2"])
    assert script("plain_script").read_rows(tmp_path / "test.csv", "y", task)[1] is None


def test_the_plain_script_is_independent_of_the_harness() -> None:
    """What the harness is compared with must not be the harness."""
    source = (FOLDER / "plain_script.py").read_text()
    assert "import harness" not in source
    assert "from harness" not in source


def test_all_loops_train_alike_and_the_bare_kernels_keep_no_losses(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    """A few rows for one epoch: other losses would be refused, and ratios follow from the medians."""
    torch, loops, plain = importlib.import_module("torch"), script("loops"), script("plain_script")
    submission = FOLDER / "workloads" / "hw1-bikes-256"
    fixed = {"epochs": 1, "batch_size": 16, "save_path": tmp_path / "model.pth"}
    config = plain.read_config(submission) | fixed
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 10, (50, 56), generator=generator).float()
    work = loops.Work(x, x.mean(dim=1), submission, config, "cpu")
    timings = loops.race(work, 1)
    rows = {row["name"]: row for row in loops.summarise(timings, 16, "Adam", "cpu")}
    assert rows[loops.LECTURE]["times_as_fast_as_lecture"] == 1.0
    assert rows[loops.BARE]["ratio_to_bare"] == 1.0
    assert rows[loops.TENSORS]["lecture"]["bar"] == ">= 1.40"
    assert rows[loops.TENSORS]["bare"]["bar"] is None
    assert loops.bare(work)() == {}


def test_a_warm_round_lasts_from_the_edit_to_the_report(script: Callable[[str], Any], tmp_path: Path) -> None:
    """Each round is another edit and another report, and the watcher is ended with the context."""
    harness = fake_harness(tmp_path / "harness", seconds=0.2)
    workload = script("workloads").find("hw1-bikes-16")
    with script("warm").Watcher(workload, "bubblewrap", tmp_path / "watched", harness) as watcher:
        samples = [watcher.sample() for _ in range(2)]
        process = watcher._process
    assert all(0.2 < one.wall_seconds < 5 for one in samples)
    assert [one.train_seconds for one in samples] == [2.0, 3.0]
    assert process.returncode is not None
    source = (tmp_path / "watched" / "submission" / "model.py").read_text()
    assert source.startswith((workload.submission / "model.py").read_text())
    assert source.endswith("# edit 2\n")


def test_a_report_from_another_sandbox_is_refused(script: Callable[[str], Any], tmp_path: Path) -> None:
    """A figure of Docker is one of Docker."""
    (tmp_path / "report.json").write_text('{"environment": {"sandbox": "bubblewrap"}}')
    with pytest.raises(RuntimeError, match="was to run in docker, and ran in bubblewrap"):
        script("contestants").read_report(tmp_path / "report.json", "docker")


def test_a_watcher_that_dies_is_an_error_with_what_it_said(
    script: Callable[[str], Any], tmp_path: Path
) -> None:
    """Nobody waits for a report that will not come."""
    harness = tmp_path / "harness"
    harness.write_text("#!/bin/sh\necho out of order >&2\nexit 3\n")
    harness.chmod(0o755)
    workload = script("workloads").find("hw1-bikes-16")
    watcher = script("warm").Watcher(workload, "bubblewrap", tmp_path / "watched", str(harness))
    with pytest.raises(RuntimeError, match=r"ended with status 3:\nout of order"), watcher:
        pass


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["processes"], ["plain", "cold bubblewrap", "cold docker"]),
        (["warm"], ["plain", "warm bubblewrap", "warm docker"]),
        (["others"], ["plain", "lightning", "otter"]),
        (["loops", "batch", "board"], []),
    ],
)
def test_the_plain_script_runs_beside_whatever_is_compared_with_it(
    script: Callable[[str], Any], groups: list[str], names: list[str]
) -> None:
    """``--only warm`` has a ratio too."""
    assert script("lineup").racers(groups) == names


def test_by_default_all_but_scaling_is_measured_in_seven_rounds(script: Callable[[str], Any]) -> None:
    """Scaling takes long, and is asked for."""
    options = script("run").parse_arguments([])
    assert options.only == ["processes", "warm", "batch", "loops", "others", "board"]
    assert (options.rounds, options.batch_size, options.batch_rounds) == (7, 40, 3)
    assert options.workload == WORKLOADS
    assert options.batch_workload == ["hw1-bikes-16"]


def test_no_round_is_wrong_use(script: Callable[[str], Any], capsys: pytest.CaptureFixture[str]) -> None:
    """It is said before anything runs."""
    with pytest.raises(SystemExit):
        script("run").parse_arguments(["--rounds", "0"])
    assert "--rounds is 0, must be at least 1" in capsys.readouterr().err


def test_the_tables_show_whatever_part_is_there(script: Callable[[str], Any]) -> None:
    """A ratio with its bar, the phases, and who did not run and why."""
    sample, batch, beside = script("contestants").Sample, script("batch"), script("bars").beside
    plain = sample(4.0, 2.0, 0.5, LOSSES)
    warm = sample(0.5, 0.25, 0.125, LOSSES)
    wall = script("timings").Timing((0.2,)).as_json()
    batches = batch.summarise({"xargs": [batch.Batch(60.0, {})]}, size=2)
    cost = script("board").Cost(1.5, 0.7, 2.5, 600_000_000)
    result = {
        "machine": {"cpu": "a processor", "gpu": None, "cores": 2, "versions": {"torch": "2.13.0"}},
        "load_average": 5.0,
        "not_run": {"otter": "not installed"},
        "workloads": {"small": script("summary").summarise({"plain": [plain], "warm docker": [warm]})},
        "phases": {"small": [{"name": "cold docker", "phases": {"spawn": 0.0625, "exit": 0.5}}]},
        "help": {"wall_seconds": wall, **beside(0.2, script("bars").HELP_SECONDS)},
        "batches": [{"workload": "small", "size": 2, "jobs": 2, "rows": batches}],
        "board": {
            "students": 10_000,
            "attempts": 20,
            "rescored": 1_000,
            "rows": script("board").summarise({"leaderboard csv": [cost]}),
        },
        "scaling": [
            {
                "curve": "rows",
                "at": 1000,
                "name": "plain",
                "wall_seconds": wall,
                "baseline": "plain",
                "ratio": 1.0,
            }
        ],
    }
    console = Console(width=110, record=True, file=io.StringIO())
    script("tables").show(result, console)
    text = console.export_text()
    for words in (
        "others were at work",
        "0.12  ≤0.25 ✓",
        "spawn",
        "≤0.30 ✓",
        "xargs",
        "1,000",
        "≤2.00 ✓",
        "600  ≤500.00 ✗",
    ):
        assert words in text
    assert "otter: not run: not installed" in text


def test_the_scripts_of_the_benchmark_start(script: Callable[[str], Any]) -> None:
    """``run.py --help`` needs neither a sandbox nor PyTorch."""
    clean = script("processes").clean(os.environ)
    command = [sys.executable, str(FOLDER / "run.py"), "--help"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "--only {processes,warm,batch,loops,others,board,scaling}" in done.stdout
