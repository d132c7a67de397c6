"""The garbage collector of a process that runs for long: what it keeps for good is not looked through again and again.

All modules and models of a server are half a million objects and more. To look through them takes a third of a second in which nothing
else runs, and what every request makes and drops brings that about every few seconds.
"""

from __future__ import annotations

import gc

_NEW, _YOUNG, _OLD = 50_000, 20, 50  # objects that are new, then how often each generation is looked through before the next one is


def settle_heap() -> None:
    """Take what lives now out of the collector's sight, and let it look more rarely; call it once, when all has been loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, _YOUNG, _OLD)
