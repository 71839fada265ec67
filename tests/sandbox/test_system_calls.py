"""The system-call policy as the kernel applies it: what homework needs works, what attacks need does not."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.sandbox.base import Wall

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.host.sandbox.base import Backend

    Probe = Callable[..., Any]

by_number = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="system calls are tried by x86-64 numbers"
)

# Each call is tried in a process of its own; arguments are such that the kernel, were it asked, would say
# "done" or name something else than a missing permission wherever an unprivileged process may ask at all.
ATTEMPTS = """
import ctypes, errno, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
buffer = ctypes.create_string_buffer(4096)
ADDRESS, HIGH, TIOCSTI, NEWUSER = ctypes.addressof(buffer), 1 << 32, 0x5412, 0x10000000
software, size, user_space_alone = (1).to_bytes(4, "little"), (128).to_bytes(4, "little"), b"\\x61"
perf = ctypes.create_string_buffer(software + size + bytes(32) + user_space_alone, 128)

def outcome(action):
    pid = os.fork()
    if not pid:
        os._exit(action())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        return signal.Signals(-status).name
    return errno.errorcode[status] if status else "done"

def attempt(number, *arguments):
    def action():
        me = os.getpid()
        result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
        if os.getpid() != me:  # the child of a clone that went through
            os._exit(0)
        return ctypes.get_errno() if result == -1 else 0
    return outcome(action)

