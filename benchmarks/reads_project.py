"""The project of `bench_reads`: the three views of the payments, and two more by pairs of keys. `tidemill serve` can load it."""

from __future__ import annotations

from benchmarks.cards import payments
from benchmarks.cards import project as cards
from tidemill import Project, View

_PAIRS = [
    View(f"by_{'_'.join(pair)}", payments, entity=pair, features=cards.views[0].features)
    for pair in (("card", "merchant"), ("device", "merchant"))
]
project = Project("cards", streams=cards.streams, views=[*cards.views, *_PAIRS])
