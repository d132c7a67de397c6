"""`make chaos`: faults at random, how the system came back from each, and whether anything was lost or counted twice."""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.faults import FAULTS
from tests.chaos.senders import sending
from tests.chaos.system import PATIENCE_S, Profile, System
from tests.chaos.verdict import Verdict, judge


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Args:
        profile: of the system.
        names: of the faults, each once before any comes again.
        rounds: how many faults.
        seed: of their order and moments.
        at_most_s: after so long no fault begins.
    """

    profile: Profile
    names: Sequence[str]
    rounds: int
    seed: int
    at_most_s: float = math.inf


def run(folder: Path, plan: Plan) -> tuple[dict[str, list[float]], Verdict]:
    """Disturb the system; answers, by fault, the seconds until it went on, and what is left in the end.

    Raises:
        RuntimeError: it does not go on by itself within a quarter of an hour; the faults so far and the end of its log are told.
    """
    begin_s, rng, system = time.monotonic(), random.Random(plan.seed), System(folder, plan.profile)
    recovered: dict[str, list[float]] = {name: [] for name in plan.names}
    try:
        with sending(system):
            _until_both_go_on(system)
            for number in range(plan.rounds):
                if time.monotonic() - begin_s > plan.at_most_s:
                    break
                name = plan.names[number] if number < len(plan.names) else rng.choice(plan.names)
                print(f"{plan.profile}, round {number + 1} of {plan.rounds}: {name}", end="", file=sys.stderr, flush=True)
                FAULTS[plan.profile][name](system, rng)
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
    parser.add_argument("--minutes", type=float, default=math.inf, help="of each profile, after which no fault begins")
    options = parser.parse_args()
    good = True
    for profile in [options.profile] if options.profile else FAULTS:
        names = [name for name in FAULTS[profile] if name in (options.faults or FAULTS[profile])]
        with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
            begin_s = time.monotonic()
            recovered, verdict = run(Path(folder), Plan(profile, names, options.rounds, options.seed, options.minutes * 60))
        _tell(f"{profile} profile, {sum(map(len, recovered.values()))} rounds in {time.monotonic() - begin_s:.0f} s", recovered, verdict)
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
