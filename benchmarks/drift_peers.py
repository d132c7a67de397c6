"""Evidently and river over the runs of `make bench NAME=drift`: streams are handed over as files, alarms are kept like ours."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.code_digest import code_digest
from benchmarks.drift_runs import Alarms, Run
from benchmarks.drift_streams import REFERENCE_ROWS, Floats, Rows
from benchmarks.drift_watched import file_of, keep
from benchmarks.peer import PEERS, Limits, prepare, run_peer

MOST_FALSE_ALARMS = 25  # of a method in a run; a budget of two does not allow so many, and to count on would take hours
_SAMPLE_ROWS = 5_000
_SECONDS_A_STREAM = 1_200.0


def peers_seen(runs: Sequence[Run], workers: int) -> Iterator[tuple[Run, Alarms]]:
    """What the peers said of runs; read where it is known, else worked out in as many processes as there are workers."""
    waiting = [run for run in runs if not file_of(run, _folder()).is_file()]
    if waiting:
        prepare(PEERS / "drift")  # once, before several processes want it
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_watch, run) for run in waiting]
        for done, job in enumerate(as_completed(jobs), start=1):
            job.result()
            print(f"peers: {done} of {len(jobs)} streams done", file=sys.stderr)
    for run in runs:
        yield run, json.loads(file_of(run, _folder()).read_text(encoding="ascii"))


def _watch(run: Run) -> None:
    """Let the peers see one stream and keep what they said: a stopped bench loses minutes, though their imports take seconds."""
    with tempfile.TemporaryDirectory(prefix="drift-") as folder:
        file = Path(folder) / "stream.npz"
        _write(run, file)
        most = MOST_FALSE_ALARMS if run.kind is None else 1
        arguments = {"stream": str(file), "first": run.change_at, "most": most}
        answer = run_peer("drift", "watch.py", arguments, Limits(seconds=_SECONDS_A_STREAM))
    keep(file_of(run, _folder()), answer["alarms"])


def _write(run: Run, file: Path) -> None:
    reference, live = run.reference(), run.live()
    chosen = np.sort(np.random.default_rng(run.seed).choice(REFERENCE_ROWS, _SAMPLE_ROWS, replace=False))
    wrong = (live.scores >= 0.5) != (live.outcomes == 1)
    np.savez(file, names=list(live.columns), reference=_table(reference)[chosen], live=_table(live), wrong=wrong)


def _table(rows: Rows) -> Floats:
    """(n_rows, n_columns), categories as their numbers."""
    columns = [
        values if values.dtype.kind == "f" else np.array([float(text[1:]) for text in values.tolist()]) for values in rows.columns.values()
    ]
    return np.column_stack(columns)


@cache
def _folder() -> str:
    """Another script, other versions, other streams: another cache."""
    digest = hashlib.sha256(code_digest("benchmarks.drift_runs").encode())
    for name in ("watch.py", "uv.lock"):
        digest.update((PEERS / "drift" / name).read_bytes())
    return f"peers-{digest.hexdigest()[:12]}"
