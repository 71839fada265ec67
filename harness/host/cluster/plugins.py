"""What runs in Dask's own processes: a workshop on each worker, and one on the scheduler that clears up."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any

import dask
from distributed import SchedulerPlugin, WorkerPlugin, get_worker

from harness.host.cluster.workshop import Workshop
from harness.host.edition import differences, edition
from harness.host.machine import Machine
from harness.host.parcel import Stopped, pack_answer

if TYPE_CHECKING:
    from distributed import Scheduler, Worker

SECONDS_TO_TELL = 0.5
ALLOWED_FAILURES = "distributed.scheduler.allowed-failures"


def work(session: str, name: str, parcel: bytes) -> bytes:
    """Do a parcel on the worker that this is called on.

    Args:
        session: of the grading.
        name: of the task.
        parcel: see `Workshop.do`.
    """
    bench = get_worker().plugins.get(session)
    return bench.work(name, parcel) if isinstance(bench, Bench) else pack_answer(Stopped())


def greet() -> dict[str, str]:
    """The edition of the harness on the worker that this is called on."""
    return edition()


def resources(dask_worker: Worker) -> dict[str, float]:
    """What the worker that this is called on says it has, such as GPUs."""
    return dict(dask_worker.state.total_resources)


class Bench(WorkerPlugin):
    """One grading's workshop on a worker, from the grading's start or the worker's to the end of either.

    It tells the host what it cannot know otherwise, as events of a topic that is named like the session.

    Args:
        session: of the grading; also the plugin's name.
    """

    def __init__(self, session: str) -> None:
        self._session, self._edition = session, edition()

    def setup(self, worker: Worker) -> None:
        """Open the workshop; a worker of another edition leaves the cluster."""
        self._worker = worker
        self._deaf = _Deaf() if worker.nanny else None
        self._workshop = Workshop(Machine(lambda text: self._tell(note=text)))
        if different := differences(self._edition):
            text = f"it leaves, since it has another edition of the harness: {different}"
            self._tell(note=text, refused=different)
            worker.loop.add_callback(worker.close, reason=text)

    async def teardown(self, worker: Worker) -> None:
        """End what runs, close the workshop, and say that this is no accident."""
        closing = asyncio.create_task(asyncio.to_thread(self._workshop.close))
        await self._say_goodbye(worker)
        await closing
        if self._deaf is not None:
            self._deaf.end()

    async def _say_goodbye(self, worker: Worker) -> None:
        """Tell the host on a connection of its own: a worker that leaves has lost the usual one by now."""
        goodbye = worker.scheduler.log_event(topic=self._session, msg=self._event(leaving=True))
        telling = asyncio.ensure_future(goodbye)
        # Not `wait_for`: where the scheduler is gone too, the task is cancelled, and this one is not meant.
        await asyncio.wait({telling}, timeout=SECONDS_TO_TELL)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)

    def deliver(self, digest: str, rows: bytes) -> None:
        """See `Workshop.deliver`."""
        self._workshop.deliver(digest, rows)

    def work(self, name: str, parcel: bytes) -> bytes:
        """See `Workshop.do`."""
        return self._workshop.do(parcel, lambda: self._tell(started=name))

    def _tell(self, **event: Any) -> None:  # noqa: ANN401  whatever the host understands
        self._worker.log_event(self._session, self._event(**event))

    def _event(self, **event: Any) -> dict[str, Any]:  # noqa: ANN401  likewise
        return {"worker": self._worker.address, **event}


class _Deaf:
    """Until it is ended, signals to end are not for this process, but for the one that minds it.

    A terminal's Ctrl-C and a batch system's SIGTERM go to both: this one would die of it, and look as if its
    submission had killed it, where the other has it leave politely.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, signal.SIG_IGN)

    def end(self) -> None:
        """Have signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Delivery(WorkerPlugin):
    """Brings an assignment's rows to every worker, and to those that come later.

    Args:
        session: of the grading.
        digest: of the rows.
        rows: the rows, packed.
    """

    def __init__(self, session: str, digest: str, rows: bytes) -> None:
        self._session, self._digest, self._rows = session, digest, rows

    def setup(self, worker: Worker) -> None:
        """Hand the rows over."""
        bench = worker.plugins.get(self._session)
        if isinstance(bench, Bench):
            bench.deliver(self._digest, self._rows)
        self._rows = b""


class Janitor(SchedulerPlugin):
    """Has the scheduler report lost workers at once, and clears up after a host that is gone.

    Args:
        session: of the grading; also the plugin's name.
        client: Dask's id of the host.
    """

    def __init__(self, session: str, client: str) -> None:
        self._session, self._client = session, client

    async def start(self, scheduler: Scheduler) -> None:
        """Take the decision about another try from Dask, which blames all tasks that a lost worker had."""
        scheduler.allowed_failures = 0

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Clear up once the host is gone."""
        if client == self._client:
            scheduler.loop.add_callback(self._clear_up, scheduler)

    async def _clear_up(self, scheduler: Scheduler) -> None:
        for name in [name for name in scheduler.worker_plugins if name.startswith(self._session)]:
            await scheduler.unregister_worker_plugin(None, name)
        scheduler.remove_plugin(self._session)
        if not any(isinstance(plugin, Janitor) for plugin in scheduler.plugins.values()):
            scheduler.allowed_failures = dask.config.get(ALLOWED_FAILURES)
