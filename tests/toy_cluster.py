"""A cluster without processes: parcels are done by a workshop here, or meet a fate that a test made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.backends import Choice
from harness.host.cluster.dispatch import Returned
from harness.host.cores import Cores
from harness.host.machine import Machine
from harness.host.parcel import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.cluster.workshop import Workshop
    from harness.host.sandbox.base import Backend

WORKER = "tcp://10.0.0.7:4000"
Fate = Returned | bytes | None  # None: a workshop does it


class ToyMachine(Machine):
    """A machine with one backend, and with cores that nobody else has.

    Args:
        backend: whatever is asked for.
        folder: of the cores' locks.
    """

    def __init__(self, backend: Backend, folder: Path) -> None:
        super().__init__(lambda _: None)
        self.cores = Cores(lambda _: None, folder)
        self._backend = backend
        self.asked: list[tuple[str, str, str | None]] = []

    def choose(self, sandbox: str, device: str, runtime: str | None) -> Choice:
        """See `Machine.choose`."""
        self.asked.append((sandbox, device, runtime))
        choice = Choice(self._backend, "a test asked for it", device)
        self._choices[sandbox, device, runtime] = choice
        return choice


class ToyLink:
    """Does one parcel after the other, in the order in which they were sent.

    Args:
        workshop: does them.
        fate: of the n-th parcel, counted from 1; by default they are done.
        slots: that it says it has.

    Attributes:
        sent: name, whether it needs a GPU, and workers to be avoided.
        most_out: the most parcels that were out at a time.
    """

    def __init__(
        self, workshop: Workshop, fate: Callable[[int], Fate] = lambda _: None, slots: int = 1
    ) -> None:
        self._workshop, self._fate, self._slots = workshop, fate, slots
        self._out: list[tuple[str, bytes]] = []
        self.sent: list[tuple[str, bool, frozenset[str]]] = []
        self.delivered: list[str] = []
        self.most_out = 0

    def slots(self) -> int:
        """See `Link`."""
        return self._slots

    def deliver(self, rows: bytes) -> str:
        """See `Link`."""
        self.delivered.append(digest_of(rows))
        self._workshop.deliver(self.delivered[-1], rows)
        return self.delivered[-1]

    def send(self, name: str, parcel: bytes, *, gpu: bool, avoid: frozenset[str]) -> None:
        """See `Link`."""
        self.sent.append((name, gpu, avoid))
        self._out.append((name, parcel))
        self.most_out = max(self.most_out, len(self._out))

    def next(self, seconds: float) -> Returned | None:
        """See `Link`; it answers only who waits."""
        if not seconds or not self._out:
            return None
        name, parcel = self._out.pop(0)
        fate = self._fate(int(name))
        if isinstance(fate, Returned):
            return fate
        answer = fate if fate is not None else self._workshop.do(parcel, lambda: None)
        return Returned(name, answer, worker=WORKER)
