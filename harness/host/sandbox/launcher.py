"""Sets a bubblewrap sandbox's stage, gives up every privilege, and becomes bubblewrap.

It is run as a program (``python -I -S launcher.py DESCRIPTOR``), so it stands on the standard library alone.
The descriptor holds a JSON object with the fields of `Stage`.

Why a program before bubblewrap:

- Started by root, bubblewrap would map its one user onto the real root, and files such as
  ``/proc/sys/kernel/core_pattern`` open for writing inside. So root is left before bubblewrap starts.
- The unprivileged user may not be able to reach the interpreter (say under ``/root``), and the source of a
  bind mount can be read in ``/proc/self/mountinfo``. So every folder that is not of the system is put on a
  tmpfs in a private mount namespace, as an overlay whose source is named by a descriptor's number.
- bubblewrap cannot bound the number of files of a tmpfs. So the scratch folders are mounted here.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 0x1, 0x2, 0x4, 0x4000, 0x40000
STAGE = "/mnt"  # hidden under a tmpfs of the private namespace; nothing outside sees it

_libc = ctypes.CDLL(None, use_errno=True)


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    status = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _check(status, f"mounting {kind or 'nothing'} on {target}")


def _own_mount_namespace() -> None:
    """Enter a private mount namespace, as root or as anyone through a user namespace."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _check(_libc.unshare(CLONE_NEWNS), "making a mount namespace")
    else:
        _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "making a user namespace")
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount("none", "/", "", MS_REC | MS_PRIVATE, "")


def _show(sources: dict[str, str], *, neutral: bool) -> None:
    """Put each folder of this machine at ``STAGE/<name>``, read-only.

    Args:
        sources: name on the stage to folder of this machine.
        neutral: hide the folder's path; off only in the test that shows what this is for.
    """
    opened = {name: os.open(path, os.O_PATH | os.O_DIRECTORY) for name, path in sources.items()}
    _mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    empty = f"{STAGE}/empty"
    os.mkdir(empty)
    for name, descriptor in opened.items():
        target = f"{STAGE}/{name}"
        os.mkdir(target)
        if neutral:
            layers = f"lowerdir=/proc/self/fd/{descriptor}:{empty}"
            _mount("overlay", target, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, layers)
        else:
            _mount(f"/proc/self/fd/{descriptor}", target, "", 0x1000, "")  # MS_BIND
        os.close(descriptor)


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main() -> None:
    """Read the stage's description, set it, and execute bubblewrap."""
    with os.fdopen(int(sys.argv[1])) as file:
        stage = json.load(file)
    for path in stage["cgroups"]:
        with open(path, "w") as procs:
            procs.write("0")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (stage["open_files"], stage["open_files"]))
    _own_mount_namespace()
    _show(stage["sources"], neutral=stage["neutral"])
    for name, options in stage["scratch"].items():
        os.mkdir(f"{STAGE}/{name}")
        _mount("tmpfs", f"{STAGE}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, options)
    if stage["uid"] is not None and os.getuid() == 0:
        _become(stage["uid"])
    os.chdir("/")
    arguments = ["bwrap", "--args", str(stage["arguments"]), "--", *stage["command"]]
    os.execve(f"{STAGE}/bwrap/{stage['bwrap']}", arguments, dict(os.environ))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"the sandbox's stage could not be set: {error}")
