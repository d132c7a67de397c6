"""The inner loop of the betting detector: many reflected sums, each moved by what every row is worth to it."""

from __future__ import annotations

import numpy as np

from tidemill.kernels.compiling import Floats, Ints, compiled


@compiled
def advance_bets(codes: Ints, at_ms: Ints, gains: Floats, levels: Floats, sums: Floats, since_ms: Ints, peaks: Floats, high: bool) -> int:
    """Let the sums of one column take rows in, until the column becomes high or, being high, quiet again.

    A sum gains what the row's bin is worth to its bet, and stays between 0 and its level. A column becomes high when a sum reaches its
    level, and quiet when every sum is below half of it.

    Args:
        codes: (n_rows,) the bin of each row.
        at_ms: (n_rows,) its stream time.
        gains: (n_bins, n_bets) what a row of a bin is worth to each bet, in nats.
        levels: (n_bets,) where a sum alarms; infinite for none.
        sums: (n_bets,) moved in place.
        since_ms: (n_bets,) time of the row at which each sum last left 0; set in place.
        peaks: (n_bets,) raised in place to the largest each sum has been.
        high: whether the column is high now.

    Returns:
        The row at which the column changed, with that row taken in and none after; n_rows when it did not.
    """
    for row in range(codes.size):
        reached, quiet = False, True
        for bet in range(sums.size):
            value = sums[bet]
            if value <= 0.0:
                since_ms[bet] = at_ms[row]
            value = min(max(value + gains[codes[row], bet], 0.0), levels[bet])
            sums[bet] = value
            peaks[bet] = max(peaks[bet], value)
            reached |= value >= levels[bet]
            quiet &= value < 0.5 * levels[bet]
        if quiet if high else reached:
            return row
    return codes.size


def idle_sums(n_bets: int) -> tuple[Floats, Ints, Floats]:
    """Sums, times and peaks of a column that has seen nothing: (n_bets,) each."""
    return np.zeros(n_bets), np.zeros(n_bets, dtype=np.int64), np.zeros(n_bets)
