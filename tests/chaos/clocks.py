"""What lets a process believe that it is another time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peer import debian_program


def faked_clock(clock_s: int) -> dict[str, str]:
    """The environment of a process whose clock is so many seconds ahead; what it needs is installed when it is missing."""
    if clock_s == 0:
        return {}
    debian_program("faketime", "faketime")
    (found,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": str(found), "FAKETIME": f"{clock_s:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
