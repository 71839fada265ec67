"""One system-call policy for every backend: JSON for Docker, BPF for bubblewrap, from the same table.

The table is a list of what is allowed; all else fails with EPERM, so that a call which a newer kernel
brings is closed until someone opens it. It starts from what PyTorch, NumPy, threads, multiprocessing,
subprocess and POSIX shared memory need, which is close to the list that Docker allows by default
(https://docs.docker.com/engine/security/seccomp/), and leaves out what homework never needs: tracing,
other processes' memory, keyrings, io_uring, BPF, performance counters, user faults, namespaces, mounts,
file handles, kernel modules and odd socket families.

Calls whose arguments decide are `Conditional`: the call passes when any one of its tests holds.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import tempfile
from dataclasses import dataclass

from harness.host.errors import WallError

try:
    import pyseccomp
except (ImportError, OSError, RuntimeError):  # it loads libseccomp when imported; Docker alone does without
    pyseccomp = None

ALLOWED = tuple(
    """
    accept accept4 access alarm arch_prctl bind brk capget capset chdir chmod chown clock_getres
    clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr
    flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_waitv futimesat
    get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid
    getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid
    getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioprio_get ioprio_set kill
    lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise
    mbind membarrier memfd_create mincore mkdir mkdirat mlock mlock2 mlockall mmap mprotect
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap msgctl msgget msgrcv
    msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat openat2 pause pidfd_open
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv
    preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
    recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall
    rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield select semctl semget semop semtimedop
    sendfile sendmmsg sendmsg sendto set_mempolicy set_robust_list set_thread_area set_tid_address
    setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid
    setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack
    signalfd signalfd4 socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
    sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
    timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat
    utime utimensat utimes vfork vmsplice wait4 waitid write writev
    """.split()
)

# glibc falls back to an older call when it reads ENOSYS, and gives up when it reads EPERM.
MISSING = ("clone3",)

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
CLONE_NEW_NAMESPACES = 0x7E020080  # NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
PERSONALITY_DEFAULT, PERSONALITY_ASK = 0x0, 0xFFFFFFFF
TIOCSTI = 0x5412  # pushes characters into a terminal's input
LOW_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Test:
    """``argument[index] & mask == value``; without a mask, all 64 bits count."""

    index: int
    value: int
    mask: int | None = None


@dataclass(frozen=True, slots=True)
class Conditional:
    """A call that passes when any one of `tests` holds."""

    name: str
    tests: tuple[Test, ...]


def _differs_in_low_32_bits(index: int, value: int) -> tuple[Test, ...]:
    """Tests of which one holds exactly when the argument's low 32 bits are not `value`.

    The kernel reads an ioctl's request as 32 bits, so a comparison of all 64 could be passed by setting a
    high one (CVE-2019-10063).
    """
    return tuple(Test(index, ~value & bit, bit) for bit in (1 << shift for shift in range(32)))


CONDITIONAL = (
    Conditional("socket", tuple(Test(0, family) for family in (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK))),
    Conditional("clone", (Test(0, 0, CLONE_NEW_NAMESPACES),)),
    Conditional("personality", (Test(0, PERSONALITY_DEFAULT), Test(0, PERSONALITY_ASK))),
    Conditional("ioctl", _differs_in_low_32_bits(1, TIOCSTI)),
)


@functools.cache
def docker_profile() -> str:
    """The policy as the JSON text that Docker takes in ``security_opt``."""
    rules: list[dict[str, object]] = [
        {"names": list(ALLOWED), "action": "SCMP_ACT_ALLOW"},
        {"names": list(MISSING), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
    ]
    rules += [
        {"names": [call.name], "action": "SCMP_ACT_ALLOW", "args": [_docker_test(test)]}
        for call in CONDITIONAL
        for test in call.tests
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.EPERM, "syscalls": rules})


def _docker_test(test: Test) -> dict[str, object]:
    if test.mask is None:
        return {"index": test.index, "value": test.value, "op": "SCMP_CMP_EQ"}
    return {"index": test.index, "value": test.mask, "valueTwo": test.value, "op": "SCMP_CMP_MASKED_EQ"}


@functools.cache
def bpf_program() -> bytes:
    """The policy as a BPF program for this machine's processor, in the form of bubblewrap's ``--seccomp``.

    Raises:
        WallError: libseccomp is not on this machine.
    """
    if pyseccomp is None:
        raise WallError(
            "the system-call filter cannot be made: libseccomp is not installed",
            "apt-get install libseccomp2",
        )
    policy = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in ALLOWED:
        _add(policy, pyseccomp.ALLOW, name)
    for name in MISSING:
        _add(policy, pyseccomp.ERRNO(errno.ENOSYS), name)
    for call in CONDITIONAL:
        for test in call.tests:
            comparison = (
                pyseccomp.Arg(test.index, pyseccomp.EQ, test.value)
                if test.mask is None
                else pyseccomp.Arg(test.index, pyseccomp.MASKED_EQ, test.mask, test.value)
            )
            _add(policy, pyseccomp.ALLOW, call.name, comparison)
    with tempfile.TemporaryFile() as file:
        policy.export_bpf(file)
        size = file.seek(0, os.SEEK_END)
        return os.pread(file.fileno(), size, 0)


def _add(policy: pyseccomp.SyscallFilter, action: int, name: str, *comparisons: pyseccomp.Arg) -> None:
    """Add a rule; a call that this libseccomp or processor does not have stays closed."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    if number >= 0:
        policy.add_rule(action, number, *comparisons)
