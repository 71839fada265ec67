"""Runs git on what strangers made: without their settings, hooks, filters and helpers, and under caps.

Git reads no configuration but what stands here, speaks one protocol, asks nobody for a password, and is ended
when it takes too long or fills too much of the disk.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.host.errors import InterruptedGradingError, MachineError, RepositoryError

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

SECONDS_BETWEEN_LOOKS = 0.05
LONGEST_OUTPUT = 1 << 20  # bytes of what a command prints
LONGEST_REASON = 500  # characters
OVER_THE_LIMIT = f"signal {signal.SIGXFSZ.value}"  # as git says of what it started
BLOCK = 512  # bytes, the unit of `ulimit -f`
KIBI, MEBI = 1 << 10, 1 << 20
MEMORY = 2 << 30  # bytes of address space for each of git's processes
STREAMED_FROM = 16 << 20  # bytes; larger objects are not held in memory
SLOWEST = 1_000  # bytes a second, over `SECONDS_OF_SILENCE`
SECONDS_OF_SILENCE = 20
_OURS = ("fatal:", "error:", "ssh:")
_AMONG = re.compile(r"(?:fatal|error): git upload-pack:")
_REMOTE = re.compile(r"remote:.*\w")
# The shell sets limits that hold from the first instruction on, for git and all that it starts.
LIMITED = 'ulimit -f "$1" && ulimit -v "$2" && ulimit -t "$3" && shift 3 && exec git "$@"'
KEPT_VARIABLES = (
    "PATH",
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
)
SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ClearAllForwardings=yes -o ForwardAgent=no "
    "-o ForwardX11=no -o PermitLocalCommand=no -o ControlMaster=no -o ControlPath=none -o ConnectTimeout=20"
)
SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.bigFileThreshold": str(STREAMED_FROM),
    "core.askPass": "",
    "credential.interactive": "false",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # packs stay packs: what unfolds to gigabytes is never written out
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": str(SLOWEST),
    "http.lowSpeedTime": str(SECONDS_OF_SILENCE),
    "http.sslVerify": "true",
    "protocol.version": "2",
    "transfer.credentialsInUrl": "die",
    "transfer.fsckObjects": "true",
}


@dataclass(frozen=True, slots=True)
class Caps:
    """How much one repository may cost.

    Attributes:
        seconds: of one command of git.
        disk: bytes that it may take meanwhile.
    """

    seconds: float = 120.0
    disk: int = 64 * MEBI


@dataclass(frozen=True, slots=True)
class Said:
    """What a command wrote, each cut off after `LONGEST_OUTPUT` bytes."""

    output: str
    errors: str


class Git:
    """Runs git.

    Args:
        caps: of each command.
        stop: whoever sets it ends what runs.
        credentials: a file as ``git credential-store`` has it, for https; None: nobody logs in there.
    """

    def __init__(self, caps: Caps, stop: threading.Event, credentials: Path | None = None) -> None:
        self.caps = caps
        self._stop = stop
        self._settings = dict(SETTINGS)
        if credentials is not None:
            # It is only read: git would have a login taken out of the file that a server refuses once.
            store = f"git credential-store --file={shlex.quote(str(credentials.absolute()))} get"
            self._settings["credential.helper"] = f'!f() {{ test "$1" != get || {store}; }}; f'

    def run(self, folder: Path, arguments: Sequence[str], protocol: str = "") -> Said:
        """Run a command in a bare repository of ours.

        Args:
            folder: of the repository; what is in it is counted against the cap.
            arguments: the command's.
            protocol: that git may speak; empty: none, so that it stays on this machine.

        Raises:
            RepositoryError: it failed, took too long, or too much of the disk.
            InterruptedGradingError: it was stopped.
            MachineError: there is no git here.
        """
        with tempfile.TemporaryFile(dir=folder) as output, tempfile.TemporaryFile(dir=folder) as errors:
            process = self.start(folder, arguments, protocol, stdout=output, stderr=errors)
            try:
                self._wait(process, folder)
            finally:
                end(process)
            if process.returncode:
                reason = _reason(errors, process.returncode)
                raise _too_large(self.caps) if OVER_THE_LIMIT in reason else RepositoryError(reason)
            return Said(_text(output), _text(errors))

    def start(
        self,
        folder: Path,
        arguments: Sequence[str],
        protocol: str = "",
        *,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int = subprocess.DEVNULL,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a command; the arguments are those of `run`, and those of `subprocess`. See `end`.

        Raises:
            MachineError: there is no git here.
        """
        limits = (self.caps.disk // BLOCK, MEMORY // KIBI, int(self.caps.seconds) + 1)
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        words = [*map(str, limits), *settings, *arguments]
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", LIMITED, "git", *words],
                cwd=folder,
                env=_environment(folder, protocol),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # so that what git starts can be ended with it
            )
        except OSError as error:
            raise MachineError(f"git cannot be started: {error.strerror}", "install git") from error

    def _wait(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        deadline = time.monotonic() + self.caps.seconds
        while not _has_ended(process):
            if self._stop.wait(SECONDS_BETWEEN_LOOKS):
                raise InterruptedGradingError("interrupted while reading repositories")
            if time.monotonic() > deadline:
                raise RepositoryError(
                    f"it took longer than {self.caps.seconds:.0f} seconds to fetch",
                    "it is tried again; a repository that stays slow should be made smaller",
                )
            if _size(folder) > self.caps.disk:
                raise _too_large(self.caps)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; its id is nobody else's before `end`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _too_large(caps: Caps) -> RepositoryError:
    return RepositoryError(
        f"it takes more than {caps.disk // MEBI} MiB",
        "data, weights and environments belong elsewhere; a branch with the submission alone will do",
    )


def _environment(folder: Path, protocol: str) -> dict[str, str]:
    """All that git is told of this machine."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {
        "HOME": str(folder),  # which is a bare repository, without settings in it
        "LC_ALL": "C",
        "GIT_DIR": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_ALLOW_PROTOCOL": protocol or "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": SSH,
        "GIT_SSH_VARIANT": "ssh",
    }


def _size(folder: Path) -> int:
    """What is in a folder, in bytes as they lie on the disk."""
    size = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += Path(inner, name).lstat().st_blocks * BLOCK
    return size


def _text(written: IO[bytes]) -> str:
    written.seek(0)
    return written.read(LONGEST_OUTPUT).decode("utf-8", "backslashreplace")


def _reason(errors: IO[bytes], status: int) -> str:
    """What the other side said first, and git last: in the same words each time, for the same fault.

    The other side's own messages come among git's where it is a folder of this machine, in any order.
    """
    lines = [line.strip(" \0") for line in _text(errors).splitlines() if line.strip(" \0")]
    theirs = [line for line in lines if _REMOTE.match(line)]
    ours = [line for line in lines if line.startswith(_OURS) and not _AMONG.match(line)]
    said = [*theirs[:2], *ours[-2:]] or lines[-3:]
    return "; ".join(said)[:LONGEST_REASON] or f"exit status {status}"
