"""Made-up machines: they wear, shake and heat, and fail; a technician writes it down days later. One day they get other sensors."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from examples.made_up import BEGIN_MS, Happened, as_recording
from tidemill import Asked, Recording
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS

MACHINES = 12
CHANGED_FROM = 50  # the day
CHECK_HOURS = 4
AHEAD_MS = DAY_MS  # of a check, what is to be foreseen


@dataclass(frozen=True, slots=True)
class Hour:
    """One machine's hour: what its sensors read, and the moment of its failure if it fails in it."""

    at_ms: int
    machine: str
    load: float
    celsius: float
    vibration: float
    failed_ms: int | None


def history(days: int, drift_from: int | None = None) -> Recording:
    """Readings each hour, a check of each machine every four hours, and for checks that a failure followed the entry about it.

    Args:
        days: how many, from 1 January 2025.
        drift_from: the day on which vibration sensors are replaced by ones that show 40 % less, and a new oil keeps the heat away.
    """
    changed_ms = BEGIN_MS + (CHANGED_FROM if drift_from is None else drift_from) * DAY_MS
    happened, asked = list[Happened](), list[Asked]()
    rng = random.Random(1)  # of the entries, so that they do not change what the machines do
    for name in (f"press{number}" for number in range(MACHINES)):
        hours = list(run(name, days, changed_ms))
        failures = [hour.failed_ms for hour in hours if hour.failed_ms is not None]
        for place, hour in enumerate(hours):
            sensed = {"reading_id": f"{name}-{place}", "machine": name, "load": hour.load}
            happened.append(Happened("readings", hour.at_ms, "read_at", {**sensed, "celsius": hour.celsius, "vibration": hour.vibration}))
            if place % CHECK_HOURS:
                continue
            check: dict[str, object] = {"check_id": f"{name}-c{place}", "machine": name}
            checked_ms = hour.at_ms + MINUTE_MS
            happened.append(Happened("checks", checked_ms, "checked_at", check))
            asked.append(Asked(checked_ms, "fails", check))
            soon = next((failed_ms for failed_ms in failures if checked_ms < failed_ms <= checked_ms + AHEAD_MS), None)
            if soon is not None:
                entered_ms = soon + int(rng.uniform(0.1, 1.9) * DAY_MS)
                hours_ahead = round((soon - checked_ms) / HOUR_MS, 1)
                happened.append(Happened("failures", entered_ms, "entered_at", {**check, "hours_ahead": hours_ahead}))
    return as_recording(happened, asked, days)


def run(machine: str, days: int, changed_ms: int) -> Iterator[Hour]:
    """The hours of a machine: wear grows by its load, and with it the chance to fail; then it is repaired and begins anew."""
    rng = random.Random(machine)
    shake, wear = rng.uniform(1.5, 2.5), rng.random() * 0.8
    for place in range(days * 24):
        at_ms = BEGIN_MS + place * HOUR_MS + rng.randrange(10 * MINUTE_MS)
        load = rng.uniform(0.3, 0.6) + (0.3 if 6 <= place % 24 < 20 else 0.0)
        wear += load * rng.uniform(0.006, 0.018)
        failed = wear > 0.75 and rng.random() < (wear - 0.75) * 0.3
        is_new = at_ms >= changed_ms
        vibration = (shake + 5 * wear**4 + rng.gauss(0, 0.25)) * (0.6 if is_new else 1.0)
        celsius = 35 + 20 * load + (0 if is_new else 15 * wear**3) + rng.gauss(0, 2)
        failed_ms = at_ms + rng.randrange(20 * MINUTE_MS, 40 * MINUTE_MS) if failed else None
        yield Hour(at_ms, machine, round(load, 3), round(celsius, 2), round(vibration, 3), failed_ms)
        wear = 0.0 if failed else wear
