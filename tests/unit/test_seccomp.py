"""The two forms of the system-call policy say the same: Docker's text, and the program that the kernel runs.

The program is run here, on made-up calls, by the few lines of `run_bpf`, so every number and any argument
can be asked about.
"""

from __future__ import annotations

import errno
import functools
import json
import platform
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.sandbox.seccomp import (
    ALLOWED,
    CONDITIONAL,
    MISSING,
    PERSONALITY_ASK,
    TIOCSTI,
    bpf_program,
    docker_profile,
)

try:
    import pyseccomp
except (ImportError, OSError, RuntimeError):  # it loads libseccomp when imported
    pyseccomp = None

pytestmark = pytest.mark.skipif(pyseccomp is None, reason="libseccomp is not installed")

ALLOW, ERRNO, KILL_THREAD, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x0, 0x80000000
DENIED, NO_SUCH_CALL = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
I386, X32_BIT = 0x40000003, 0x40000000
HIGHEST_NUMBER = 600
NAMESPACES = {  # linux/sched.h
    "NEWTIME": 0x80,
    "NEWNS": 0x20000,
    "NEWCGROUP": 0x2000000,
    "NEWUTS": 0x4000000,
    "NEWIPC": 0x8000000,
    "NEWUSER": 0x10000000,
    "NEWPID": 0x20000000,
    "NEWNET": 0x40000000,
}
ATTACKS = """
    ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp keyctl add_key request_key
    io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd unshare setns mount
    umount2 pivot_root chroot fsopen fsconfig fsmount open_tree move_mount mount_setattr open_by_handle_at
    name_to_handle_at kexec_load kexec_file_load init_module finit_module delete_module reboot swapon acct
    settimeofday clock_settime adjtimex syslog quotactl fanotify_init lookup_dcookie vhangup memfd_secret
"""
arguments_64 = st.integers(0, 2**64 - 1)


@functools.cache
def program() -> list[tuple[int, int, int, int]]:
    """The instructions: code, jumps when true and false, operand."""
    return list(struct.iter_unpack("<HBBI", bpf_program()))


def run_bpf(number: int, *arguments: int, arch: int | None = None) -> int:
    """What the program answers to a system call (the classic BPF of ``linux/filter.h``)."""
    padded = [*arguments, *[0] * 6][:6]
    here = ARCHITECTURES[platform.machine()] if arch is None else arch
    data = struct.pack("<IIQ6Q", number, here, 0, *padded)
    accumulator, position = 0, 0
    compare = {0x15: int.__eq__, 0x25: int.__gt__, 0x35: int.__ge__, 0x45: int.__and__}
    while True:
        code, when_true, when_false, operand = program()[position]
        position += 1
        if code == 0x20:  # load a word of the call
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:  # and
            accumulator &= operand
        elif code in compare:
            position += when_true if compare[code](accumulator, operand) else when_false
        elif code == 0x05:  # jump
            position += operand
        else:
            assert code == 0x06, f"instruction {code:#x} is not known here"  # return
            return operand


def number_of(name: str) -> int:
    """The call's number on this processor; negative where it has none."""
    number: int = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    return number


def call(name: str, *arguments: int) -> int:
    """The program's answer to a call by name."""
    return run_bpf(number_of(name), *arguments)


def test_every_number_is_answered_as_the_table_says() -> None:
    """What is in no list is refused, and so is what no kernel has yet."""
    expected = {number_of(name): ALLOW for name in ALLOWED} | {
        number_of(name): NO_SUCH_CALL for name in MISSING
    }
    conditional = {number_of(rule.name) for rule in CONDITIONAL}
    for number in range(HIGHEST_NUMBER):
        if number not in conditional:
            assert run_bpf(number, *[2**64 - 1] * 6) == expected.get(number, DENIED), number
    assert sum(number >= 0 for number in expected) > 200


@pytest.mark.parametrize("name", ATTACKS.split())
def test_calls_that_attacks_need_are_refused(name: str) -> None:
    """They are refused for any arguments, where the processor has them at all."""
    if number_of(name) >= 0:
        assert call(name) == DENIED
        assert call(name, *[2**64 - 1] * 6) == DENIED


@given(arguments_64)
def test_socket_families_are_closed_but_for_four(family: int) -> None:
    """A family passes as it is written and in no disguise."""
    assert call("socket", family) == (ALLOW if family in {1, 2, 10, 16} else DENIED)


@pytest.mark.parametrize("family", [0, 1, 2, 3, 10, 15, 16, 17, 31, 38, 40, 44])
@pytest.mark.parametrize("high", [0, 1 << 32, 1 << 63])
def test_well_known_socket_families(family: int, high: int) -> None:
    """UNIX, INET, INET6 and NETLINK pass; KEY, PACKET, BLUETOOTH, ALG, VSOCK and XDP do not."""
    assert call("socket", high | family) == (ALLOW if not high and family in {1, 2, 10, 16} else DENIED)


