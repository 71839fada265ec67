"""Conversations that get ready in the background, once it is likely that they will be needed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from harness.host.conversation import Conversation

if TYPE_CHECKING:
    from types import TracebackType

    from harness.host.sandbox.base import Backend, SandboxSpec


class Warming:
    """Some sandboxes that are opened together, in the background, when `start` is called.

    All are ended when the context is left, whether they were needed or not.
    """

    def __init__(self, backend: Backend, spec: SandboxSpec, count: int) -> None:
        self._backend, self._spec, self._count = backend, spec, count
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="warming")
        self._opening: list[Future[Conversation]] = []

    def start(self) -> None:
        """Begin; further calls do nothing."""
        if not self._opening:
            open_one = (
                self._pool.submit(Conversation.open, self._backend, self._spec) for _ in range(self._count)
            )
            self._opening = list(open_one)

    def __getitem__(self, index: int) -> Conversation:
        """One of them, after waiting until it is open.

        Raises:
            MachineError: it could not be opened.
        """
        self.start()
        return self._opening[index].result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        failures = []
        for opening in self._opening:
            if not opening.cancelled() and opening.exception() is None:
                try:
                    opening.result().close()
                except Exception as failure:  # noqa: BLE001  the others are to be ended too
                    failures.append(failure)
        if failures and error is None:
            raise failures[0]
