"""Tests that need a sandbox or a program: skipped, with the reason, where it is not; failed where required.

``HARNESS_REQUIRE=docker,bubblewrap`` names what must work on this machine, so that a machine that is meant to
test a backend cannot pass by testing nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from harness.host.backends import engine_configured
from harness.host.errors import MachineError
from tests import postgres
from tests.postgres import postgres_server, postgres_url  # noqa: F401  fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator

# A machine that also grades is slow now and then, and the checkout may be another user's. Whoever changes
# something is told by the same examples each time; others are searched for with --hypothesis-profile=search.
settings.register_profile("harness", deadline=None, database=None, derandomize=True)
settings.register_profile("search", deadline=None, database=None, max_examples=2_000)
settings.load_profile("harness")

NEEDS = ("docker", "gvisor", "bubblewrap", "browser", "postgres")
PROPERTY = "needs"
_reasons = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Have a place for what each look at this machine found."""
    config.stash[_reasons] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test that needs what does not work here, before any fixture of it is made."""
    reasons = item.config.stash[_reasons]
    for name in NEEDS:
        if item.get_closest_marker(name) is None:
            continue
        item.user_properties.append((PROPERTY, name))
        if name not in reasons:
            reasons[name] = WHY_NOT[name]()
        if reasons[name]:
            unavailable = pytest.fail if name in _required() else pytest.skip
            unavailable(f"{name} does not work here: {reasons[name]}")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran with each need met, since a skipped test says nothing about a wall."""
    counts: Counter[tuple[str, str]] = Counter()
    for name, outcome in _needy(terminalreporter):
        counts[name, "skipped" if outcome == "skipped" else "ran"] += 1
    for name in NEEDS:
        ran, skipped = counts[name, "ran"], counts[name, "skipped"]
        if ran or skipped:
            terminalreporter.write_line(f"{name}: {ran} ran, {skipped} skipped")


def _needy(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, str]]:
    """Need and outcome of each test that has one: of its call, or of a set-up that did not get there."""
    for outcome, reports in reporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport) and (
                report.when == "call" or (report.when == "setup" and report.outcome != "passed")
            ):
                yield from ((str(name), outcome) for key, name in report.user_properties if key == PROPERTY)


def _required() -> set[str]:
    return set(os.environ.get("HARNESS_REQUIRE", "").replace(",", " ").split())


def _why_not_docker() -> str:
    """What is missing for Docker; an empty text where a container can be started."""
    if not engine_configured():
        return "no engine answers"
    from harness.host.image import connect, find_image  # noqa: PLC0415  a third of a second, only with an engine

    try:
        client = connect()
    except MachineError as error:
        return error.message
    try:
        image = find_image(client)
    finally:
        client.close()
    return "" if image else "the engine has no image of the guest; run: harness image"


def _why_not_gvisor() -> str:
    """What is missing for gVisor; an empty text where a container can be started with it."""
    why_not = _why_not_docker()
    if why_not:
        return why_not
    from harness.host.image import connect  # noqa: PLC0415  only with an engine
    from harness.host.sandbox.docker_options import GVISOR  # noqa: PLC0415  likewise

    client = connect()
    try:
        known = GVISOR in client.info().get("Runtimes", {})
    finally:
        client.close()
    return "" if known else f"the engine has no runtime {GVISOR}; `harness doctor` says how to add it"


def _why_not_bubblewrap() -> str:
    """What is missing for bubblewrap; an empty text where a sandbox can be started."""
    if sys.platform != "linux":
        return "it needs Linux"
    from harness.host.sandbox.bubblewrap import probe  # noqa: PLC0415  Linux only

    return probe()


def _why_not_browser() -> str:
    """What is missing for a browser; an empty text where Chromium and its driver are installed."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if not missing:
        return ""
    return f"there is no {' and no '.join(missing)}; on Debian: apt-get install chromium chromium-driver"


WHY_NOT = {
    "docker": _why_not_docker,
    "gvisor": _why_not_gvisor,
    "bubblewrap": _why_not_bubblewrap,
    "browser": _why_not_browser,
    "postgres": postgres.why_not,
}