@given(arguments_64)
def test_clone_makes_no_namespace(flags: int) -> None:
    """Any of the eight flags is enough to be refused, whatever stands beside it."""
    assert call("clone", flags) == (DENIED if flags & sum(NAMESPACES.values()) else ALLOW)


@pytest.mark.parametrize("flag", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("beside", [0, 17, 0x3D0F00, 1 << 32], ids=["alone", "fork", "thread", "high bit"])
def test_each_namespace_is_closed(flag: int, beside: int) -> None:
    """A thread and a fork pass without the flag and fail with it."""
    assert call("clone", beside) == ALLOW
    assert call("clone", beside | flag) == DENIED


@given(arguments_64)
def test_terminal_input_cannot_be_pushed(request: int) -> None:
    """The kernel reads 32 bits of an ioctl's request, so the others must not hide it (CVE-2019-10063)."""
    assert call("ioctl", 0, request) == (DENIED if request & 0xFFFFFFFF == TIOCSTI else ALLOW)


@given(st.integers(0, 2**32 - 1))
def test_terminal_input_cannot_be_pushed_behind_high_bits(high: int) -> None:
    """Whatever the high half holds."""
    assert call("ioctl", 0, (high << 32) | TIOCSTI) == DENIED


@given(st.integers(0, 63))
def test_other_requests_of_terminals_pass(bit: int) -> None:
    """A request that differs in any one of the low bits is another request."""
    assert call("ioctl", 0, TIOCSTI ^ (1 << bit)) == (ALLOW if bit < 32 else DENIED)


@given(arguments_64)
def test_personality_stays_the_default(persona: int) -> None:
    """It can be asked for and set to what it is."""
    assert call("personality", persona) == (ALLOW if persona in {0, PERSONALITY_ASK} else DENIED)


@pytest.mark.parametrize("persona", [0x0040000, 0x0400000, 0x8, (1 << 32) | 0x0040000])
def test_address_randomisation_cannot_be_turned_off(persona: int) -> None:
    """Neither ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC nor another system's personality."""
    assert call("personality", persona) == DENIED


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="x86-64 alone has other tables of calls beside its own"
)
@pytest.mark.parametrize("number", [0, 1, 39, 101, 1000])
def test_other_tables_of_calls_end_the_process(number: int) -> None:
    """32-bit and x32 calls have numbers of their own, so none is looked up in this table."""
    assert run_bpf(number, arch=I386) in {KILL_THREAD, KILL_PROCESS}
    assert run_bpf(X32_BIT | number) in {KILL_THREAD, KILL_PROCESS, DENIED}


def profile() -> dict[str, Any]:
    """Docker's form, as JSON."""
    parsed: dict[str, Any] = json.loads(docker_profile())
    return parsed


def test_docker_profile_refuses_by_default() -> None:
    """What it does not name fails with EPERM."""
    assert (profile()["defaultAction"], profile()["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", errno.EPERM)


def test_docker_profile_has_the_table_and_nothing_else() -> None:
    """Allowed, missing and conditional calls are the same ones, each under its own action."""
    rules = profile()["syscalls"]
    plain = [rule for rule in rules if "args" not in rule]
    assert [(tuple(rule["names"]), rule["action"], rule.get("errnoRet")) for rule in plain] == [
        (ALLOWED, "SCMP_ACT_ALLOW", None),
        (MISSING, "SCMP_ACT_ERRNO", errno.ENOSYS),
    ]
    conditional = [rule for rule in rules if "args" in rule]
    assert {rule["action"] for rule in conditional} == {"SCMP_ACT_ALLOW"}
    assert [rule["names"] for rule in conditional] == [[c.name] for c in CONDITIONAL for _ in c.tests]


def docker_allows(name: str, *arguments: int) -> bool:
    """Whether any rule of Docker's form lets a call pass, as runc and libseccomp read it."""

    def holds(test: dict[str, Any]) -> bool:
        argument = arguments[test["index"]]
        if test["op"] == "SCMP_CMP_EQ":
            return bool(argument == test["value"])
        assert test["op"] == "SCMP_CMP_MASKED_EQ"
        return bool(argument & test["value"] == test["valueTwo"])

    rules = [rule for rule in profile()["syscalls"] if name in rule["names"]]
    return any(rule["action"] == "SCMP_ACT_ALLOW" and all(map(holds, rule.get("args", []))) for rule in rules)


@given(st.sampled_from([rule.name for rule in CONDITIONAL]), st.tuples(arguments_64, arguments_64))
def test_both_forms_agree_on_arguments(name: str, arguments: tuple[int, int]) -> None:
    """Docker's rules and the program answer alike."""
    assert docker_allows(name, *arguments) == (call(name, *arguments) == ALLOW)


def test_table_names_each_call_once() -> None:
    """A call that were both allowed and conditional would be allowed."""
    names = [*ALLOWED, *MISSING, *(rule.name for rule in CONDITIONAL)]
    assert len(set(names)) == len(names)
