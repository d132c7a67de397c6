"""`make bench NAME=loop`: what each way to keep a model fresh is worth on streams whose world changes and whose outcomes come late.

Test, then train: every row is answered by the model that serves when it is asked, and nobody learns an outcome before it is known.
Streams stand in `loop_streams.py`, ways in `loop_policies.py` and `loop_peers.py`, ours in `loop_ours.py`. The loop's goal is to be best,
or within half a point of accuracy of the best, at a fifth of the fits of fitting at fixed times. Every run is kept by its seed in
`benchmarks/.cache`, so that a bench that was stopped goes on. The flights, and how long it takes from an alarm to a new champion, are
read from a finished demo (`make demo ARGS="--exit"`, or TIDEMILL_HOME). `ARGS="--quick"` is one short run of the made streams without
river's learners: about three minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence

from rich.console import Console

from benchmarks.loop_peers import LEARNERS
from benchmarks.loop_policies import Played
from benchmarks.loop_runs import ADWIN, OURS, PERIODICALLY, POLICIES, Run, played
from benchmarks.loop_stages import Reaction, read_reaction
from benchmarks.report import Report, show
from tidemill.settings import Settings, read_settings
from tidemill.stores import Databases

STREAMS = ("agrawal", "sea", "employment", "flights")
SEEDED = ("agrawal", "sea")
NEAR = 0.005  # half a point of accuracy
FITS_SHARE = 0.2
Found = dict[tuple[str, str], list[Played]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; answers the exit code."""
    options, settings, console = _options(arguments), read_settings(), Console(stderr=True)
    notes = []
    if "flights" in options.streams and not Databases(settings.home, settings.database_url).exists("serving"):
        options.streams = [name for name in options.streams if name != "flights"]
        notes.append(f'no flights: no finished demo in {settings.home}; run `make demo ARGS="--exit"` first, or set TIDEMILL_HOME')
    runs = [
        Run(stream, seed, policy, options.quick)
        for policy in _by_cost(options.policies)
        for stream in options.streams
        for seed in range(options.seed, options.seed + (options.seeds if stream in SEEDED else 1))
    ]
    found: Found = defaultdict(list)
    for place, (run, came) in enumerate(played(runs, settings, options.workers), start=1):
        console.print(f"{place} of {len(runs)}: {run.stream} {run.seed}, {run.policy}", highlight=False)
        if isinstance(came, str):
            notes.append(f"{run.policy} on {run.stream}, seed {run.seed}, could not be played: {came[:300]}")
        else:
            found[run.stream, run.policy].append(came)
            if options.story:
                console.print(*came.story, sep="\n", highlight=False)
    report(found, options.streams, None if options.quick else _reaction(settings, notes), notes)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench NAME=loop", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of the made streams without river's learners: three minutes")
    parser.add_argument("--streams", nargs="+", choices=STREAMS, default=list(STREAMS), help="which streams (default all)")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES), help="which ways (default all)")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each made stream (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; other ones have other concepts (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes, one core each (default 2)")
    parser.add_argument("--story", action="store_true", help="tell of every alarm, refusal, promotion and rejection")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.streams = 1, list(SEEDED)
        options.policies = [name for name in options.policies if name not in (*LEARNERS, ADWIN)]
    return options


def _by_cost(policies: Sequence[str]) -> list[str]:
    """The cheap ones first: a bench that is stopped has them all."""
    return sorted(policies, key=(OURS, *(name for name in POLICIES if name not in (OURS, *LEARNERS)), "river HAT", "river ARF").index)


def _reaction(settings: Settings, notes: list[str]) -> Reaction | None:
    found = read_reaction(settings)
    if found is None:
        notes.append(f"no times from alarm to champion: no finished demo in {settings.home} with an alarm that brought one")
    return found


def report(found: Found, streams: Sequence[str], reaction: Reaction | None, notes: Sequence[str]) -> None:
    """Print table and JSON."""
    rows = [_row(found, stream, policy) for stream in streams for policy in POLICIES if found.get((stream, policy))]
    told = [
        "accuracy and log loss: means over the seeds, in brackets the lowest and highest; no answer counts as surer than 0.999",
        "fits: every one, that of the first model, rejected ones and the last fit of a winner too; river's learners learn each label",
        *(_verdict(found, stream) for stream in streams if found.get((stream, OURS))),
        *_reaction_lines(reaction),
        *notes,
    ]
    figures: dict[str, object] = {f"{stream}: {policy}": _figures(runs) for (stream, policy), runs in sorted(found.items())}
    if reaction is not None:
        stages = {stage.name: {"median_s": stage.median_s, "p90_s": stage.p90_s} for stage in reaction.stages}
        figures["alarm_to_champion"] = {"decisions": reaction.decisions, "stages": stages}
    ratios = {stream: _ratios(found, stream) for stream in streams if found.get((stream, OURS))}
    made = Report("loop", ("tidemill", "numpy", "scikit-learn"), figures, ratios, {"river": "0.26.1", "nannyml": "0.13.1"})
    show(made, ["stream, way", "seeds", "accuracy", "log loss", "fits", "promoted", "rejected", "refused"], rows, told)


def _row(found: Found, stream: str, policy: str) -> list[str]:
    runs = found[stream, policy]
    fits = "each label" if policy in LEARNERS else _mean([run.fits for run in runs])
    ours = [_mean([run.counts.get(name, 0) for run in runs]) if policy == OURS else "" for name in ("promoted", "rejected", "refused")]
    accuracy, loss = ([getattr(run, name) for run in runs] for name in ("accuracy", "log_loss"))
    return [f"{stream}, {policy}", str(len(runs)), _spread(accuracy), _spread(loss), fits, *ours]


def _mean(values: Sequence[int]) -> str:
    return f"{statistics.mean(values):.1f}".removesuffix(".0")


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f}-{max(values):.3f})"


