"""The step between the server and a model's process: it bounds itself, gives its rights up for good, and becomes the program it is told.

It stands alone and is run without site packages (`python -I -S`), so that nothing foreign has run by the time the bounds hold. It is not done
between fork and exec of the server, which has threads.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping
from typing import Any

_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of linux/prctl.h


def confine(limits: Mapping[str, int], user: tuple[int, int] | None) -> None:
    """Bound this process, and become `user` (uid, gid) where one is given.

    Args:
        limits: by name of `resource`, e.g. `RLIMIT_AS` in bytes; none is raised above what it is.
        user: who to be; None to stay who it is.

    Raises:
        PermissionError: it may not become that user, or could come back.
    """
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        held = resource.getrlimit(kind)[1]
        most = wanted if held == resource.RLIM_INFINITY else min(wanted, held)
        resource.setrlimit(kind, (most, most))
    os.umask(0o077)
    if user is not None:
        uid, gid = user
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        if 0 in (*os.getresuid(), *os.getresgid()):
            raise PermissionError("rights were kept")
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            raise PermissionError(ctypes.get_errno(), "new privileges could not be ruled out")


def main(told: Mapping[str, Any]) -> None:
    """Be confined as told, and become the program."""
    user = told["user"]
    confine(told["limits"], None if user is None else (user[0], user[1]))
    os.chdir(told["cwd"])
    os.execve(told["command"][0], told["command"], told["environ"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