report({
    "ptrace": attempt(101, 0, 0, 0, 0),  # PTRACE_TRACEME
    "process_vm_readv": attempt(310, os.getpid(), 0, 0, 0, 0, 0),
    "process_vm_writev": attempt(311, os.getpid(), 0, 0, 0, 0, 0),
    "process_madvise": attempt(440, -1, 0, 0, 0, 0),
    "pidfd_getfd": attempt(438, -1, 0, 0),
    "kcmp": attempt(312, os.getpid(), os.getpid(), 0, 0, 0),
    "keyctl": attempt(250, 0, -2, 1),  # KEYCTL_GET_KEYRING_ID of the process's own
    "add_key": attempt(248, ADDRESS, ADDRESS, 0, 0, -2),
    "request_key": attempt(249, ADDRESS, ADDRESS, 0, 0),
    "io_uring_setup": attempt(425, 1, ADDRESS),
    "io_uring_enter": attempt(426, -1, 0, 0, 0, 0, 0),
    "io_uring_register": attempt(427, -1, 0, 0, 0),
    "bpf": attempt(321, 0, 0, 0),
    "perf_event_open": attempt(298, ctypes.addressof(perf), 0, -1, -1, 0),
    "userfaultfd": attempt(323, 1),  # UFFD_USER_MODE_ONLY
    "unshare": attempt(272, NEWUSER),
    "setns": attempt(308, -1, 0),
    "clone of a user namespace": attempt(56, NEWUSER | 17, 0, 0, 0, 0),
    "clone with a high bit": attempt(56, HIGH | NEWUSER | 17, 0, 0, 0, 0),
    "clone3": attempt(435, 0, 0),
    "mount": attempt(165, 0, 0, 0, 0, 0),
    "umount2": attempt(166, 0, 0),
    "pivot_root": attempt(155, 0, 0),
    "chroot": attempt(161, 0),
    "fsopen": attempt(430, 0, 0),
    "open_tree": attempt(428, -1, 0, 0),
    "move_mount": attempt(429, -1, 0, -1, 0, 0),
    "mount_setattr": attempt(442, -1, 0, 0, 0, 0),
    "open_by_handle_at": attempt(304, -1, ADDRESS, 0),
    "name_to_handle_at": attempt(303, -1, 0, 0, 0, 0),
    "fanotify_init": attempt(300, 0, 0),
    "personality": attempt(135, 0x0040000),  # ADDR_NO_RANDOMIZE
    "kexec_load": attempt(246, 0, 0, 0, 0),
    "kexec_file_load": attempt(320, -1, -1, 0, 0, 0),
    "init_module": attempt(175, 0, 0, 0),
    "finit_module": attempt(313, -1, 0, 0),
    "delete_module": attempt(176, 0, 0),
    "reboot": attempt(169, 0, 0, 0, 0),
    "swapon": attempt(167, 0, 0),
    "acct": attempt(163, 1),
    "settimeofday": attempt(164, 0, 0),
    "syslog": attempt(103, 3, 0, 0),
    "iopl": attempt(172, 3),
    "memfd_secret": attempt(447, 0),
    "TIOCSTI": attempt(16, 0, TIOCSTI, ADDRESS),
    "TIOCSTI with a high bit": attempt(16, 0, HIGH | TIOCSTI, ADDRESS),
    "AF_KEY": attempt(41, 15, 3, 2),
    "AF_PACKET": attempt(41, 17, 3, 0),
    "AF_BLUETOOTH": attempt(41, 31, 3, 1),
    "AF_ALG": attempt(41, 38, 5, 0),
    "AF_VSOCK": attempt(41, 40, 1, 0),
    "AF_XDP": attempt(41, 44, 3, 0),
    "a call that no kernel has": attempt(9999),
})
"""


@by_number
def test_calls_that_attacks_need_are_refused(backend: Backend, probe: Probe) -> None:
    """Every one fails as a call that is not permitted, and ``clone3`` as one that does not exist."""
    answers = probe(backend, ATTEMPTS)
    assert answers.pop("clone3") == "ENOSYS"  # so that glibc takes `clone`, whose flags can be looked at
    assert {name: answer for name, answer in answers.items() if answer != "EPERM"} == {}


@by_number
def test_policy_is_what_refuses_them(backend: Backend, probe: Probe) -> None:
    """Without the wall, the kernel would do these for anybody or would at least look at their arguments."""
    answers = probe(backend, ATTEMPTS, without={Wall.SECCOMP})
    anybody = ("ptrace", "process_vm_readv", "personality", "unshare", "clone of a user namespace")
    assert {name: answers[name] for name in anybody} == dict.fromkeys(anybody, "done")
    looked_at = ("setns", "pidfd_getfd", "TIOCSTI", "TIOCSTI with a high bit")
    assert {answers[name] for name in looked_at} <= {"EBADF", "ENOTTY"}
    assert answers["clone3"] == "EINVAL"
    depends_on_the_kernel = {"keyctl", "io_uring_setup", "userfaultfd", "AF_ALG", "AF_VSOCK", "memfd_secret"}
    assert {name for name in depends_on_the_kernel if answers[name] == "done"}


FOREIGN = """
import ctypes, mmap, signal
def runs(code):
    pid = os.fork()
    if not pid:
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        result = ctypes.CFUNCTYPE(ctypes.c_long)(address)()
        os._exit(0 if result == os.getpid() else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return signal.Signals(-status).name if status < 0 else ["answered", "not answered"][status]
report({
    "x86-64": runs(bytes.fromhex("b827000000 0f05 c3")),
    "32-bit": runs(bytes.fromhex("b814000000 cd80 c3")),
    "x32": runs(bytes.fromhex("b827000040 0f05 c3")),
})
"""


@by_number
def test_other_tables_of_system_calls_are_closed(backend: Backend, probe: Probe) -> None:
    """``getpid`` answers through the processor's own table, and ends the process through the 32-bit one."""
    answers = probe(backend, FOREIGN)
    assert answers["x86-64"] == "answered"
    assert answers["32-bit"] == "SIGSYS"
    assert answers["x32"] in {"SIGSYS", "not answered"}


@by_number
def test_policy_is_what_closes_the_32_bit_table(backend: Backend, probe: Probe) -> None:
    """Without the wall it answers, or is not in this kernel; nothing ends the process."""
    answers = probe(backend, FOREIGN, without={Wall.SECCOMP})
    assert answers["32-bit"] in {"answered", "SIGSEGV"}  # SIGSEGV: a kernel without it


NEEDED = """
import ctypes, multiprocessing, socket, subprocess, threading
from multiprocessing import shared_memory

done = []
threads = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
found = {"threads": sorted(done) == list(range(8))}

pid = os.fork()
if not pid: os._exit(7)
found["fork"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7

for method in ("fork", "spawn"):
    with multiprocessing.get_context(method).Pool(2) as pool:
        found["pool by " + method] = pool.map(abs, [-1, -2, -3]) == [1, 2, 3]

said = subprocess.run([sys.executable, "-S", "-c", "print(6 * 7)"], capture_output=True, check=True)
found["subprocess"] = said.stdout == b"42\\n"

memory = shared_memory.SharedMemory(create=True, size=4096)
memory.buf[0] = 9
again = shared_memory.SharedMemory(memory.name)
found["shared memory"] = again.buf[0] == 9
again.close()
memory.close()
memory.unlink()

for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    with socket.socket(family): found[family.name] = True
one, other = socket.socketpair()
one.sendall(b"x")
found["socketpair"] = other.recv(1) == b"x"
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()): found["loopback"] = True
os.close(os.memfd_create("x")); found["memfd"] = True
os.close(os.eventfd(0)); found["eventfd"] = True
timer = ctypes.CDLL(None).timerfd_create(1, 0)
found["timerfd"] = timer > 2
os.sched_setaffinity(0, os.sched_getaffinity(0)); found["affinity"] = True
report(found)
"""


def test_what_homework_needs_works(backend: Backend, probe: Probe) -> None:
    """Threads, processes, pools, shared memory and sockets of its own work with all walls up."""
    found = probe(backend, NEEDED, memory_bytes=256 << 20)
    assert {name for name, works in found.items() if not works} == set()
    assert len(found) == 15
