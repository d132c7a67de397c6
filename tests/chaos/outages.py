"""Servers and runs that go in the middle of a retrain: what was asked for ends once, by itself, and one champion is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.loop_system import NAME, LoopSystem
from tests.chaos.results import Result
from tests.chaos.system import StuckError
from tests.chaos.verdict import Verdict
from tidemill.registry import CHAMPION
from tidemill.stores import Decision

AWAY_S = 300.0

Outage = Callable[[LoopSystem, float], list[Decision]]


def _away(*names: str) -> Outage:
    def outage(system: LoopSystem, away_s: float) -> list[Decision]:
        system.kill(*names)
        system.let_go()
        asked = system.ask("asked for meanwhile")
        time.sleep(away_s)
        system.start(*names)
        return [asked]

    return outage


def _kill_runs(system: LoopSystem, away_s: float) -> list[Decision]:
    """kill -9 of the run; another follows it."""
    system.kill_runs()
    system.let_go()
    return []


def _kill_flows(system: LoopSystem, away_s: float) -> list[Decision]:
    """kill -9 of the run and of who has started it."""
    system.kill_flows()
    system.let_go()
    return []


OUTAGES: dict[str, Outage] = {
    "MLflow away in mid-retrain": _away("mlflow"),
    "Prefect away in mid-retrain": _away("prefect"),
    "MLflow and Prefect away in mid-retrain": _away("mlflow", "prefect"),
    "kill -9 run in mid-retrain": _kill_runs,
    "kill -9 flows in mid-retrain": _kill_flows,
}


def run_outages(folder: Path, names: list[str], rounds: int, away_s: float = AWAY_S) -> Result:
    """So many rounds of these, one after the other.

    Args:
        folder: empty.
        names: of `OUTAGES`.
        rounds: how many.
        away_s: how long a server is away.
    """
    begin_s, stuck, n_decisions = time.monotonic(), "", 0
    wrong: list[str] = []
    recovered: dict[str, list[float]] = {}
    system = LoopSystem(folder)
    try:
        for number in range(rounds):
            name = names[number % len(names)]
            print(f"loop, round {number + 1} of {rounds}: {name}", end="", file=sys.stderr, flush=True)
            before = system.registry.alias(NAME, CHAMPION)
            decisions = [system.begin_retrain()]
            decisions += OUTAGES[name](system, away_s)
            back_s = time.monotonic()
            ended = system.settled(*decisions)
            recovered.setdefault(name, []).append(time.monotonic() - back_s)
            print(f", all decided after {recovered[name][-1]:.1f} s", file=sys.stderr, flush=True)
            wrong += _wrong(system, before, ended)
            n_decisions += len(ended)
    except (RuntimeError, StuckError) as error:
        stuck = f"{type(error).__name__}: {error}"
    finally:
        system.close()
    return Result("loop", 0, time.monotonic() - begin_s, recovered, Verdict({}, tuple(wrong), n_decisions, stuck))


def _wrong(system: LoopSystem, before: int | None, ended: list[Decision]) -> list[str]:
    """What is not as it should be: at most one of them promotes, it is the champion, and no other changes anything."""
    promoted = [int(one.to_version or 0) for one in ended if one.outcome == "promoted"]
    others = [one for one in ended if one.outcome not in ("promoted", "rejected", "merged")]
    found = [f"{one.id} ended {one.outcome}: {one.outcome_reason}" for one in others]
    champion = system.registry.alias(NAME, CHAMPION)
    as_it_should_be = len(promoted) < 2 and champion == (promoted[0] if promoted else before)
    return found if as_it_should_be else [*found, f"version {champion} is the champion, promoted were {promoted}"]
