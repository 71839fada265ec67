"""A backend whose sandboxes can all be ended at once from another thread, whatever they are doing."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.host.errors import InterruptedGradingError, SandboxError

if TYPE_CHECKING:
    from harness.host.sandbox.base import Backend, Sandbox, SandboxSpec


class RevocableBackend:
    """Another backend, until it is revoked.

    Args:
        backend: opens the sandboxes; it is the caller's to close.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._opened: weakref.WeakSet[Sandbox] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._revoked = False

    @property
    def name(self) -> str:
        """See `Backend.name`."""
        return self._backend.name

    @property
    def isolated(self) -> bool:
        """See `Backend.isolated`."""
        return self._backend.isolated

    @property
    def image(self) -> str:
        """See `Backend.image`."""
        return self._backend.image

    @property
    def limits_enforced_by(self) -> str:
        """See `Backend.limits_enforced_by`."""
        return self._backend.limits_enforced_by

    def open(self, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; see `Backend.open`.

        Raises:
            InterruptedGradingError: it was revoked.
        """
        self._refuse_if_revoked()
        sandbox = self._backend.open(spec)
        with self._lock:
            self._opened.add(sandbox)
        try:
            self._refuse_if_revoked()
        except InterruptedGradingError:
            sandbox.kill()
            raise
        return sandbox

    def revoke(self) -> None:
        """End every sandbox that is open, and open no other; a second call does nothing."""
        with self._lock:
            self._revoked = True
            opened = list(self._opened)
        for sandbox in opened:
            with suppress(SandboxError):  # whoever uses it is told when they end it
                sandbox.kill()

    def sweep(self) -> int:
        """See `Backend.sweep`."""
        return self._backend.sweep()

    def close(self) -> None:
        """See `Backend.close`."""
        self._backend.close()

    def _refuse_if_revoked(self) -> None:
        with self._lock:
            if self._revoked:
                raise InterruptedGradingError("the grading was ended before there was a result")
