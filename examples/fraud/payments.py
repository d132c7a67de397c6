"""Made-up card payments, of which thieves make some, and a day from which thieves do something else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from examples.made_up import BEGIN_MS, Happened, as_recording
from tidemill import Asked, Recording
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS

A_DAY = 200
CARDS = 150
CHANGED_FROM = 45  # the day
ASKED_AFTER_MS = 1_000
_THEFTS = 0.012  # of payments, where one begins
_MERCHANTS = tuple(f"m{number}" for number in range(40))
_COUNTRIES = ("at", "de", "fr", "it")


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment, and whether a thief made it."""

    at_ms: int
    card: str
    merchant: str
    country: str
    amount: float
    is_fraud: bool


def history(days: int, drift_from: int | None = None) -> Recording:
    """Payments, the reports of those that were fraud, and the question about each, one second after it.

    Args:
        days: how many, from 1 January 2025.
        drift_from: the day from which thieves try many small payments at all merchants, where they made few and large ones at some.
    """
    happened, asked = list[Happened](), list[Asked]()
    rng = random.Random(1)  # of the reports, so that they do not change what is paid
    for number, payment in enumerate(payments(days, CHANGED_FROM if drift_from is None else drift_from)):
        payment_id = f"p{number}"
        said: dict[str, object] = {"card": payment.card, "merchant": payment.merchant}
        paid = {"payment_id": payment_id, **said, "country": payment.country, "amount": payment.amount}
        happened.append(Happened("payments", payment.at_ms, "paid_at", paid))
        asked.append(Asked(payment.at_ms + ASKED_AFTER_MS, "fraud", paid))
        if payment.is_fraud:
            reported_ms = payment.at_ms + int(rng.uniform(0.3, 4.5) * DAY_MS)
            happened.append(Happened("reports", reported_ms, "reported_at", {"payment_id": payment_id, **said, "amount": payment.amount}))
    return as_recording(happened, asked, days)


def payments(days: int, drift_from: int) -> Iterator[Payment]:
    """The payments of some days, in the order of time."""
    rng = random.Random(0)
    usual = {f"c{number}": rng.lognormvariate(3.2, 0.6) for number in range(CARDS)}
    homes = {card: rng.choice(_COUNTRIES) for card in usual}
    cards, made = list(usual), list[Payment]()
    for number in range(days * A_DAY):
        at_ms = BEGIN_MS + number * DAY_MS // A_DAY + rng.randrange(MINUTE_MS)
        card = rng.choice(cards)
        made.append(Payment(at_ms, card, rng.choice(_MERCHANTS), homes[card], _cents(usual[card] * rng.lognormvariate(0, 0.4)), False))
        if rng.random() < _THEFTS:
            made += _theft(at_ms + rng.randrange(HOUR_MS), card, usual[card], (at_ms - BEGIN_MS) // DAY_MS >= drift_from, rng)
    yield from sorted(made, key=lambda payment: payment.at_ms)


def _theft(at_ms: int, card: str, usual: float, is_changed: bool, rng: random.Random) -> Iterator[Payment]:
    """A few large payments at eight merchants, or since the change some more that are small, anywhere."""
    for _ in range(rng.randint(4, 7) if is_changed else rng.randint(2, 4)):
        at_ms += rng.randrange(MINUTE_MS, 20 * MINUTE_MS)
        merchant = rng.choice(_MERCHANTS if is_changed else _MERCHANTS[:8])
        amount = _cents(usual * (rng.uniform(0.05, 0.4) if is_changed else rng.uniform(2.5, 6.0)))
        yield Payment(at_ms, card, merchant, rng.choice(_COUNTRIES), amount, True)


def _cents(amount: float) -> float:
    return max(round(amount, 2), 0.5)
