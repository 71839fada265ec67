"""The guest's code travels as text, whole, and runs where nothing of it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.host.guest_code import guest_bundle, guest_command

PACKAGE = Path(harness.__file__).parent


def sources() -> dict[str, str]:
    """The modules in the bundle."""
    found: dict[str, str] = json.loads(guest_bundle()[8:])
    return found


def run_bootstrap(sent: bytes) -> subprocess.CompletedProcess[bytes]:
    """The bootstrap program with `sent` on its standard input, in an empty environment."""
    return subprocess.run(
        [sys.executable, *guest_command()],
        input=sent,
        capture_output=True,
        env={},
        cwd="/",
        check=False,
        timeout=60,
    )


def bundle(**modules: str) -> bytes:
    """A bundle of other modules under ``harness.guest``."""
    texts = {
        "harness": "",
        "harness.guest": "",
        **{f"harness.guest.{n}": text for n, text in modules.items()},
    }
    text = json.dumps(texts).encode()
    return len(text).to_bytes(8, "big") + text


def test_bundle_is_the_guest_and_what_both_sides_share() -> None:
    """Every module of the guest but the bootstrap, the protocol, and nothing of the host."""
    expected = {"harness", "harness.protocol", "harness.guest"} | {
        f"harness.guest.{file.stem}"
        for file in (PACKAGE / "guest").glob("*.py")
        if file.stem not in {"__init__", "bootstrap"}
    }
    assert set(sources()) == expected
    assert sources()["harness.protocol"] == (PACKAGE / "protocol.py").read_text(encoding="utf-8")
    assert sources()["harness.guest.loops"] == (PACKAGE / "guest" / "loops.py").read_text(encoding="utf-8")


def test_bundle_says_how_long_it_is() -> None:
    """Eight bytes of length, and that much JSON."""
    assert int.from_bytes(guest_bundle()[:8], "big") == len(guest_bundle()) - 8


def test_bundle_names_no_path_of_this_machine() -> None:
    """Neither the checkout nor the installation."""
    everything = guest_bundle() + " ".join(guest_command()).encode()
    for path in (str(PACKAGE.parent), sys.prefix, str(Path.home())):
        assert path.encode() not in everything


def test_command_starts_python_without_what_a_sandbox_could_change() -> None:
    """No site, no folder of the program or the user on the path, no bytecode written."""
    *options, _, program = guest_command()
    assert {"-S", "-P", "-s", "-B"} <= set(options)
    assert program == (PACKAGE / "guest" / "bootstrap.py").read_text(encoding="utf-8")


def test_bootstrap_runs_modules_from_memory() -> None:
    """Modules import each other, and say that they are in no file."""
    main = """
import json, sys
from harness.guest import other
def main():
    print(json.dumps([other.VALUE, __name__, other.__spec__.origin, hasattr(other, "__file__")]))
"""
    done = run_bootstrap(bundle(supervisor=main, other="VALUE = 42"))
    assert done.stderr == b""
    assert json.loads(done.stdout) == [42, "harness.guest.supervisor", "<harness.guest.other>", False]


def test_bundle_comes_before_anything_that_is_installed() -> None:
    """Where the harness itself is installed too, the guest's modules are those that were sent."""
    done = run_bootstrap(bundle(supervisor="import harness\ndef main(): print(hasattr(harness, '__file__'))"))
    assert done.stdout == b"False\n"


def test_traceback_names_the_module_and_line_that_failed() -> None:
    """Staff can find what went wrong in a module that is in no file."""
    done = run_bootstrap(bundle(supervisor="def main():\n    raise ValueError('here')"))
    assert done.returncode == 1
    assert b'File "<harness.guest.supervisor>", line 2, in main\nValueError: here' in done.stderr


@pytest.mark.parametrize("sent", [b"", bytes(3), guest_bundle()[: len(guest_bundle()) // 2]])
def test_bootstrap_leaves_when_the_host_is_gone(sent: bytes) -> None:
    """Half a bundle is no error of anybody: the harness was ended, and so is the guest."""
    done = run_bootstrap(sent)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
