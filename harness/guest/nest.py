"""A guest that imports torch once, and makes each sandbox's guest out of a fork of itself, behind walls anew.

It is process 1 of a sandbox without the system-call policy, so that it can build walls: with capabilities in
its own user namespace, or where it may make such namespaces. It runs no student code and never holds a byte
of a submission: its memory is what every cell begins with. A cell gets its streams as descriptors, and its
job comes over these.

The order in a cell: its builder waits until the host has put it into a control group, unshares all namespaces
and makes the mounts; process 1 of the new namespaces mounts its own ``/proc``, gives up every privilege, puts
the system-call policy on, says so, and only then reads what the host sends it. Whatever fails ends the cell.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

from harness.guest import supervisor
from harness.guest.channel import read_exactly, write
from harness.protocol import Message, read_message

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 4, 22, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
SECCOMP_MODE_FILTER = 2
BPF_INSTRUCTION_BYTES = 8
CAPABILITY_VERSION_3 = 0x20080522
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
STREAMS = 3
MAX_REQUEST = 1 << 16
JOINED, WALLS_UP = b"g", b"w"

_libc = ctypes.CDLL(None, use_errno=True)


def main(control: str) -> NoReturn:
    """Warm up, and make a cell for each request that comes, until the host closes the socket.

    Args:
        control: where requests come from: the descriptor of a socket that keeps messages apart, or the path
            at which the host finds one.
    """
    with suppress(OSError):  # it outlives the grading that it was started for, whose cores it would keep to
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    inherited = control.isdecimal()
    requests = socket.socket(fileno=int(control)) if inherited else _listening(control)
    policy = bytes(read_message(lambda size: read_exactly(0, size), max_blob_bytes=1 << 20).blobs["policy"])
    versions = supervisor.warm_up()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects the builders, and what is left to us
    _check(_libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "hiding")
    write(1, Message("ready", {**versions, "own_bytes": _own_bytes()}))
    gc.collect()
    gc.freeze()  # else each cell's first collection would copy what they all share
    if not inherited:
        requests = _accepted(requests)
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST, STREAMS + 1)
        if not text:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            _build(json.loads(text), descriptors, policy)
        for descriptor in descriptors:
            os.close(descriptor)


def _listening(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(1)
    return listener


def _accepted(listener: socket.socket) -> socket.socket:
    """The host's connection, which is the only one; a host that ends before it made one ends this too."""
    ready, _, _ = select.select([listener.fileno(), 0], [], [])
    if listener.fileno() not in ready:
        os._exit(0)
    connection, _ = listener.accept()
    listener.close()
    return connection


def _own_bytes() -> int:
    """Memory of this process that stands in no file: what of it the kernel keeps of files does not count."""
    with open("/proc/self/status") as file:  # noqa: PTH123  pathlib costs more than it does
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon:"))


def _build(request: dict[str, Any], descriptors: list[int], policy: bytes) -> NoReturn:
    """Be the builder of a cell: the process that makes its namespaces and its process 1, and ends."""
    hello = socket.socket(fileno=descriptors[STREAMS])
    try:
        os.dup2(descriptors[2], 2)
        hello.send(b"k")  # the kernel tells the host which process this is
        if hello.recv(1) != JOINED:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        _new_namespaces(request)
        if os.fork() == 0:
            _live(request, descriptors, policy, hello)
    except BaseException:  # noqa: BLE001  fail closed, and say why
        traceback.print_exc()
    os._exit(0)


def _new_namespaces(request: dict[str, Any]) -> None:
    """Leave all namespaces, and mount what a cell has for itself."""
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "showing")  # else the maps are not ours to write
    _check(_libc.unshare(NAMESPACES), "making namespaces")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{request['uid']} {uid} 1"),
        ("gid_map", f"{request['uid']} {gid} 1"),
    ):
        _write(f"/proc/self/{name}", text)
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    for path, size in request["scratch"].items():
        _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,{size}")
    _mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    if os.path.isdir("/dev/mqueue"):  # noqa: PTH112  pathlib costs more than it does
        _mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _live(request: dict[str, Any], descriptors: list[int], policy: bytes, hello: socket.socket) -> NoReturn:
    """Become process 1 of a cell: finish the walls, and be the guest."""
    try:
        _own_proc(request["masked"])
        _loopback_up()
        os.chdir("/tmp")  # noqa: S108  inside
        resource.setrlimit(resource.RLIMIT_NOFILE, (request["open_files"], request["open_files"]))
        os.environ.clear()
        os.environ.update(request["environment"])
        _drop_privileges()
        _put_policy_on(policy)
        hello.send(WALLS_UP)
        hello.close()
        for number, descriptor in enumerate(descriptors[:STREAMS]):
            os.dup2(descriptor, number)
        os.closerange(STREAMS, request["open_files"])
        if request["command"]:
            os.execv(sys.executable, [sys.executable, *request["command"]])  # noqa: S606  what the host asked for
        read_exactly(0, int.from_bytes(read_exactly(0, 8), "big"))  # the guest's code, which is here already
        supervisor.main()
    except BaseException:  # noqa: BLE001  fail closed, and say why
        traceback.print_exc()
    os._exit(1)


def _own_proc(masked: list[str]) -> None:
    """Mount a ``/proc`` that shows this cell's processes, without what no homework needs."""
    careful = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount("proc", "/proc", "proc", careful)
    _mount("/proc/sys", "/proc/sys", "", MS_BIND | MS_REC)
    _mount("none", "/proc/sys", "", MS_REMOUNT | MS_BIND | MS_RDONLY | careful)
    for name in masked:
        path = f"/proc/{name}"
        if os.path.isdir(path):  # noqa: PTH112  pathlib costs more than it does
            _mount("none", path, "tmpfs", MS_RDONLY | careful, "size=0,mode=555")
        elif os.path.exists(path):  # noqa: PTH110  likewise
            _mount("/dev/null", path, "", MS_BIND)


def _loopback_up() -> None:
    """Let processes of the cell reach each other at 127.0.0.1, as in every sandbox."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        name = b"lo".ljust(16, b"\0")
        answer = fcntl.ioctl(end, SIOCGIFFLAGS, name + bytes(24))
        flags = struct.unpack_from("h", answer, 16)[0] | IFF_UP
        fcntl.ioctl(end, SIOCSIFFLAGS, name + struct.pack("h", flags) + bytes(22))


def _drop_privileges() -> None:
    """Give up every capability for good."""
    capability = 0
    while _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "giving up new privileges")
    _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "clearing ambient capabilities")
    header, nothing = struct.pack("II", CAPABILITY_VERSION_3, 0), bytes(24)
    _check(_libc.capset(header, nothing), "dropping capabilities")


def _put_policy_on(policy: bytes) -> None:
    """Have the kernel refuse what the policy does not allow, from here on and in all children."""
    instructions = ctypes.create_string_buffer(policy, len(policy))
    program = struct.pack("HxxxxxxP", len(policy) // BPF_INSTRUCTION_BYTES, ctypes.addressof(instructions))
    _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0), "putting the policy on")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123  pathlib costs more than it does
        file.write(text)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    status = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _check(status, f"mounting {kind or 'nothing'} on {target}")


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
