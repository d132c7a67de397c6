"""The garbage collector as `tidemill work` sets it; for an engine in memory, whose heap grows, it matters more."""

from __future__ import annotations

import gc


def settle_heap() -> None:
    """Take what lives now out of the collector's sight, and let it look more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
