"""Faults at random while events come in, and what is left in the end beside a run that nobody disturbed.

Two senders that never give up send card taps: one to Kafka, one over HTTP. Beside them the whole system runs, embedded and then on
servers (PostgreSQL and Kafka, started here), and one fault after another befalls it: kill -9 of engine, API server, broker or database, at
random and in the middle of a commit; restarts; a second engine; full disks; a process that stands still; clocks that jump; connections cut,
slowed or half open. After each the system must go on by itself. In the end books, lake and tiles must be those of the same events applied
in one go: nothing lost, nothing counted twice.

In the third profile, `loop`, MLflow, Prefect, the flows or a run go in the middle of a retrain, the servers for five minutes. Each decision
must then end by itself, once, and one champion be left.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.chaos.faults import FAULTS
from tests.chaos.outages import AWAY_S, OUTAGES, run_outages
from tests.chaos.results import Result, read_results, tell
from tests.chaos.senders import sending
from tests.chaos.system import Profile, System
from tests.chaos.verdict import Verdict, judge
from tidemill.clock import wall_ms

_EXAMPLES = """examples:
  make chaos                                                            60 rounds embedded, 60 on servers, 5 of the loop: two hours
  make chaos ARGS="--profile loop --away 20"                            the loop alone, its servers away for 20 s
  make chaos ARGS="--profile server --minutes 10"                       as many as begin within ten minutes
  make chaos ARGS='--faults "kill -9 broker" "disk full" --rounds 2'    these two, in either profile
  make chaos ARGS="--rounds 20 --seed 7 --into chaos.jsonl"             in parts: each adds its lines, the table adds them up

Answers 1 when anything was lost, counted twice or changed, or when the system did not go on; what it has left, logs included, is kept then.
A seed repeats the order of faults, not the moments. Needs what `make test` needs, and installs Debian's faketime when a clock is to jump.
"""


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


def run(folder: Path, plan: Plan) -> Result:
    """Disturb a system in an empty folder, end it, and look at what is left."""
    begin_s, first_ms, rng = time.monotonic(), wall_ms(), random.Random(plan.seed)
    recovered: dict[str, list[float]] = {}
    system = System(folder, plan.profile)
    try:
        with sending(system):
            system.goes_on()
            for number, name in enumerate(drawn(plan, rng), start=1):
                if time.monotonic() - begin_s > plan.at_most_s:
                    break
                print(f"{plan.profile}, round {number} of {plan.rounds}: {name}", end="", file=sys.stderr, flush=True)
                FAULTS[plan.profile][name](system, rng)
                recovered.setdefault(name, []).append(system.goes_on())
                print(f", went on after {recovered[name][-1]:.1f} s", file=sys.stderr, flush=True)
        verdict = judge(system, first_ms)
    except (RuntimeError, subprocess.TimeoutExpired) as error:  # it got stuck, or a server did not come up again
        verdict = Verdict({}, stuck=f"{type(error).__name__}: {error}")
    finally:
        system.close()
    return Result(plan.profile, plan.seed, time.monotonic() - begin_s, recovered, verdict)


def drawn(plan: Plan, rng: random.Random) -> Iterator[str]:
    """The faults of a plan, shuffled anew once all have been."""
    left: list[str] = []
    for _ in range(plan.rounds):
        left = left or rng.sample(plan.names, len(plan.names))
        yield left.pop()


def main() -> int:
    """Run the rounds; answers 1 when anything was lost, counted twice or changed."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", choices=[*FAULTS, "loop"], help="only this one; else all, one after the other")
    parser.add_argument("--rounds", type=int, help="how many faults a profile, each once before any comes again (60; of the loop 5)")
    parser.add_argument("--away", type=float, default=AWAY_S, help="how long a server is away in the loop, seconds (300)")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments (1)")
    every = [*FAULTS["server"], *OUTAGES]
    parser.add_argument("--faults", nargs="+", choices=every, metavar="FAULT", help=f"only these of: {'; '.join(every)}")
    parser.add_argument("--minutes", type=float, default=math.inf, help="of each profile, after which no fault begins")
    parser.add_argument("--into", type=Path, metavar="FILE", help="add what was found to this file, and tell of all that is in it")
    options = parser.parse_args()
    results = []
    chosen: list[Profile | Literal["loop"]] = [options.profile] if options.profile else [*FAULTS, "loop"]
    for profile in chosen:
        known = list(OUTAGES) if profile == "loop" else list(FAULTS[profile])
        names = [name for name in known if name in (options.faults or known)]
        if not names:
            continue
        folder = Path(tempfile.mkdtemp(prefix="tidemill-chaos-"))
        if profile == "loop":
            results.append(run_outages(folder, names, options.rounds or len(names), options.away))
        else:
            plan = Plan(profile, names, options.rounds or 60, options.seed, options.minutes * 60)
            results.append(run(folder, plan))
        if results[-1].verdict.is_good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"what it has left, with the log of its processes, is kept in {folder}", file=sys.stderr)
        if options.into:
            results[-1].add_to(options.into)
    if options.into:
        results = read_results(options.into)
    tell(results)
    return 0 if all(one.verdict.is_good for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
