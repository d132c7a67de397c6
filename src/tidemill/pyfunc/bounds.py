"""What a model's process may take, and who it is."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.errors import SettingsError
from tidemill.settings import PyfuncSettings

_MB = 1_000_000
_PROCESSES = 512  # of that user in all; a model that starts others without end stops there


@dataclass(frozen=True)
class Bounds:
    """What a model's process may take.

    Args:
        memory_mb: its address space, MB.
        file_mb: its largest file, MB.
        open_files: files it may hold open.
        cpu_s: seconds of computing in its life; None for no bound.
        threads: of numeric libraries.
        start_s: within which it has to be loaded, seconds.
        answer_s: within which it has to answer, seconds.
        user: uid and gid that it runs as; None for the server's own, where that is not root.
        network: whether it has the machine's network.
    """

    memory_mb: int = 8_000
    file_mb: int = 100
    open_files: int = 256
    cpu_s: int | None = None
    threads: int = 1
    start_s: float = 120.0
    answer_s: float = 5.0
    user: tuple[int, int] | None = None
    network: bool = False

    @property
    def limits(self) -> Mapping[str, int]:
        """By name of `resource`."""
        found = {"RLIMIT_AS": self.memory_mb * _MB, "RLIMIT_FSIZE": self.file_mb * _MB, "RLIMIT_NOFILE": self.open_files, "RLIMIT_CORE": 0}
        if self.user is not None:  # of an own user: of the server's it would count the server's threads too
            found["RLIMIT_NPROC"] = _PROCESSES
        return found if self.cpu_s is None else {**found, "RLIMIT_CPU": self.cpu_s}


def bounds_of(settings: PyfuncSettings) -> Bounds:
    """The bounds that the settings ask for.

    Raises:
        SettingsError: there is no such user, or it is root.
    """
    return Bounds(
        memory_mb=settings.memory_mb,
        cpu_s=settings.cpu_s,
        threads=settings.threads,
        start_s=settings.start_s,
        answer_s=settings.answer_s,
        user=find_user(settings.user) if os.getuid() == 0 else None,
        network=settings.network,
    )


def find_user(name: str) -> tuple[int, int]:
    """The uid and gid of a user of this machine, by name or number.

    Raises:
        SettingsError: there is none, or it is root.
    """
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError as error:
        raise SettingsError(f"TIDEMILL_PYFUNC__USER: this machine has no user {name!r}; name one that models run as") from error
    if found.pw_uid == 0 or found.pw_gid == 0:
        raise SettingsError(f"TIDEMILL_PYFUNC__USER: {name!r} is root; name a user that owns nothing")
    return found.pw_uid, found.pw_gid
