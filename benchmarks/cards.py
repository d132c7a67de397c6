"""Synthetic card payments: the load of the engine's benchmarks, and the project whose views sum it up.

Keys follow a Zipf law, as cards and merchants do: a few are busy, most are rare. Everything is drawn from one seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from tidemill import Project, Stream, View, count, max_, sum_
from tidemill.clock import DAY_MS
from tidemill.events import Source

START_MS = 1_750_000_000_000 // DAY_MS * DAY_MS
WINDOWS = {"10m": "10m", "1h": "1h", "24h": "24h"}
_ENTITIES = ("card", "device", "merchant")
_ZIPF = 1.1


class Payment(BaseModel):
    """One card payment."""

    payment_id: str
    paid_at: int
    card: str
    device: str
    merchant: str
    amount: float


payments = Stream("payments", schema=Payment, event_time="paid_at", event_id="payment_id", allowed_lateness="1h")
views = [
    View(
        f"by_{entity}",
        payments,
        entity=entity,
        features={
            f"{name}_{window}": feature
            for window in WINDOWS
            for name, feature in (("n", count(over=window)), ("sum", sum_("amount", over=window)), ("max", max_("amount", over=window)))
        },
    )
    for entity in _ENTITIES
]


def project_of(source: Source | None = None) -> Project:
    """The streams and views, with the payments copied from a source."""
    stream = replace(payments, source=source)
    return Project("cards", streams=[stream], views=[replace(view, stream=stream) for view in views])


project = project_of()


@dataclass(frozen=True)
class Payments:
    """n payments as columns, in the order they happened.

    Args:
        paid_at_ms: (n,) int64, rising.
        keys: by entity, (n,) int64 numbers of the keys; small numbers are busy.
        amount: (n,) float64, whole cents.
        first: the number of the first payment; ids are made of it.
    """

    paid_at_ms: npt.NDArray[np.int64]
    keys: dict[str, npt.NDArray[np.int64]]
    amount: npt.NDArray[np.float64]
    first: int = 0

    def __len__(self) -> int:
        """How many payments."""
        return len(self.amount)

    def payloads(self) -> Iterator[str]:
        """Each as the JSON text a source would send; ids are not ordered, as ids of the world are not."""
        ids = (np.arange(self.first, self.first + len(self), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).tolist()
        columns = zip(
            ids, self.paid_at_ms.tolist(), *(self.keys[entity].tolist() for entity in _ENTITIES), self.amount.tolist(), strict=True
        )
        for number, at_ms, card, device, merchant, amount in columns:
            yield (
                f'{{"payment_id":"{number:016x}","paid_at":{at_ms},"card":"c{card:08d}","device":"d{device:08d}",'
                f'"merchant":"m{merchant:08d}","amount":{amount}}}'
            )


def draw_payments(n_rows: int, n_keys: int, *, span_ms: int = DAY_MS, seed: int = 0, start_ms: int = START_MS) -> Payments:
    """n payments over `span_ms` from `start_ms` on, each entity with `n_keys` keys.

    >>> len(draw_payments(10, 5))
    10
    """
    rng = np.random.default_rng(seed)
    share = _shares(n_keys)
    keys = {entity: np.searchsorted(share, rng.random(n_rows)).astype(np.int64) for entity in _ENTITIES}
    paid_at_ms = start_ms + np.sort(rng.integers(0, span_ms, n_rows))
    return Payments(paid_at_ms, keys, np.round(rng.lognormal(3.0, 1.0, n_rows), 2))


@lru_cache(maxsize=4)
def _shares(n_keys: int) -> npt.NDArray[np.float64]:
    """(n_keys,) the share of all payments that the busiest keys make together, rising to 1."""
    share = np.cumsum(1.0 / np.arange(1, n_keys + 1) ** _ZIPF)
    shares: npt.NDArray[np.float64] = share / share[-1]
    return shares
