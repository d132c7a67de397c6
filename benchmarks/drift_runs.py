"""The runs of `make bench NAME=drift`: a reference, a live stream after it, and what each method said.

All is kept on disk, so that a bench that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from benchmarks import drift_methods, drift_streams
from benchmarks.drift_methods import Alarms, ByHand
from benchmarks.drift_streams import CYCLE_ROWS, PERIOD_ROWS, REFERENCE_ROWS, Drift, Regime, Rows, make_rows
from tidemill import drift
from tidemill.drift import ReferenceProfile, profile_reference

CACHE = Path(__file__).parent / ".cache" / "drift"
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

    def live(self) -> Rows:
        """What comes after the reference, from anywhere in a cycle on."""
        first_row = REFERENCE_ROWS + self.seed * 977 % CYCLE_ROWS
        drift = None if self.kind is None else Drift(self.kind, self.change_at)
        return make_rows(self.regime, self.n_rows, _LIVE_SEEDS + self.seed, drift, first_row)

    def file(self, methods: str) -> Path:
        """Where what these methods said is kept."""
        return CACHE / methods / self.regime / (self.kind or "none").replace(" ", "_").replace("%", "pc") / f"{self.seed}.json"


def seen(run: Run) -> Alarms:
    """The rows of the alarms of ours and of the tests by hand; read where they are known."""
    file = run.file(f"own-{_digest()}")
    if file.is_file():
        known: Alarms = json.loads(file.read_text(encoding="ascii"))
        return known
    profile, by_hand = _reference(run.regime, run.seed % REFERENCES)
    live = run.live()
    alarms = drift_methods.ours(profile, live)
    for window in (200, 1_000):
        alarms |= by_hand.alarms(live, window)
    keep(file, alarms)
    return alarms


def keep(file: Path, alarms: Alarms) -> None:
    """Write at once or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(alarms), encoding="ascii")
    partial.replace(file)


def runs(regimes: Sequence[Regime], kinds: Sequence[str | None], n: int) -> Iterator[Run]:
    """`n` runs of each kind in each regime, the same reference one after the other."""
    seeds = sorted(range(n), key=lambda seed: (seed % REFERENCES, seed))
    return (Run(regime, kind, seed) for regime in regimes for seed in seeds for kind in kinds)


@lru_cache(maxsize=1)
def _reference(regime: Regime, seed: int) -> tuple[ReferenceProfile, ByHand]:
    rows = make_rows(regime, REFERENCE_ROWS, seed)
    return profile_reference(rows.columns, rows.scores, rows.at_ms), ByHand.of(rows)


@lru_cache(maxsize=1)
def _digest() -> str:
    """Of all code that the alarms follow from: another code, another cache."""
    folders = (Path(drift.__file__).parent.glob("*.py"), (Path(drift_streams.__file__), Path(drift_methods.__file__)))
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
