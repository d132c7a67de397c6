"""The step between the server and a model's process: it bounds itself, gives its rights up for good, and becomes the program it is told.

It stands alone and is run without site packages (`python -I -S`), so that nothing foreign has run by the time the bounds hold. It is
not done between fork and exec of the server, which has threads. What it cannot do it says on standard error, in one line, and ends with 78.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from collections.abc import Mapping
from typing import Any

REFUSED = 78  # EX_CONFIG of sysexits.h
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of linux/prctl.h
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of linux/sched.h


class CannotError(Exception):
    """What cannot be done, and what to do instead."""


def confine(limits: Mapping[str, int], user: tuple[int, int] | None, network: bool) -> None:
    """Bound this process, and become `user` (uid, gid) where one is given.

    Args:
        limits: by name of `resource`, e.g. `RLIMIT_AS` in bytes; none is raised above what it is.
        user: who to be; None to stay who it is.
        network: whether it keeps the machine's network; else it has none, not even the loopback one.

    Raises:
        CannotError: one of it is not possible here.
    """
    if not network:
        _leave_network()
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
    confine(told["limits"], None if user is None else (user[0], user[1]), told["network"])
    for path, what in ((told["cwd"], "TIDEMILL_PYFUNC__FOLDER"), (command[0], "TIDEMILL_PYFUNC__PYTHON")):
        closed = closed_at(path)
        if closed is not None:
            raise CannotError(f"user {os.getuid()} may not enter {closed}, on the way to {path}; set {what} to one that it may")
    os.chdir(told["cwd"])
    os.execve(command[0], command, told["environ"])


def _leave_network() -> None:
    """Go where there is no network. Who is not root needs a namespace of users for it, in which it stays who it is."""
    if sys.platform != "linux":
        raise CannotError("this system cannot take the network from a process; set TIDEMILL_PYFUNC__NETWORK=true to leave it to models")
    uid, gid = os.getuid(), os.getgid()
    if _libc().unshare(_NEW_NETWORK if uid == 0 else _NEW_USER | _NEW_NETWORK) != 0:
        why = os.strerror(ctypes.get_errno())
        raise CannotError(f"the network cannot be taken from it ({why}); set TIDEMILL_PYFUNC__NETWORK=true to leave it to models")
    if uid != 0:
        for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except (CannotError, OSError) as cannot:
        print(cannot, file=sys.stderr)
        sys.exit(REFUSED)
