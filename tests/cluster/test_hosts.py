"""The command that grades on a cluster, from its start to its end, and the clusters that it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.cluster import Cluster
from harness.host.errors import MachineError, UsageError
from harness.host.sandbox.watch import descendants
from tests.cluster.conftest import ROOT, SECONDS, DaskProcesses, cells_of, groups_of, own_cores, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Scheduler

PAGE = ROOT / "docs" / "how-to" / "grade-on-a-cluster.md"
HOST = Path(__file__).with_name("host.py")
UNTOUCHED = 3  # failures that Dask allows a task by itself
DAYS = "import time; time.sleep(100_000)"
bubblewrap = pytest.mark.bubblewrap


@contextmanager
def host(
    source: Path, address: str, *folders: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command, in a process group of its own, which is killed in any case."""
    with subprocess.Popen(
        [sys.executable, HOST, address, *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=source,  # where a job's interpreter looks first
        env={**os.environ, **own_cores(source), **(environment or {})},
        start_new_session=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def results_in(output: str) -> dict[str, list[str]]:
    """Name to outcome and score."""
    lines = [line.split() for line in output.splitlines() if line.startswith("result ")]
    return {name: rest for _, name, *rest in lines}


def family(command: subprocess.Popen[str]) -> set[int]:
    """The command and all that it started."""
    return set(descendants(command.pid))


@bubblewrap
def test_local_cluster_grades_in_silence_and_leaves_nothing(
    source: Path, submission: Callable[..., Path]
) -> None:
    """Workers are processes of this machine; Dask says nothing on the terminal."""
    folders = [submission("good"), submission("bad", before="import no_such_package")]
    with host(source, "local", *folders) as command:
        workers = wait_for(lambda: {pid for pid in family(command) if cells_of({pid})})
        output, errors = command.communicate(timeout=SECONDS)
    assert errors == ""
    results = results_in(output)
    assert (results["good"][0], results["bad"]) == ("ok", ["import_error"])
    cores = len(os.sched_getaffinity(0))
    assert f"note a cluster of {cores} processes on this machine" in output
    assert groups_of(workers) == []


@bubblewrap
def test_interrupted_local_cluster_ends_at_once(source: Path, submission: Callable[..., Path]) -> None:
    """Ctrl-C reaches the workers as well, as a terminal sends it."""
    with host(source, "local", submission("forever", before=DAYS)) as command:
        workers = wait_for(lambda: {pid for pid in family(command) if cells_of({pid})})
        everything = family(command)
        began = time.monotonic()
        os.killpg(command.pid, signal.SIGINT)
        output, errors = command.communicate(timeout=SECONDS)
    assert time.monotonic() - began < 10
    assert output.splitlines()[-1] == "interrupted"
    assert errors == ""
    assert groups_of(workers) == []
    wait_for(lambda: not [pid for pid in everything if Path(f"/proc/{pid}").exists()])


@bubblewrap
def test_host_that_is_killed_leaves_workers_as_they_were(
    dask_processes: DaskProcesses, source: Path, submission: Callable[..., Path]
) -> None:
    """What they did for it ends at once, and the next one grades."""
    pids = dask_processes.ensure(1)
    with host(source, dask_processes.address, submission("forever", before=DAYS)) as command:
        wait_for(lambda: cells_of(pids))
        command.kill()
    wait_for(lambda: not dask_processes.leftovers(), 10)
    wait_for(lambda: dask_processes.client.run_on_scheduler(state_of) == ([], UNTOUCHED), 10)

    with host(source, dask_processes.address, submission("good")) as command:
        output, _ = command.communicate(timeout=SECONDS)
    assert results_in(output)["good"][0] == "ok"


def state_of(dask_scheduler: Scheduler) -> tuple[list[str], int]:
    """What a grading changes of a scheduler."""
    plugins = [*dask_scheduler.worker_plugins, *dask_scheduler.plugins]
    return [name for name in plugins if name.startswith("harness")], dask_scheduler.allowed_failures


@pytest.fixture
def slurm(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """``slurm(settings)`` is a site without Slurm: jobs are processes, and scripts are kept in ``jobs``.

    Returns:
        The environment of a command that finds it.
    """
    programs, jobs, settings = (tmp_path / name for name in ("bin", "jobs", "dask"))

    def make(site: str, *, starts_jobs: bool) -> dict[str, str]:
        for folder in (programs, jobs, settings):
            folder.mkdir()
        start = f"setsid sh {jobs}/$$.sh >{jobs}/$$.log 2>&1 &" if starts_jobs else "sleep 0 &"
        (programs / "sbatch").write_text(
            f'#!/bin/sh\ncp "$1" {jobs}/$$.sh\n{start}\necho "Submitted batch job $!"\n'
        )
        (programs / "scancel").write_text('#!/bin/sh\nkill -TERM -- "-$1"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        (settings / "jobqueue.yaml").write_text(site)
        return {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "DASK_CONFIG": str(settings),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }

    return make


@bubblewrap
def test_slurm_has_workers_while_the_command_runs(
    slurm: Callable[..., dict[str, str]], source: Path, submission: Callable[..., Path], tmp_path: Path
) -> None:
    """They speak with it by a key that only this user can read and that goes with it, as the jobs do."""
    site = "{jobqueue: {slurm: {cores: 1, memory: 4GiB, scheduler-options: {host: 127.0.0.1}}}}"
    environment = slurm(site, starts_jobs=True)
    with host(source, "slurm", submission("good"), environment=environment) as command:
        script = wait_for(lambda: list((tmp_path / "jobs").glob("*.sh")))[0]
        (key,) = re.findall(r"--tls-key (\S+)", script.read_text())
        mode = Path(key).stat().st_mode & 0o777
        output, errors = command.communicate(timeout=SECONDS)
    assert errors == ""
    assert results_in(output)["good"][0] == "ok"
    assert mode == 0o600
    assert not Path(key).exists()
    wait_for(lambda: not _running(script))


def test_slurm_is_asked_for_what_the_page_shows(
    slurm: Callable[..., dict[str, str]], source: Path, submission: Callable[..., Path], tmp_path: Path
) -> None:
    """The settings in the documentation give the job that stands below them: one process a core."""
    page = PAGE.read_text()
    blocks = dict(re.findall(r"```(yaml|text)\n(.*?)```", page, re.DOTALL))
    with host(
        source, "slurm", submission("good"), environment=slurm(blocks["yaml"], starts_jobs=False)
    ) as command:
        script = wait_for(lambda: list((tmp_path / "jobs").glob("*.sh")))[0].read_text()
        command.send_signal(signal.SIGINT)
        output, errors = command.communicate(timeout=SECONDS)
    assert (output.splitlines()[-1], errors, command.returncode) == ("interrupted", "", 0)
    assert [line for line in script.splitlines() if line.startswith("#SBATCH")] == blocks["text"].splitlines()
    (start,) = [line for line in script.splitlines() if "distributed.cli.dask_worker tls://" in line]
    for option in ("--nthreads 1", "--nworkers 16", "--lifetime 3h50m", "--tls-key"):
        assert f" {option} " in start


def _running(script: Path) -> list[str]:
    """Processes of a job."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text()
        except OSError:  # it ended
            continue
        if str(script.parent) in words:
            found.append(words)
    return found


@pytest.mark.parametrize(
    ("address", "kind", "said"),
    [
        ("http://10.0.0.1", UsageError, "is no cluster"),
        ("kubernetes", UsageError, "is no cluster"),
        ("tcp://10.0.0.1", UsageError, "is no cluster"),
        ("tls://127.0.0.1:1", UsageError, "lack distributed.comm.tls.ca-file, distributed.comm.tls.client"),
        ("tcp://127.0.0.1:1", MachineError, "no Dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_address_where_no_cluster_is(
    monkeypatch: pytest.MonkeyPatch, address: str, kind: type[Exception], said: str
) -> None:
    """It is said before anything is read."""
    monkeypatch.setattr("harness.host.cluster.addresses.SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(kind, match=said), Cluster(address, pytest.fail):
        pass


def test_slurm_without_slurm_or_settings_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no sbatch here"), Cluster("slurm", pytest.fail):
        pass
