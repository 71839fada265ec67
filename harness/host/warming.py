"""Conversations that get ready in the background, once it is likely that they will be needed."""

from __future__ import annotations

import threading
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
        self._opened: list[Conversation] = []
        self._lock = threading.Lock()
        self._left = False

    def start(self) -> None:
        """Begin; further calls do nothing."""
        if not self._opening:
            self._opening = [self._pool.submit(self._open) for _ in range(self._count)]

    def _open(self) -> Conversation:
        conversation = Conversation(self._backend.open(self._spec), self._spec)
        with self._lock:
            self._opened.append(conversation)
            wanted = not self._left
        if wanted:  # else it is closed once the pool is shut down
            conversation.send_code()
        return conversation

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
        with self._lock:
            self._left = True
        failures = self._close_all()  # first: one that does not take its code would keep the pool waiting
        self._pool.shutdown(cancel_futures=True)
        failures += self._close_all()
        if failures and error is None:
            raise failures[0]

    def _close_all(self) -> list[Exception]:
        failures = []
        with self._lock:
            opened = self._opened.copy()
        for conversation in opened:
            try:
                conversation.close()
            except Exception as failure:  # noqa: BLE001  the others are to be ended too
                failures.append(failure)
        return failures
