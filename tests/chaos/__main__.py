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
from tests.chaos.senders import sending
from tests.chaos.system import PATIENCE_S, Profile, System
from tests.chaos.verdict import Verdict, judge


def run(
    folder: Path, rounds: int, seed: int, names: list[str] | None = None, profile: Profile = "embedded"
) -> tuple[dict[str, list[float]], Verdict]:
    """Disturb the system so many times; answers, by fault, the seconds until it went on, and what is left in the end.

    Raises:
        RuntimeError: it does not go on by itself within a quarter of an hour; the faults so far and the end of its log are told.
    """
    rng, system = random.Random(seed), System(folder, profile)
    chosen = names or list(FAULTS[profile])
    recovered: dict[str, list[float]] = {name: [] for name in chosen}
    try:
        with sending(system):
            _until_both_go_on(system)
            for number in range(rounds):
                name = chosen[number % len(chosen)] if number < len(chosen) else rng.choice(chosen)
                print(f"{profile}, round {number + 1} of {rounds}: {name}", end="", file=sys.stderr, flush=True)
                FAULTS[profile][name](system, rng)
                recovered[name].append(_until_both_go_on(system))
                print(f", went on after {recovered[name][-1]:.1f} s", file=sys.stderr, flush=True)
        return recovered, judge(system, folder)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{(folder / 'system.log').read_text(errors='replace')[-3_000:]}") from error
    finally:
        system.close()


def _until_both_go_on(system: System) -> float:
    """Wait until events of both streams are applied that were sent after this moment; answers the seconds."""
    begin_s, wanted = time.monotonic(), {name: len(events) + 1 for name, events in system.sent.items()}
    while not system.has_applied(wanted):
        system.revive()
        if time.monotonic() - begin_s > PATIENCE_S:
            applied = {name: system.applied(name) for name in wanted}
            raise RuntimeError(f"it does not go on: wanted {wanted}, applied {applied}; {system.manners()}")
        time.sleep(0.02)
    return time.monotonic() - begin_s


def main() -> int:
    """Run the rounds; answers 1 when anything was lost or counted twice."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--profile", choices=FAULTS, help="only this one; else both, one after the other")
    parser.add_argument("--rounds", type=int, default=60, help="how many faults a profile, the first ones each once")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments")
    parser.add_argument("--faults", nargs="+", choices=FAULTS["server"], help="only these")
    options = parser.parse_args()
    good = True
    for profile in [options.profile] if options.profile else FAULTS:
        names = [name for name in FAULTS[profile] if name in (options.faults or FAULTS[profile])]
        with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
            begin_s = time.monotonic()
            recovered, verdict = run(Path(folder), options.rounds, options.seed, names, profile)
        _tell(f"{profile} profile, {options.rounds} rounds in {time.monotonic() - begin_s:.0f} s", recovered, verdict)
        good = good and verdict.is_good
    return 0 if good else 1


def _tell(title: str, recovered: dict[str, list[float]], verdict: Verdict) -> None:
    table = Table("fault", "rounds", "went on after, median s", "most s", title=title, title_justify="left", box=None)
    for name, took_s in recovered.items():
        if took_s:
            table.add_row(name, str(len(took_s)), f"{sorted(took_s)[len(took_s) // 2]:.1f}", f"{max(took_s):.1f}")
    Console().print(table)
    print(verdict.text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
