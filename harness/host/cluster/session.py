"""One grading's dealings with Dask: workers are made ready, parcels go out, and what becomes of them."""

from __future__ import annotations

import queue
import secrets
import time
from asyncio import CancelledError
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Self

from distributed import KilledWorker

from harness.host.cluster.dispatch import Returned
from harness.host.cluster.plugins import Bench, Delivery, Janitor, greet, resources, work
from harness.host.edition import differences
from harness.host.errors import MachineError
from harness.host.parcel import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from distributed import Client, Future

GPU = {"GPU": 1}
RUNNING, FINISHED, ERROR = "running", "finished", "error"
TRIES = 3
SECONDS_TO_GATHER = 120
SECONDS_TO_SAY_GOODBYE = 1.0
SECONDS_FOR_ANOTHER = 15.0
GONE = "the cluster's scheduler is gone; what was graded so far stays"
SAME = "install the same harness, with the same constraints.txt, on all machines"


class Session:
    """One grading on a cluster; its workshops on the workers are closed with the context.

    Args:
        client: of the cluster.
        note: is told, by the thread that calls `next`, what workers note; each text once.

    Attributes:
        name: of all that belongs to it.
    """

    def __init__(self, client: Client, note: Callable[[str], None]) -> None:
        self.name = f"harness-{secrets.token_hex(4)}"
        self._client, self._note = client, note
        self._futures: dict[str, Future[bytes]] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._noted: set[str] = set()
        self._workers: dict[str, str] = {}
        self._kept_to: dict[str, set[str]] = {}
        self._left: set[str] = set()
        self._refused, self._alone_since = "", inf
        self._plugins: list[str] = []

    def __enter__(self) -> Self:
        self._check_editions()
        self._client.subscribe_topic(self.name, self._hear)
        try:
            self._client.register_plugin(Janitor(self.name, self._client.id), self.name)
            self._register(Bench(self.name), self.name)
        except Exception as error:
            self.end()
            raise MachineError(f"the cluster cannot be made ready: {_said(error)}", SAME) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def slots(self) -> int:
        """How many parcels the workers that are there now can do at a time.

        Raises:
            MachineError: those that came were refused, and no other does.
        """
        with _reaching_the_scheduler():
            threads: dict[str, int] = self._client.nthreads()
            for name, workers in list(self._kept_to.items()):
                if workers.isdisjoint(threads):
                    self._futures[name].cancel()  # else it would wait for them for ever
        found = sum(threads.values())
        now = time.monotonic()
        self._alone_since = inf if found else min(self._alone_since, now)
        if self._refused and now - self._alone_since > SECONDS_FOR_ANOTHER:
            raise MachineError(f"all workers have another edition of the harness: {self._refused}", SAME)
        return found

    def gpus(self) -> int:
        """How many GPUs the workers that are there now say they have."""
        return int(sum(each.get("GPU", 0) for each in self._resources().values()))

    def _resources(self) -> dict[str, dict[str, float]]:
        """What each worker that is there now says it has."""
        with _reaching_the_scheduler():
            found: dict[str, Any] = self._client.run(resources, on_error="return")
        return {address: each for address, each in found.items() if isinstance(each, dict)}

    def deliver(self, rows: bytes) -> str:
        """Bring an assignment's packed rows to all workers, also those to come; return their digest."""
        digest = digest_of(rows)
        name = f"{self.name}-rows-{digest[:16]}"
        if name not in self._plugins:
            with _reaching_the_scheduler():
                self._register(Delivery(self.name, digest, rows), name)
        return digest

    def send(self, name: str, parcel: bytes, *, gpu: bool, avoid: frozenset[str]) -> None:
        """Send a packed parcel.

        Args:
            name: a new one; `next` returns it.
            parcel: the work.
            gpu: whether it needs one.
            avoid: addresses of workers that should not get it, if there are others.
        """
        options: dict[str, Any] = {"resources": GPU} if gpu else {}
        key = f"{self.name}-{name}"
        if avoid:
            able = {address for address, has in self._resources().items() if has.get("GPU") or not gpu}
            if others := able - avoid:
                # Not as a mere preference: idle workers steal such tasks, and Dask forgets their resources.
                options["workers"] = sorted(others)
                self._kept_to[name] = others
        with _reaching_the_scheduler():
            future = self._client.submit(work, self.name, name, parcel, key=key, pure=False, **options)
        self._futures[name] = future
        future.add_done_callback(lambda _: self._done.put(name))

    def next(self, seconds: float) -> Returned | None:
        """Wait for a parcel that was answered or lost; None if there is none within `seconds`.

        Raises:
            MachineError: the scheduler is gone.
        """
        self._pass_notes_on()
        if self._client.status != RUNNING:
            raise MachineError(GONE)
        try:
            name = self._done.get(timeout=seconds) if seconds else self._done.get_nowait()
        except queue.Empty:
            return None
        future = self._futures.pop(name)
        self._kept_to.pop(name, None)
        try:
            return self._returned(name, future)
        finally:
            future.release()

    def end(self) -> None:
        """End what runs on the workers, at once; a second call does nothing."""
        if self._client.status != RUNNING:
            self._plugins.clear()  # workers that lose their scheduler leave by themselves
        elif self._futures:
            self._client.cancel(list(self._futures.values()), force=True)
        self._futures.clear()
        self._kept_to.clear()
        while self._plugins:
            try:
                self._client.unregister_worker_plugin(self._plugins.pop(0))
            except Exception as error:  # noqa: BLE001  whatever it is, the others are to be ended too
                self._note(f"a worker could not be cleared up: {_said(error)}")
        self._pass_notes_on()

    def _returned(self, name: str, future: Future[bytes]) -> Returned:
        worker = self._workers.pop(name, "")
        if future.status == FINISHED:
            try:
                return Returned(name, future.result(timeout=SECONDS_TO_GATHER), worker=worker)
            except Exception as error:  # noqa: BLE001  its worker went before it handed the answer over
                return Returned(name, None, worker=worker, problem=_said(error))
        failure = future.exception() if future.status == ERROR else None
        if isinstance(failure, KilledWorker):
            # Dask blames whatever the worker had, the parcels that waited there too.
            lost: str = failure.last_worker.address
            died = worker == lost and not self._left_politely(lost)
            return Returned(name, None, died, worker, f"the worker {lost} is gone")
        return Returned(name, None, worker=worker, problem=_said(failure or future.status))

    def _left_politely(self, worker: str) -> bool:
        """Whether a worker that is gone says so itself, which may come a moment later."""
        deadline = time.monotonic() + SECONDS_TO_SAY_GOODBYE
        while worker not in self._left and time.monotonic() < deadline:
            time.sleep(0.02)
        return worker in self._left

    def _check_editions(self) -> None:
        answers: dict[str, Any] = self._client.run(greet, on_error="return")
        for address, answer in sorted(answers.items()):
            if isinstance(answer, OSError):
                continue  # it is gone by now
            if not isinstance(answer, dict):
                raise MachineError(f"the worker {address} cannot grade: {_said(answer)}", SAME)
            if different := differences(answer):
                raise MachineError(
                    f"the worker {address} has another edition of the harness: {different}", SAME
                )

    def _register(self, plugin: Bench | Delivery, name: str) -> None:
        self._plugins.append(name)
        for tries_left in reversed(range(TRIES)):
            try:
                self._client.register_plugin(plugin, name)
            except OSError:  # a worker that went meanwhile is enough for that
                if not tries_left or self._client.status != RUNNING:
                    raise
            else:
                break

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take an event of a worker, in Dask's thread; all that came before it has been heard."""
        _, told = event
        worker = str(told.get("worker", ""))
        if "started" in told:
            self._workers[str(told["started"])] = worker
        if "leaving" in told:
            self._left.add(worker)
        if "refused" in told:
            self._refused = str(told["refused"])
        if "note" in told:
            self._notes.put(f"{worker}: {told['note']}")

    def _pass_notes_on(self) -> None:
        while not self._notes.empty():
            worker, _, text = self._notes.get().partition(": ")
            if text not in self._noted:
                self._noted.add(text)
                self._note(f"{worker}: {text}")


@contextmanager
def _reaching_the_scheduler() -> Iterator[None]:
    """Have what Dask says of a lost connection be a fault of ours."""
    try:
        yield
    except (OSError, TimeoutError, RuntimeError, CancelledError) as error:
        raise MachineError(f"{GONE} ({_said(error)})") from error


def _said(error: object) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
