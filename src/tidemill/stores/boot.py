"""Which start of the machine this is: a file written since then can only have been torn by a process, not by a power cut."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def boot_id() -> str:
    """A text that is another one after every start of the machine."""
    if _LINUX.exists():
        return _LINUX.read_text(encoding="ascii").strip()
    return subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=True).stdout.strip()
