"""The runs of `make bench NAME=drift`: a stream with or without drift, and the reference it comes after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.drift_streams import CYCLE_ROWS, PERIOD_ROWS, REFERENCE_ROWS, Drift, Regime, Rows, make_rows
from tidemill.learning import Budget

Alarms = dict[str, list[int]]  # by method, the rows at which it alarmed

BUDGET = Budget.parse("1/30d")
REFERENCES = 40
LEAD_ROWS = 6_000  # before a change: the outcome monitor learns its baseline in the first week of them
AFTER_ROWS = 10_000
_LIVE_SEEDS = 100_000


@dataclass(frozen=True)
class Run:
    """One stream: its regime, how it drifts (None: not at all), and the number that everything random follows from."""

    regime: Regime
    kind: str | None
    seed: int

    @property
    def change_at(self) -> int:
        """The first row that has drifted."""
        return LEAD_ROWS

    @property
    def n_rows(self) -> int:
        """Live rows: for a stream without drift those of the budget's time after the lead."""
        return LEAD_ROWS + (PERIOD_ROWS if self.kind is None else AFTER_ROWS)

    @property
    def reference_seed(self) -> int:
        """The number of its reference; some runs share one, as it takes seconds to make."""
        return self.seed % REFERENCES

    def reference(self) -> Rows:
        """What the model was trained on."""
        return make_rows(self.regime, REFERENCE_ROWS, self.reference_seed)

    def live(self) -> Rows:
        """What comes after the reference, from anywhere in a cycle on."""
        first_row = REFERENCE_ROWS + self.seed * 977 % CYCLE_ROWS
        drift = None if self.kind is None else Drift(self.kind, self.change_at)
        return make_rows(self.regime, self.n_rows, _LIVE_SEEDS + self.seed, drift, first_row)


def runs(regimes: Sequence[Regime], kinds: Sequence[str | None], n: int) -> Iterator[Run]:
    """`n` runs of each kind in each regime, seed after seed."""
    return (Run(regime, kind, seed) for seed in range(n) for regime in regimes for kind in kinds)
