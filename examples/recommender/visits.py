"""Made-up visits to a shop's page: what was shown, and what was clicked. Visitors have tastes, items go in and out of fashion."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from examples.made_up import BEGIN_MS, Happened, as_recording
from tidemill import Asked, Recording
from tidemill.clock import DAY_MS, MINUTE_MS, SECOND_MS

VISITS_A_DAY = 80
SHOWN = 5  # items a visit
VISITORS, ITEMS = 60, 60
CATEGORIES = ("books", "games", "garden", "music", "shoes", "tools")
CHANGED_FROM = 25  # the day
ASKED_AFTER_MS = SECOND_MS
LEAST_DWELL_S = 5.0  # who leaves sooner did not mean it


@dataclass(frozen=True, slots=True)
class Shown:
    """An item shown to a visitor at a place of the page, and for how many seconds they stayed if they clicked; None if not."""

    at_ms: int
    visitor: str
    item: str
    category: str
    place: int
    dwell_s: float | None


def history(days: int, drift_from: int | None = None) -> Recording:
    """What was shown, what was clicked, and the question about each item, a second after its showing was told.

    Args:
        days: how many, from 1 January 2025.
        drift_from: the day from which visitors like another category, and other items are in fashion.
    """
    happened, asked = list[Happened](), list[Asked]()
    rng = random.Random(1)  # of the time until a click
    for number, shown in enumerate(visits(days, CHANGED_FROM if drift_from is None else drift_from)):
        said: dict[str, object] = {"shown_id": f"s{number}", "visitor": shown.visitor, "item": shown.item, "category": shown.category}
        happened.append(Happened("shown", shown.at_ms, "shown_at", {**said, "place": shown.place}))
        asked.append(Asked(shown.at_ms + ASKED_AFTER_MS, "click", {**said, "place": shown.place}))
        if shown.dwell_s is not None:
            clicked_ms = shown.at_ms + rng.randrange(2 * ASKED_AFTER_MS, 5 * MINUTE_MS)
            happened.append(Happened("clicks", clicked_ms, "clicked_at", {**said, "dwell_s": shown.dwell_s}))
    return as_recording(happened, asked, days)


def visits(days: int, drift_from: int) -> Iterator[Shown]:
    """Every item of every visit, in the order of time."""
    rng = random.Random(0)
    items = {f"i{number}": (CATEGORIES[number % len(CATEGORIES)], rng.gauss(0, 1.0)) for number in range(ITEMS)}
    liked = {f"v{number}": rng.choice(CATEGORIES) for number in range(VISITORS)}
    is_changed = False
    for visit in range(days * VISITS_A_DAY):
        at_ms = BEGIN_MS + visit * DAY_MS // VISITS_A_DAY + rng.randrange(10 * MINUTE_MS)
        if not is_changed and visit >= drift_from * VISITS_A_DAY:
            is_changed = True
            liked = {visitor: CATEGORIES[(CATEGORIES.index(category) + 1) % len(CATEGORIES)] for visitor, category in liked.items()}
            items = {item: (category, -fashion) for item, (category, fashion) in items.items()}
        visitor = rng.choice(list(liked))
        for place, item in enumerate(rng.sample(list(items), SHOWN)):
            category, fashion = items[item]
            wanted = -3.0 + (2.4 if liked[visitor] == category else 0.0) + 0.9 * fashion - 0.25 * place
            is_clicked = rng.random() < 1 / (1 + 2.718281828 ** (-wanted))
            dwell_s = round(rng.expovariate(1 / 40), 1) if is_clicked else None
            yield Shown(at_ms + place, visitor, item, category, place, dwell_s)
