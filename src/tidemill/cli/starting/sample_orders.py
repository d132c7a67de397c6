"""A CSV file for those who have none at hand: made-up orders of a shop, of which some are refunded, and a change of the world."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from tidemill.clock import DAY_MS, HOUR_MS, to_utc

DAYS = 40
CHANGED_FROM = 28  # the day from which another kind of order is refunded
A_DAY = 100
_COUNTRIES = ("at", "ch", "de", "fr")


def write_orders(file: Path, end_ms: int) -> None:
    """Write 40 days of orders that end at a time; the same ones for the same end.

    Most customers hardly ever return what they bought, one in four often does, and dear orders come back more often. From the 29th day on
    cheap orders do: a model of the days before is wrong about them.

    Args:
        file: where to.
        end_ms: the end of the last day, ms since 1970.
    """
    rng = random.Random(0)
    with file.open("w", encoding="utf-8", newline="") as text:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("order_id", "ordered_at", "customer", "country", "amount", "refunded"))
        for number in range(DAYS * A_DAY):
            day, place = divmod(number, A_DAY)
            at_ms = end_ms - (DAYS - day) * DAY_MS + place * DAY_MS // A_DAY + rng.randrange(HOUR_MS // 6)
            customer = rng.randrange(150)
            amount = min(round(rng.expovariate(1 / 60), 2) + 1, 400)
            dear = amount > 60
            often = 0.65 if (dear if day < CHANGED_FROM else not dear) else 0.06
            refunded = rng.random() < often + (0.2 if customer % 4 == 0 else 0.0)
            at = to_utc(at_ms).isoformat(timespec="seconds")
            lines.writerow((f"o{number + 1}", at, f"c{customer}", rng.choice(_COUNTRIES), amount, str(refunded).lower()))
