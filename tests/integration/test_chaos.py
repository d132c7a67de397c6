"""A short form of `make chaos`: the system goes on by itself after each fault, and nothing is lost, counted twice or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import Plan, run
from tests.chaos.faults import FAULTS
from tests.chaos.outages import OUTAGES, run_outages
from tests.chaos.results import why_bad
from tests.chaos.system import Profile

SHORT: dict[Profile, list[str]] = {
    "embedded": ["kill -9 both", "connections to broker half open"],
    "server": ["kill -9 broker", "kill -9 database"],
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("profile", SHORT)
def test_nothing_is_lost_counted_twice_or_changed_by_faults(tmp_path: Path, profile: Profile) -> None:
    names = SHORT[profile]
    assert set(names) <= set(FAULTS[profile])
    found = run(tmp_path, Plan(profile, names, rounds=len(names), seed=3))
    assert found.verdict.is_good, why_bad(found.verdict)
    assert {name: len(took_s) for name, took_s in found.recovered.items()} == dict.fromkeys(names, 1)
    assert min(left.sent for left in found.verdict.streams.values()) > 10, "events came in meanwhile"


@pytest.mark.timeout(900)
def test_a_retrain_outlives_servers_that_go_in_its_middle(tmp_path: Path) -> None:
    name = "MLflow and Prefect away in mid-retrain"
    assert name in OUTAGES
    found = run_outages(tmp_path, [name], rounds=1, away_s=2.0)
    assert found.verdict.is_good, why_bad(found.verdict)
    assert (list(found.recovered), found.verdict.compared) == ([name], 2), "the one in hand and the one asked for meanwhile"
