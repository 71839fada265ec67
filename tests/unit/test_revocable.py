"""A backend that is revoked: what is open ends, whatever waits for it, and nothing is opened any more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import InterruptedGradingError
from harness.host.execution import sandbox_spec
from harness.host.sandbox.base import SandboxClosedError
from harness.host.sandbox.revocable import RevocableBackend
from tests.fake_backend import FakeBackend, FakeSandbox
from tests.toy_guests import order

if TYPE_CHECKING:
    from harness.host.sandbox.base import SandboxSpec
    from tests.fake_guest import Guest

SPEC = sandbox_spec(order().assignment.limits, "a test", frozenset(), gpu=False)


def sleep(guest: Guest) -> None:
    """Say nothing for a long time."""
    guest.sleep(600)


def test_revoked_backend_ends_what_others_wait_for() -> None:
    """A thread that reads from a sandbox is told that it is closed, at once."""
    fake = FakeBackend(sleep)
    backend = RevocableBackend(fake)
    sandboxes = [backend.open(SPEC) for _ in range(2)]
    threading.Timer(0.05, backend.revoke).start()

    with pytest.raises(SandboxClosedError):
        sandboxes[0].receive(1, time.monotonic() + 60)
    for sandbox in sandboxes:
        sandbox.kill()
    assert all(opened.killed for opened in fake.opened)


def test_revoked_backend_opens_nothing() -> None:
    """Not even one that was being opened meanwhile."""

    class SlowBackend(FakeBackend):
        def open(self, spec: SandboxSpec) -> FakeSandbox:
            sandbox = super().open(spec)
            backend.revoke()
            return sandbox

    slow = SlowBackend(sleep)
    backend = RevocableBackend(slow)
    for _ in range(2):
        with pytest.raises(InterruptedGradingError, match="ended before there was a result"):
            backend.open(SPEC)
    assert [sandbox.killed for sandbox in slow.opened] == [True]


def test_backend_is_the_one_behind_it() -> None:
    """In all that a report says of it."""
    fake = FakeBackend(sleep)
    backend = RevocableBackend(fake)
    assert (backend.name, backend.isolated, backend.image) == ("fake", False, "")
    assert backend.limits_enforced_by == "nothing"
    assert backend.sweep() == 0
    backend.close()
    assert fake.closings == 1
