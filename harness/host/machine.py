"""What one process keeps of this machine: the cores that it holds, and the backends that it chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from harness.host.backends import choose
from harness.host.cores import Cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.host.backends import Choice


class Machine:
    """Kept from one grading to the next; the context lets go of everything.

    Args:
        note: is told of what takes long, such as building the image or waiting for a core.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.cores = Cores(note)
        self._choices: dict[tuple[str, str, str | None], Choice] = {}

    def choose(self, sandbox: str, device: str, runtime: str | None) -> Choice:
        """Choose a backend and a device, or return what was chosen for the same before.

        Raises:
            HarnessError: see `harness.host.backends.choose`.
        """
        asked = (sandbox, device, runtime)
        if asked not in self._choices:
            self._choices[asked] = choose(sandbox, device, self._note, runtime)
        return self._choices[asked]

    def close(self) -> None:
        """Let go of the cores and end what the backends keep; a second call does nothing."""
        self.cores.release()
        while self._choices:
            _, choice = self._choices.popitem()
            choice.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
