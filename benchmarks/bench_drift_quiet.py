"""`make bench NAME=drift_quiet`: how often the checks that `NAME=drift` does not run alarm for nothing, on fresh streams without drift.

- the number of rows, of arrivals that are independent and of ones whose hours share their luck, both with quiet nights and weekends;
- the weekly classifier, each reference asked about several weeks;
- windows, bets and checks after a reference of fewer than ten cycles, whose thresholds are provisional.

Each is held to its share of the budget of 1/30d. `ARGS="--quick"` is a small one; `--only` names one of `rows`, `weeks`, `provisional`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.bench_drift import most_allowed
from benchmarks.drift_runs import BUDGET
from benchmarks.drift_streams import CYCLE_MS, CYCLE_ROWS, PERIOD_ROWS, REFERENCE_ROWS, ROW_MS, Regime, Rows, make_rows
from benchmarks.report import Report, show
from monitoring.domain import WINDOW_ROWS, ordinary_auc, tell_apart
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import DOMAIN_SHARE, ROWS, SAMPLE_ROWS, Checks, FeatureDrift, ReferenceProfile, profile_reference
from tidemill.drift.budget import CHECKS_SHARE
from tidemill.learning import Budget, evenly

PERIOD_MS = 30 * DAY_MS
CYCLES = REFERENCE_ROWS // CYCLE_ROWS
SEEDS = 3_000_000  # of their own, so that nothing was ever chosen on them
Times = npt.NDArray[np.int64]
Counted = Iterator[tuple[str, int, float]]  # what, false alarms of one run, and how many the budget expects in it


def rows_alone(n_runs: int) -> Counted:
    """The number of rows: ten cycles to learn from, one to be scaled by, then 30 days."""
    share = BUDGET.part(CHECKS_SHARE)
    for luck in (0.0, 0.1):
        what = f"number of rows, hours {'independent' if not luck else f'share a luck of {luck:.0%}'}"
        for seed in range(n_runs):
            yield what, _of_rows(arrivals(SEEDS + seed, luck), share), share.within(PERIOD_MS)


def arrivals(seed: int, luck: float) -> Times:
    """Times of about 5,000 rows a week, with quiet nights and weekends; hours may have a luck of their own, that lasts for some."""
    from scipy.signal import lfilter  # type: ignore[import-untyped]  # scipy ships no types

    rng = np.random.default_rng(seed)
    hours = np.arange((CYCLES + 1) * CYCLE_MS // HOUR_MS + PERIOD_MS // HOUR_MS)
    rate = (1.0 + 0.7 * np.sin(2.0 * np.pi * hours / 24.0)) * np.where(hours // 24 % 7 >= 5, 0.6, 1.0)
    rate *= CYCLE_ROWS / rate[: CYCLE_MS // HOUR_MS].sum()
    lasting = lfilter([np.sqrt(1.0 - 0.8**2)], [1.0, -0.8], rng.normal(size=hours.size))
    counts = rng.poisson(rate * np.exp(luck * lasting - luck**2 / 2.0))
    return np.sort(np.repeat(hours, counts) * HOUR_MS + rng.integers(0, HOUR_MS, counts.sum()))


def _of_rows(at_ms: Times, share: Budget) -> int:
    cut = int(np.searchsorted(at_ms, CYCLES * CYCLE_MS))
    nothing = np.zeros(len(at_ms))
    checks = Checks(profile_reference({"x": nothing[:cut]}, nothing[:cut], at_ms[:cut]), share)
    return sum(warning.column == ROWS for warning in checks.update({"x": nothing[cut:]}, at_ms[cut:]))


def weeks_told_apart(n_references: int, n_weeks: int, regime: Regime) -> Counted:
    """The weekly classifier: a threshold from each reference, then fresh weeks."""
    every = BUDGET, CYCLE_MS
    for seed in range(n_references):
        reference = make_rows(regime, REFERENCE_ROWS, SEEDS + seed)
        profile = profile_reference(reference.columns, reference.scores, reference.at_ms)
        chosen = np.sort(np.random.default_rng(seed).choice(REFERENCE_ROWS, SAMPLE_ROWS, replace=False))
        sample = pd.DataFrame({name: values[chosen] for name, values in reference.columns.items()})
        threshold = ordinary_auc(profile, sample, reference.at_ms[chosen], every)
        live = make_rows(regime, n_weeks * CYCLE_ROWS, SEEDS + 100_000 + seed, first_row=REFERENCE_ROWS)
        for week in range(n_weeks):
            rows = pd.DataFrame(live.part(week * CYCLE_ROWS, (week + 1) * CYCLE_ROWS).columns).iloc[evenly(CYCLE_ROWS, WINDOW_ROWS)]
            check = tell_apart(profile, sample, rows, threshold)
            told = check is not None and check.told_apart
            yield f"weekly classifier, {regime}", int(told), BUDGET.part(DOMAIN_SHARE).within(CYCLE_MS)


def provisional(n_runs: int, regime: Regime, cycles: int) -> Counted:
    """Windows, bets and checks after a reference of few cycles, 30 days each."""
    for seed in range(n_runs):
        profile, live = _short(regime, cycles, SEEDS + 1_000 * cycles + seed)
        warnings = FeatureDrift(profile, BUDGET).update(live.columns, live.at_ms, live.scores)
        yield f"columns and score, {regime}, reference of {cycles} cycles", len(warnings), BUDGET.within(len(live.at_ms) * ROW_MS)


def _short(regime: Regime, cycles: int, seed: int) -> tuple[ReferenceProfile, Rows]:
    reference = make_rows(regime, cycles * CYCLE_ROWS, seed)
    live = make_rows(regime, PERIOD_ROWS, SEEDS + seed, first_row=cycles * CYCLE_ROWS + seed * 977 % CYCLE_ROWS)
    return profile_reference(reference.columns, reference.scores, reference.at_ms), live


def studies(quick: bool) -> dict[str, list[Callable[[], Counted]]]:
    """By name, what is counted; with `quick` a few runs of each."""
    regimes: tuple[Regime, ...] = ("iid", "cyclic")
    n_references, n_weeks = (1, 2) if quick else (20, 15)
    return {
        "rows": [partial(rows_alone, 20 if quick else 500)],
        "weeks": [partial(weeks_told_apart, n_references, n_weeks, regime) for regime in regimes],
        "provisional": [partial(provisional, 1 if quick else 40, regime, cycles) for regime in regimes for cycles in (2, 3, 5)],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few runs of each")
    parser.add_argument("--only", choices=tuple(studies(True)), help="one of them")
    options = parser.parse_args(arguments)
    counted: dict[str, tuple[int, int, float]] = {}
    for name, parts in studies(options.quick).items():
        for part in parts if options.only in (None, name) else ():
            for what, alarms, expected in part():
                runs, total, budget = counted.get(what, (0, 0, 0.0))
                counted[what] = runs + 1, total + alarms, budget + expected
            print(*(f"{what}: {figures}" for what, figures in counted.items()), sep="\n", file=sys.stderr)
    rows = [
        (what, f"{runs}", f"{total}", f"{budget:.1f}", f"{most_allowed(budget)}", "yes" if total <= most_allowed(budget) else "no")
        for what, (runs, total, budget) in counted.items()
    ]
    figures = {what: {"runs": runs, "alarms": total, "budget": budget} for what, (runs, total, budget) in counted.items()}
    kept = {what: total <= most_allowed(budget) for what, (_, total, budget) in counted.items()}
    show(
        Report("drift_quiet", ("tidemill", "numpy", "scikit-learn"), figures, {"keeps_budget": kept}),
        ("what, without drift", "runs", "false alarms", "budget expects", "at most in 95 %", "kept"),
        rows,
        ["a run is 30 days of stream time; of the weekly classifier one week"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
