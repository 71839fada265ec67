"""The Dask clusters that an address can name: one that runs, Slurm, or the cores of this machine.

Dask's protocol unpickles, so whoever reaches a port of it runs code as its user. What is started here speaks
TLS with a key of its own, which only this user can read.
"""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, LocalCluster, Security

from harness.host.cache import user_cache
from harness.host.cores import usable_cores
from harness.host.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCAL, SLURM = "local", "slurm"
TCP, TLS = SCHEMES = ("tcp", "tls")
FORMS = f"it is {LOCAL}, {SLURM}, or a scheduler's address such as tcp://10.0.0.1:8786"
DOCS = "see docs/how-to/grade-on-a-cluster.md"
SECONDS_TO_CONNECT = 10
DAYS_OF_A_KEY = "30"
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1TiB",  # a submission is as large as it is
    "distributed.scheduler.unknown-task-duration": "30s",  # so that Slurm is asked for many workers at once
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.admin.low-level-log-length": 100,  # of messages that are kept whole, for each worker
    "distributed.worker.profile.enabled": False,  # it would sample the threads that watch trainings
}
CHATTY = ("distributed", "distributed.client", "distributed.worker", "tornado", "tornado.application")


@contextmanager
def connected(address: str, note: Callable[[str], None]) -> Iterator[Client]:
    """A client of the cluster that an address names; what was started for it ends with the context.

    Args:
        address: ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``slurm`` or ``local``.
        note: is told what was started.

    Raises:
        UsageError: it is no address, or this site's settings lack something.
        MachineError: nobody answers there.
    """
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(dask.config.set(SETTINGS))
        where: Any = address
        if address == LOCAL:
            where = stack.enter_context(_local(note))
        elif address == SLURM:
            where = stack.enter_context(_slurm(note))
        else:
            _check(address)
        try:
            client = Client(where, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise MachineError(f"no Dask scheduler answers at {address}: {error}", DOCS) from error
        yield stack.enter_context(client)


def _check(address: str) -> None:
    """Say what is wrong with a scheduler's address, before Dask does it with a traceback."""
    scheme, found, rest = address.partition("://")
    _, _, port = rest.rpartition(":")
    if scheme not in SCHEMES or not found or not port.isdecimal():
        raise UsageError(f"{address!r} is no cluster", FORMS)
    settings = ("ca-file", "client.cert", "client.key")
    missing = [name for name in settings if not dask.config.get(f"distributed.comm.tls.{name}", None)]
    if scheme == TLS and missing:
        names = ", ".join(f"distributed.comm.tls.{name}" for name in missing)
        raise UsageError(f"{address} speaks TLS, and Dask's settings here lack {names}", DOCS)


@contextmanager
def _quiet() -> Iterator[None]:
    """While it is left, Dask says nothing on the terminal: what matters is told as notes and faults."""
    before = {name: logging.getLogger(name).level for name in CHATTY}
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _local(note: Callable[[str], None]) -> Iterator[LocalCluster]:
    """A process for each core that this one may use."""
    workers = len(usable_cores())
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        make_key(Path(folder))
        security = security_of(Path(folder), in_memory=True)
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=0,  # the sandboxes have limits, and Dask would count none of what they use
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
        security=security,
    ) as cluster:
        note(f"a cluster of {workers} processes on this machine")
        yield cluster


@contextmanager
def _slurm(note: Callable[[str], None]) -> Iterator[Any]:
    """Jobs of Slurm, as many as there is work for, with this site's settings of dask-jobqueue."""
    if shutil.which("sbatch") is None:
        raise UsageError(
            "there is no sbatch here", "start the command on a machine that submits Slurm's jobs"
        )
    shared = dask.config.get("jobqueue.slurm.shared-temp-directory", None)
    folder = Path(shared).expanduser() if shared else user_cache("cluster")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="key-", dir=folder) as keys:
        make_key(Path(keys))
        with slurm_cluster(Path(keys)) as cluster:
            cluster.adapt(interval="2s", wait_count=30)  # how many is for distributed.adaptive of the site
            note("workers are jobs of Slurm; they come as it starts them")
            yield cluster


def slurm_cluster(keys: Path) -> Any:  # noqa: ANN401  dask-jobqueue has no types
    """Slurm's jobs, of which none is submitted yet: each a process for each of its cores.

    Args:
        keys: a folder with a key and a certificate that the jobs can read.

    Raises:
        UsageError: the site's settings do not say how large a job is.
    """
    with _signals_as_they_are():
        from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415  only where it is used

    cores = dask.config.get("jobqueue.slurm.cores", None)
    site = dask.config.get("jobqueue.slurm.scheduler-options", None) or {}
    try:
        return SLURMCluster(
            processes=cores,
            security=security_of(keys),
            protocol=f"{TLS}://",
            scheduler_options={"dashboard_address": "127.0.0.1:0", "dashboard": False, **site},
            silence_logs=logging.CRITICAL,
        )
    except ValueError as error:
        raise UsageError(
            f"jobs of Slurm cannot be described: {error}", f"write ~/.config/dask/jobqueue.yaml; {DOCS}"
        ) from error


@contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """While dask-jobqueue is imported, which would have Ctrl-C end this process in silence."""
    setting = signal.signal
    signal.signal = lambda *_: None
    try:
        yield
    finally:
        signal.signal = setting


def make_key(folder: Path) -> None:
    """Make a key and a certificate of its own in a folder that only this user can read.

    Raises:
        UsageError: there is no openssl here.
        MachineError: it did not work.
    """
    words = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    words += ["-days", DAYS_OF_A_KEY, "-subj", "/CN=harness"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    except FileNotFoundError:
        raise UsageError("a cluster's key cannot be made without openssl", "install openssl") from None
    if done.returncode != 0:
        raise MachineError(f"openssl could not make a cluster's key: {done.stderr.strip()[-500:]}")


def security_of(folder: Path, *, in_memory: bool = False) -> Security:
    """Dask's settings for the key and certificate in a folder: both sides must show that they have it.

    Args:
        folder: see `make_key`.
        in_memory: whether the files are read now, and can go.
    """
    files = {"key": folder / "key.pem", "cert": folder / "certificate.pem"}
    values = {name: file.read_text() if in_memory else str(file) for name, file in files.items()}
    roles = {
        f"tls_{role}_{name}": values[name] for role in ("client", "scheduler", "worker") for name in files
    }
    return Security(require_encryption=True, tls_ca_file=values["cert"], **roles)
