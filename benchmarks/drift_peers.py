"""Evidently and river over the runs of `make bench NAME=drift`: streams are handed over as files, alarms are kept like ours."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks import drift_streams
from benchmarks.drift_methods import Alarms
from benchmarks.drift_runs import REFERENCES, Run, keep
from benchmarks.drift_streams import REFERENCE_ROWS, Floats, Rows, make_rows
from benchmarks.peer import PEERS, Limits, run_peer

_AT_ONCE = 5  # streams a process: its imports take seconds
_SAMPLE_ROWS = 5_000
_SECONDS_A_STREAM = 1_200.0


def peers_seen(runs: Sequence[Run]) -> Iterator[tuple[Run, Alarms]]:
    """What the peers said of runs, in some order; read where it is known."""
    waiting = []
    for run in runs:
        file = run.file(_folder())
        if file.is_file():
            yield run, json.loads(file.read_text(encoding="ascii"))
        else:
            waiting.append(run)
    for drifting in (False, True):
        left = iter([run for run in waiting if (run.kind is not None) == drifting])
        while some := list(islice(left, _AT_ONCE)):
            yield from _watch(some, some[0].change_at if drifting else None)


def _watch(runs: Sequence[Run], first: int | None) -> Iterator[tuple[Run, Alarms]]:
    with tempfile.TemporaryDirectory(prefix="drift-") as folder:
        files = [Path(folder) / f"{place}.npz" for place in range(len(runs))]
        for run, file in zip(runs, files, strict=True):
            _write(run, file)
        arguments = {"streams": [str(file) for file in files], "first": first}
        answer = run_peer("drift", "watch.py", arguments, Limits(seconds=_SECONDS_A_STREAM * len(runs)))
    for run, alarms in zip(runs, answer["alarms"], strict=True):
        keep(run.file(_folder()), alarms)
        yield run, alarms


def _write(run: Run, file: Path) -> None:
    reference, live = make_rows(run.regime, REFERENCE_ROWS, run.seed % REFERENCES), run.live()
    chosen = np.sort(np.random.default_rng(run.seed).choice(REFERENCE_ROWS, _SAMPLE_ROWS, replace=False))
    wrong = (live.scores >= 0.5) != (live.outcomes == 1)
    np.savez(file, names=list(live.columns), reference=_table(reference)[chosen], live=_table(live), wrong=wrong)


def _table(rows: Rows) -> Floats:
    """(n_rows, n_columns), categories as their numbers."""
    columns = [
        values if values.dtype.kind == "f" else np.array([float(text[1:]) for text in values.tolist()]) for values in rows.columns.values()
    ]
    return np.column_stack(columns)


def _folder() -> str:
    """Another script, other versions, other streams: another cache."""
    digest = hashlib.sha256(Path(drift_streams.__file__).read_bytes())
    for name in ("watch.py", "uv.lock"):
        digest.update((PEERS / "drift" / name).read_bytes())
    return f"peers-{digest.hexdigest()[:12]}"
