"""A short form of `make chaos`: the system goes on by itself after each fault, and nothing is lost, counted twice or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.faults import FAULTS

SHORT = ["kill -9 both", "connections half open"]


@pytest.mark.timeout(900)
def test_nothing_is_lost_counted_twice_or_changed_by_faults(tmp_path: Path) -> None:
    assert set(SHORT) <= set(FAULTS)
    recovered, verdict = run(tmp_path, rounds=len(SHORT), seed=3, names=SHORT)
    assert verdict.is_good, verdict.text
    assert {name: len(took_s) for name, took_s in recovered.items()} == dict.fromkeys(SHORT, 1)
    assert min(verdict.sent.values()) > 10, "events came in meanwhile"
