"""A CSV file for those who have none at hand: made-up orders of a shop, of which some are refunded, and a change of the world."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from tidemill.clock import DAY_MS, HOUR_MS, to_utc

DAYS = 40
CHANGED_FROM = 28  # the day from which other orders are refunded
A_DAY = 100
_COUNTRIES = ("at", "ch", "de", "fr")


def write_orders(file: Path, end_ms: int) -> None:
    """Write 40 days of orders that end at a time; the same ones for the same end.

    Most customers hardly ever return what they bought, one in four more often, and dear orders come back mostly. From the 29th day on it is
    orders from France that do, and dear ones no more than others: a model of the days before is wrong about both.

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
            country = rng.choice(_COUNTRIES)
            is_suspect = amount > 60 if day < CHANGED_FROM else country == "fr"
            refunded = rng.random() < (0.7 if is_suspect else 0.05) + (0.15 if customer % 4 == 0 else 0.0)
            at = to_utc(at_ms).isoformat(timespec="seconds")
            lines.writerow((f"o{number + 1}", at, f"c{customer}", country, amount, str(refunded).lower()))
