"""There is one `tidemill up` of a home; what one that was killed has left there has to be ended first.

```
 up ──holds──► up.lock ◄──holds── who reads the lines of a service, a fork of `up`: until nobody is left who could write one
                  └─ first line: `up` itself; then each service: name and process id
```
Two of them would have MLflow and Prefect twice on the same files, and flows of two states of the project take turns at runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.errors import ConflictError
from tidemill.stores.file_lock import try_lock

_LOCK = "up.lock"
_ORDER = ("flows", "server", "engine", "mlflow", "prefect")


@contextmanager
def sole_up(home: Path) -> Iterator[Callable[[str, int], None]]:
    """Be the only one of a home; what is given notes a process that has been started.

    Raises:
        ConflictError: another one is there, or something that it has left behind; says what to end.
    """
    path = home / _LOCK
    with try_lock(path, alone=True) as held:
        if not held:
            raise ConflictError(_who_has(home))
        noted: list[str] = []

        def note(name: str, pid: int) -> None:
            noted.append(f"{name} {pid}\n")
            with suppress(OSError):  # a full disk ends nothing that has just been started; who is not noted is not named
                path.write_text("".join(noted))

        note("up", os.getpid())
        yield note


def _who_has(home: Path) -> str:
    noted = {name: int(pid) for name, pid in map(str.split, (home / _LOCK).read_text().splitlines())}
    if (up := noted.pop("up", 0)) and _is_alive(os.kill, up):
        return f"`tidemill up` of {home} is there already, as process {up}; end it first, or set TIDEMILL_HOME to another home"
    left = {name: group for name, group in noted.items() if _is_alive(os.killpg, group)}
    named = ", then ".join(f"kill -- -{left[name]} ({name})" for name in _ORDER if name in left)
    return f"a `tidemill up` of {home} was killed, and what it had started goes on; end it, one after the other: {named}"


def _is_alive(send: Callable[[int, int], None], pid: int) -> bool:
    try:
        send(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
