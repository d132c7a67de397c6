"""The step between the server and a model's process: it bounds itself, gives its rights up for good, and becomes the program it is told.

It stands alone and is run without site packages (`python -I -S`), so that nothing foreign has run by the time the bounds hold. It is
not done between fork and exec of the server, which has threads. What it cannot do it says on standard error, in one line, and ends with 78.

Where the kernel lets it, the program runs in a namespace of processes of its own, below one that does nothing but wait for it:

```
 the server ─► this process, which waits and ends as the program did ─► the first of the namespace, which waits ─► the program
```
When the first of a namespace ends, by itself or killed with the group, the kernel kills all that is left in it: also what the program
started and let go, in a session of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

REFUSED = 78  # EX_CONFIG of sysexits.h
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of linux/prctl.h
_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000  # CLONE_NEWUSER, _NEWPID, _NEWNET of linux/sched.h
_NEW_MOUNTS, _PRIVATE = 0x00020000, 0x00040000 | 0x00004000  # CLONE_NEWNS; MS_PRIVATE and MS_REC of linux/mount.h
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_STATUS = 4  # bytes that say how the program ended


class CannotError(Exception):
    """What cannot be done, and what to do instead."""


def confine(limits: Mapping[str, int], user: tuple[int, int] | None) -> None:
    """Bound this process, and become `user` (uid, gid) where one is given.

    Args:
        limits: by name of `resource`, e.g. `RLIMIT_AS` in bytes; none is raised above what it is.
        user: who to be; None to stay who it is.

    Raises:
        CannotError: one of it is not possible here.
    """
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        held = resource.getrlimit(kind)[1]
        most = wanted if held == resource.RLIM_INFINITY else min(wanted, held)
        resource.setrlimit(kind, (most, most))
    os.umask(0o077)
    if user is not None:
        uid, gid = user
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        except OSError as error:
            raise CannotError(f"cannot become user {uid}: {error}") from error
        if {*os.getresuid(), *os.getresgid()} != {uid, gid}:
            raise CannotError(f"could come back from user {uid}")
    if sys.platform == "linux" and _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise CannotError(f"new privileges cannot be ruled out: {os.strerror(ctypes.get_errno())}")


def closed_at(path: str) -> str | None:
    """The first part of a path, or of where it leads, that this process may not enter or run; None if it may.

    >>> closed_at("/"), closed_at("/not/there")
    (None, '/not')
    """
    for whole in (os.path.abspath(path), os.path.realpath(path)):
        parts = whole.split("/")
        for end in range(2, len(parts) + 1):
            part = "/".join(parts[:end]) or "/"
            if not os.access(part, os.X_OK):
                return part
    return None


def main(told: Mapping[str, Any]) -> None:
    """Be confined as told, and become the program."""
    user, command = told["user"], told["command"]
    if _leave(network=not told["network"]):
        _wait_above()
    confine(told["limits"], None if user is None else (user[0], user[1]))
    for path, what in ((told["cwd"], "TIDEMILL_PYFUNC__FOLDER"), (command[0], "TIDEMILL_PYFUNC__PYTHON")):
        closed = closed_at(path)
        if closed is not None:
            raise CannotError(f"user {os.getuid()} may not enter {closed}, on the way to {path}; set {what} to one that it may")
    os.chdir(told["cwd"])
    os.execve(command[0], command, told["environ"])


def _leave(*, network: bool) -> bool:
    """Go where there are no other processes, and no network where that is to be left; answers whether the former was possible.

    Who is not root needs a namespace of users for it, in which it stays who it is.

    Raises:
        CannotError: the network cannot be left.
    """
    uid, gid = os.getuid(), os.getgid()
    if sys.platform != "linux" or (uid != 0 and not network):
        if network:
            raise CannotError("this system cannot take the network from a process; set TIDEMILL_PYFUNC__NETWORK=true to leave it to models")
        return False
    least = (_NEW_NETWORK if network else 0) | (0 if uid == 0 else _NEW_USER)
    alone = bool(_libc().unshare(least | _NEW_PROCESSES | _NEW_MOUNTS) == 0)
    if not alone and network and _libc().unshare(least) != 0:
        why = os.strerror(ctypes.get_errno())
        raise CannotError(f"the network cannot be taken from it ({why}); set TIDEMILL_PYFUNC__NETWORK=true to leave it to models")
    if uid != 0:
        for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)
    return alone


def _wait_above() -> None:
    """Go on as the program's process; the two above it wait here and end when it does."""
    told, tells = os.pipe()
    first = os.fork()
    if first != 0:
        os.closerange(0, told)
        os.closerange(told + 1, _most_files())
        said = os.read(told, _STATUS)
        _, status = os.waitpid(first, 0)
        _end_as(int.from_bytes(said, "little") if len(said) == _STATUS else status)
    _libc().prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    # /proc tells of this namespace's processes, where the kernel lets it: a program looks itself up there by its number
    if _libc().mount(None, b"/", None, _PRIVATE, None) == 0:
        _libc().mount(b"proc", b"/proc", b"proc", 0, None)
    program = os.fork()
    if program != 0:
        os.closerange(0, tells)
        os.closerange(tells + 1, _most_files())
        while (ended := os.wait())[0] != program:
            pass
        os.write(tells, ended[1].to_bytes(_STATUS, "little"))
        os._exit(0)


def _most_files() -> int:
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65_536)


def _end_as(status: int) -> None:
    """End as another process did."""
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except (CannotError, OSError) as cannot:
        print(cannot, file=sys.stderr)
        sys.exit(REFUSED)
