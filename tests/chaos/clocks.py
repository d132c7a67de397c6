"""A wall clock that some processes believe in, and that can be set while they run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peer import debian_program


class Clock:
    """The clock of every process that is started with its `environ`; it is right until it is set.

    Only the time of day is another: pauses and timeouts last as long as ever, and files are as old as they are, or else Python and numba
    would compile anew what they find to be of another time. What it needs (libfaketime) is installed when it is missing.

    Args:
        file: where it is written how far ahead it is; each process looks once a second.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Let it be so many seconds ahead, or behind where that is negative."""
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(f"{ahead_s:+d}s\n", encoding="ascii")
        fresh.replace(self._file)

    @property
    def environ(self) -> dict[str, str]:
        """What lets a process believe in it."""
        debian_program("faketime", "faketime")
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # for libraries of old; a JVM would spin in every wait, and Kafka take minutes to come up
            "NO_FAKE_STAT": "1",
        }
