"""What each method said of the runs of `make bench NAME=drift`, in as many processes as there are cores.

All is kept on disk under a digest of the code it follows from, so that a bench that was stopped goes on where it was, and nothing that
other code said is ever shown. Columns, outcomes and tests by hand are kept apart: who changes one need not run the others again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from benchmarks.code_digest import code_digest
from benchmarks.drift_by_hand import ByHand
from benchmarks.drift_columns import column_alarms
from benchmarks.drift_outcomes import outcome_alarms
from benchmarks.drift_runs import Alarms, Run
from benchmarks.drift_streams import Regime, Rows
from tidemill.drift.calibration import profile_reference
from tidemill.drift.reference import ReferenceProfile

CACHE = Path(__file__).parent / ".cache" / "drift"
PARTS = ("columns", "outcomes", "by_hand")
_ALSO = {"columns": ("tidemill.drift.calibration",)}
_NOT_FOLLOWED = ("tidemill.drift.estimate",)  # quality before labels: part of a profile, and no alarm follows from it


def alarms_of(runs: Sequence[Run], workers: int) -> Iterator[tuple[Run, Alarms]]:
    """The rows of the alarms of ours and of the tests by hand, run by run; worked out where they are not known."""
    groups: dict[tuple[Regime, int], list[Run]] = {}
    for run in runs:
        if not all(file_of(run, folder(part)).is_file() for part in PARTS):
            groups.setdefault((run.regime, run.reference_seed), []).append(run)
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(_watch, group) for group in groups.values()]
        for done, job in enumerate(as_completed(jobs), start=1):
            job.result()
            print(f"{done} of {len(jobs)} references done", file=sys.stderr)
    for run in runs:
        found: Alarms = {}
        for part in PARTS:
            found |= json.loads(file_of(run, folder(part)).read_text(encoding="ascii"))
        yield run, {"tidemill": sorted(found["tidemill features"] + found["tidemill outcomes"]), **found}


def file_of(run: Run, methods: str) -> Path:
    """Where what these methods said of a run is kept."""
    return CACHE / methods / run.regime / (run.kind or "none").replace(" ", "_").replace("%", "pc") / f"{run.seed}.json"


def keep(file: Path, alarms: Alarms) -> None:
    """Write at once or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_suffix(".part")
    partial_file.write_text(json.dumps(alarms), encoding="ascii")
    partial_file.replace(file)


@cache
def folder(part: str) -> str:
    """The part's name and the digest of the code it follows from."""
    modules = (f"benchmarks.drift_{part}", "benchmarks.drift_runs", *_ALSO.get(part, ()))
    return f"{part}-{code_digest(*modules, without=_NOT_FOLLOWED)}-numpy-{np.__version__}"


def _watch(runs: Sequence[Run]) -> None:
    """Work out and keep what is not known of runs with one reference."""
    for run in runs:
        missing = [part for part in PARTS if not file_of(run, folder(part)).is_file()]
        if missing:
            live = run.live()
            for part in missing:
                keep(file_of(run, folder(part)), _METHODS[part](run, live))


def _of_columns(run: Run, live: Rows) -> Alarms:
    return column_alarms(_profile(run.regime, run.reference_seed), live)


def _of_outcomes(_: Run, live: Rows) -> Alarms:
    return outcome_alarms(live)


def _by_hand(run: Run, live: Rows) -> Alarms:
    return _tests(run.regime, run.reference_seed).alarms(live)


_METHODS: dict[str, Callable[[Run, Rows], Alarms]] = {"columns": _of_columns, "outcomes": _of_outcomes, "by_hand": _by_hand}


@lru_cache(maxsize=1)
def _profile(regime: Regime, seed: int) -> ReferenceProfile:
    rows = Run(regime, None, seed).reference()
    return profile_reference(rows.columns, rows.scores, rows.at_ms)


@lru_cache(maxsize=1)
def _tests(regime: Regime, seed: int) -> ByHand:
    return ByHand.of(Run(regime, None, seed).reference())