def _figures(runs: Sequence[Played]) -> Mapping[str, object]:
    return {
        "rows": runs[0].rows,
        "accuracy": [run.accuracy for run in runs],
        "log_loss": [run.log_loss for run in runs],
        "fits": [run.fits for run in runs],
        "counts": [run.counts for run in runs],
    }


def _ratios(found: Found, stream: str) -> Mapping[str, object]:
    """How far ours is from the best in accuracy, and its fits as a share of periodic's; only over what was played on as many seeds."""
    mine = found[stream, OURS]
    rivals = {policy: runs for (name, policy), runs in found.items() if name == stream and len(runs) == len(mine) and policy != OURS}
    accuracy = statistics.mean(run.accuracy for run in mine)
    best = max((statistics.mean(run.accuracy for run in runs) for runs in rivals.values()), default=accuracy)
    told: dict[str, object] = {"behind_best": round(max(0.0, best - accuracy), 5), "near_best": accuracy >= best - NEAR}
    if PERIODICALLY in rivals:
        share = sum(run.fits for run in mine) / sum(run.fits for run in rivals[PERIODICALLY])
        told |= {"fits_share": round(share, 4), "few_fits": share <= FITS_SHARE}
    return told


def _verdict(found: Found, stream: str) -> str:
    told = _ratios(found, stream)
    share = f", at {told['fits_share']:.0%} of the fits of fitting at fixed times" if "fits_share" in told else ""
    behind = float(str(told["behind_best"]))
    return f"{stream}: ours is " + (f"{behind * 100:.2f} points of accuracy behind the best" if behind else "the best") + share


def _reaction_lines(reaction: Reaction | None) -> list[str]:
    if reaction is None:
        return []
    stages = ", ".join(f"{stage.name} {stage.median_s:.1f} ({stage.p90_s:.1f})" for stage in reaction.stages)
    return [f"seconds from alarm to new champion in {reaction.decisions} decisions of the demo, median (p90): {stages}"]


if __name__ == "__main__":
    sys.exit(main())
