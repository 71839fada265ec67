"""A cluster to grade on: opened by its address, given submissions, and left as it was found."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from harness.host.cluster.dispatch import Dispatch
from harness.host.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from harness.host.cluster.dispatch import Done, Task
    from harness.host.cluster.session import Session


class Cluster:
    """A cluster to grade on, from its start or the connection to it until the context is left.

    Args:
        address: ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``slurm`` or ``local``.
        note: is told what takes long, and what workers note, in the thread that uses this.
    """

    def __init__(self, address: str, note: Callable[[str], None]) -> None:
        self._address, self._note = address, note
        self._opened = ExitStack()
        self._session: Session | None = None

    def __enter__(self) -> Self:
        """Connect, and make the workers ready.

        Raises:
            UsageError: it is no address, a package is missing, or a site's settings lack something.
            MachineError: nobody answers, or a worker has another edition of the harness.
        """
        try:
            from harness.host.cluster.addresses import connected  # noqa: PLC0415  Dask is an extra
            from harness.host.cluster.session import Session  # noqa: PLC0415  likewise
        except ModuleNotFoundError as error:
            raise _missing(error) from error
        with ExitStack() as stack:
            try:
                client = stack.enter_context(connected(self._address, self._note))
            except ModuleNotFoundError as error:
                raise _missing(error) from error
            self._session = stack.enter_context(Session(client, self._note))
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        self._opened.__exit__(kind, error, trace)

    def gpus(self) -> int:
        """How many GPUs there are now, so that a caller can settle on a device.

        Raises:
            MachineError: the cluster is gone.
        """
        return self._connected().gpus()

    def run(
        self,
        tasks: Iterable[Task],
        on_done: Callable[[Done], None],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Grade submissions, of which only a few are out or in memory at a time.

        What runs is ended at once when `should_stop` says so, on Ctrl-C, and if anything is raised; the
        cluster is of no further use then.

        Args:
            tasks: taken as there is room for them.
            on_done: called with each result as it comes, in the calling thread.
            should_stop: asked several times a second.

        Raises:
            MachineError: the cluster is gone.
        """
        session, ended = self._connected(), False
        try:
            ended = Dispatch(session, on_done, self._note).run(tasks, should_stop)
        finally:
            if not ended:
                self._session = None
                session.end()

    def _connected(self) -> Session:
        if self._session is None:
            raise MachineError("the cluster is not connected, or was ended")
        return self._session


def _missing(error: ModuleNotFoundError) -> UsageError:
    return UsageError(
        f"grading on a cluster needs Dask, and {error.name} is not installed",
        "pip install 'harness[cluster]'",
    )
