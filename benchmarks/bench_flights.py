"""`make bench NAME=flights`: what each way to retrain would have been worth on the year that `make demo` has served.

Every policy starts from the same first model. `weekly` fits on all mature history each week without a gate and is the yardstick:
a policy's share is its log-loss gain over `frozen`, divided by weekly's. The whole year takes about 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.policies import Played, Policy, play
from benchmarks.report import Report, show
from tidemill.cli.reference import Year, fit_week_of, pool, read_year, week_of, year_of
from tidemill.clock import to_utc
from tidemill.errors import NotReadyError, TidemillError
from tidemill.learning import quality
from tidemill.project import Workspace, find_project, load_project
from tidemill.settings import Settings, read_settings
from tidemill.stores import Databases

POLICIES = (
    Policy("frozen"),
    Policy("error, gate", ("error",)),
    Policy("error", ("error",), gate=False),
    Policy("evidently, gate", ("evidently",)),
    Policy("evidently", ("evidently",), gate=False),
    Policy("both, gate", ("error", "evidently")),
    Policy("both", ("error", "evidently"), gate=False),
)
PACKAGES = ("tidemill", "scikit-learn", "numpy", "evidently")


def run(settings: Settings, workers: int, weeks: int | None, console: Console) -> tuple[Year, list[Played]]:
    """Play every policy on the year in the home; at most the first `weeks` of service."""
    project = find_project(settings.project)
    if not Databases(settings.home, settings.database_url).exists("serving"):
        raise NotReadyError(f'no finished demo in {settings.home}; run `make demo ARGS="--exit"` first, or set TIDEMILL_HOME')
    workspace = Workspace.open(load_project(project), settings.home, database=settings.database_url)
    model = workspace.project.models[0]
    year = cut(read_year(workspace, model), weeks)
    n_live = int(year.live.sum())
    console.print(f"{len(year.rows):,} labelled questions, {n_live:,} of them served over {len(year.weeks)} weeks", highlight=False)
    arguments = (project, workspace.databases, model.name)
    with pool(workers) as executor:
        plays = {executor.submit(play_of, *arguments, weeks, policy): policy.name for policy in POLICIES}
        fits = {executor.submit(fit_week_of, *arguments, begin_ms): begin_ms for begin_ms in year.weeks}
        jobs: list[Future[Any]] = [*plays, *fits]
        for done, future in enumerate(as_completed(jobs), start=1):
            what = plays.get(future) or f"a week of weekly, {to_utc(fits[future]).date()}"
            console.print(f"{done} of {len(jobs)} done: {what}", highlight=False)
        played = {name: future.result() for future, name in plays.items()}
        probability = np.full(len(year.rows), np.nan)
        for week, begin_ms in fits.items():
            probability[week_of(year, begin_ms)] = week.result()
    workspace.close()
    weekly = quality(year.rows.outcome[year.live], probability[year.live])
    n_weeks = len(year.weeks)
    return year, [played["frozen"], Played("weekly", n_weeks, n_weeks, 0, 0, weekly), *(played[policy.name] for policy in POLICIES[1:])]


def play_of(project: Path, databases: Databases, model: str, weeks: int | None, policy: Policy) -> Played:
    """`play` in a worker process."""
    return play(cut(year_of(project, databases, model), weeks), policy)


def cut(year: Year, weeks: int | None) -> Year:
    """The year up to the first `weeks` of service."""
    if weeks is None or weeks >= len(year.weeks):
        return year
    kept = year.rows.at_ms < year.weeks[weeks]
    return Year(year.model, year.rows.rows(kept), year.known_at_ms[kept], year.start_ms)


def gain_kept(played: Sequence[Played]) -> dict[str, float | None]:
    """By policy, its log-loss gain over frozen as a share of weekly's; None when weekly gains nothing."""
    loss = {one.name: one.quality.log_loss for one in played}
    frozen, weekly = loss["frozen"], loss["weekly"]
    if frozen is None or weekly is None or weekly >= frozen:
        return dict.fromkeys(loss)
    return {name: None if value is None else round((frozen - value) / (frozen - weekly), 4) for name, value in loss.items()}


def report(year: Year, played: Sequence[Played], wall_s: float) -> None:
    """Print table and JSON."""
    kept = gain_kept(played)
    weekly_fits = next(one.fits for one in played if one.name == "weekly")
    policies = {
        one.name: {
            "fits": one.fits,
            "promoted": one.promoted,
            "rejected": one.rejected,
            "refused": one.refused,
            "auc": one.quality.auc,
            "log_loss": one.quality.log_loss,
        }
        for one in played
    }
    ratios = {one.name: {"gain_kept": kept[one.name], "fits_share": round(one.fits / weekly_fits, 4)} for one in played}
    found = Report("flights", PACKAGES, {"labelled": int(year.live.sum()), "wall_s": round(wall_s, 1), "policies": policies}, ratios)
    rows = [_row(one, kept[one.name]) for one in played]
    notes = [
        "fits: every one, rejected ones too, and both of a model that is judged and then fitted on all rows",
        "refused: alarms the guard turned away",
        "gain kept: log-loss gain over frozen, as a share of weekly's",
    ]
    show(found, ["policy", "fits", "rejected", "refused", "AUC", "log loss", "gain kept"], rows, notes)


def _row(one: Played, kept: float | None) -> list[str]:
    counts = [str(count) for count in (one.fits, one.rejected, one.refused)]
    return [one.name, *counts, _text(one.quality.auc, 4), _text(one.quality.log_loss, 4), _share(kept)]


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; answers the exit code."""
    parser = argparse.ArgumentParser(prog="make bench NAME=flights", description=__doc__)
    parser.add_argument("--weeks", type=int, help="only the first weeks of service")
    parser.add_argument("--workers", type=int, default=2, help="processes, one core each (default 2)")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    begin_s = time.monotonic()
    console.print("this takes about 20 minutes for the whole year on two cores")
    try:
        year, played = run(read_settings(), options.workers, options.weeks, console)
    except TidemillError as error:
        console.print(f"bench flights: {error}", highlight=False, soft_wrap=True)
        return 1
    report(year, played, time.monotonic() - begin_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
