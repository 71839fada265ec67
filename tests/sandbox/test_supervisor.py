"""The supervisor keeps its own from the student's code: its memory, its descriptors, its life, its word."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

from harness.host.sandbox.base import Wall
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.records import PhaseResult
    from harness.host.sandbox.base import Backend, SandboxSpec

    Spec = Callable[..., SandboxSpec]

MIB = 1 << 20
ROWS = 4

# The same probe is turned on the supervisor and, to show that it works, on a child of the student's own.
PROBE = """
import ctypes, errno, json, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)

def opens(path):
    try:
        if os.path.isdir(path):
            return os.listdir(path) != []
        with open(path, "rb") as file:
            return path.endswith("mem") or file.read(1) != b""
    except OSError:
        return False

def traces(pid):
    if libc.ptrace(16, pid, None, None):  # PTRACE_ATTACH
        return errno.errorcode[ctypes.get_errno()]
    os.waitpid(pid, 0)
    libc.ptrace(17, pid, None, None)
    return "traced"

def reads_memory(pid):
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    here = ctypes.create_string_buffer(8)
    local, remote = Piece(ctypes.addressof(here), 8), Piece(id(os), 8)  # forked: at one address
    copied = libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    return errno.errorcode[ctypes.get_errno()] if copied < 0 else "read"

def takes_descriptor(pid):
    for number in range(8):
        try:
            os.close(os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY))
            return True
        except OSError:
            pass
    return False

def look_at(pid):
    found = {name: opens(f"/proc/{pid}/{name}") for name in ("environ", "maps", "mem", "fd", "auxv")}
    found["a descriptor"] = takes_descriptor(pid)
    found["ptrace"], found["memory"] = traces(pid), reads_memory(pid)
    return found

own = os.fork()
if not own:
    time.sleep(60)
    os._exit(0)
supervisor = os.getppid()
found = {"pid": supervisor, "supervisor": look_at(supervisor), "own child": look_at(own)}
for number in signal.valid_signals():
    os.kill(supervisor, number)
    time.sleep(0.002)
os.kill(own, signal.SIGKILL)
found["own child ended by"] = os.waitstatus_to_exitcode(os.waitpid(own, 0)[1])
print("PROBED " + json.dumps(found))
raise RuntimeError("the probe is done")
"""
HONEST = """
import torch
class MyModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x):
        return self.layer(x).squeeze(1)
"""
DAEMON = (
    """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            print("still here", flush=True)
            time.sleep(0.01)
    os._exit(0)
time.sleep(0.3)
"""
    + HONEST
)


def probed(result: PhaseResult) -> dict[str, Any]:
    """What the probe printed; that it arrived at all means that the supervisor lived on."""
    assert (result.outcome, result.message) == (Outcome.IMPORT_ERROR, "RuntimeError: the probe is done"), (
        result.log
    )
    line = next(line for line in result.log.splitlines() if line.startswith("PROBED "))
    found: dict[str, Any] = json.loads(line.removeprefix("PROBED "))
    return found


CLOSED = dict.fromkeys(("environ", "maps", "mem", "fd", "auxv", "a descriptor"), False)
OPEN = dict.fromkeys(("environ", "maps", "mem", "fd", "auxv", "a descriptor"), True)


def test_supervisor_cannot_be_read_traced_or_ended(
    backend: Backend, train: Callable[..., PhaseResult]
) -> None:
    """Process 1 keeps memory and descriptors to itself and survives every signal; an own child does not."""
    found = probed(train(backend, PROBE))
    assert found["pid"] == 1
    assert found["supervisor"] == CLOSED | {"ptrace": "EPERM", "memory": "EPERM"}
    assert OPEN.items() <= found["own child"].items()
    assert found["own child ended by"] == -signal.SIGKILL


def test_supervisor_keeps_to_itself_without_the_policy_too(
    backend: Backend, train: Callable[..., PhaseResult]
) -> None:
    """Where tracing is allowed, a student's own child can be traced, and the supervisor still cannot."""
    found = probed(train(backend, PROBE, without=frozenset({Wall.SECCOMP})))
    assert found["supervisor"] == CLOSED | {"ptrace": "EPERM", "memory": "EPERM"}
    assert found["own child"]["ptrace"] == "traced"
    assert found["own child"]["memory"] == "read"


def test_daemon_neither_delays_nor_touches_the_result(
    backend: Backend, train: Callable[..., PhaseResult]
) -> None:
    """What the student's code leaves behind is ended before the result is passed on."""
    result = train(backend, DAEMON)
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert result.payload
    assert "still here" in result.log
    assert result.seconds < 10


COMPILER = """
import sys
import torch
calls = []
class MyModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x):
        calls.append("torch._dynamo.convert_frame" in sys.modules)
        if len(calls) == 2:  # an optimizer's step later
            raise RuntimeError(f"{calls} {torch.are_deterministic_algorithms_enabled()}")
        return self.layer(x).squeeze(1)
"""


def test_training_does_without_the_compiler(any_backend: Backend, train: Callable[..., PhaseResult]) -> None:
    """Its import would take longer than most trainings of a homework."""
    assert train(any_backend, COMPILER).message == "RuntimeError: [False, False] True"
