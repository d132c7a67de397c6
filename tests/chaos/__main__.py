"""`make chaos`: faults at random, how the system came back from each, and whether anything was lost or counted twice."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.faults import FAULTS
from tests.chaos.system import PATIENCE_S, System, sending
from tests.chaos.verdict import Verdict, judge


def run(folder: Path, rounds: int, seed: int, names: list[str] | None = None) -> tuple[dict[str, list[float]], Verdict]:
    """Disturb the system so many times; answers, by fault, the seconds until it went on, and what is left in the end.

    Raises:
        RuntimeError: it does not go on by itself within four minutes; the faults so far and the end of its log are told.
    """
    rng, system = random.Random(seed), System(folder)
    chosen = names or list(FAULTS)
    recovered: dict[str, list[float]] = {name: [] for name in chosen}
    try:
        with sending(system):
            _until_both_go_on(system)
            for number in range(rounds):
                name = chosen[number % len(chosen)] if number < len(chosen) else rng.choice(chosen)
                print(f"round {number + 1} of {rounds}: {name}", end="", file=sys.stderr, flush=True)
                FAULTS[name](system, rng)
                recovered[name].append(_until_both_go_on(system))
                print(f", went on after {recovered[name][-1]:.1f} s", file=sys.stderr, flush=True)
        return recovered, judge(system, folder)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{(folder / 'system.log').read_text(errors='replace')[-3_000:]}") from error
    finally:
        system.close()


def _until_both_go_on(system: System) -> float:
    """Wait until events of both streams are applied that were sent after this moment; answers the seconds."""
    begin_s, sent = time.monotonic(), {name: len(events) for name, events in system.sent.items()}
    while any(system.applied(name) <= before for name, before in sent.items()):
        system.revive()
        if time.monotonic() - begin_s > PATIENCE_S:
            applied = {name: system.applied(name) for name in sent}
            raise RuntimeError(f"it does not go on: sent {sent}, applied {applied}; connections {system.proxy.manner}")
        time.sleep(0.02)
    return time.monotonic() - begin_s


def main() -> int:
    """Run the rounds; answers 1 when anything was lost or counted twice."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many faults, the first ones each once")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, help="only these")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
        recovered, verdict = run(Path(folder), options.rounds, options.seed, options.faults)
    table = Table("fault", "rounds", "went on after, median s", "most s", box=None)
    for name, took_s in recovered.items():
        if took_s:
            table.add_row(name, str(len(took_s)), f"{sorted(took_s)[len(took_s) // 2]:.1f}", f"{max(took_s):.1f}")
    Console().print(table)
    print(verdict.text)
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
