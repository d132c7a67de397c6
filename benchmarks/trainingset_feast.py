"""Feast's `get_historical_features` beside `bench_trainingset`'s own method, at sizes that grow until Feast reaches a limit.

Feast computes no windows here: it looks for the newest finished row of each card, which some other job has written (see
`benchmarks/peers/feast/history.py`). Ours computes nine features over three windows from the raw payments. So there are two ratios: of the
retrieval alone, which is unequal work in Feast's favour, and with the time of that job, a query of DuckDB, added to Feast's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.beside import peer_versions
from benchmarks.peer import Limits, PeerError, PeerLimitError, run_peer
from benchmarks.trainingset_methods import PAYMENTS_A_CARD, Size, draw
from benchmarks.trainingset_turns import Runs, median, take_turns

STORES = ("file", "duckdb")  # Dask, Feast's default, and DuckDB
OURS = ("ours, known_at", "whole training set")
_EVENTS_A_LABEL = 10
_FIRST_LABELS = 1_000
_STEPS = (3, 10 / 3)  # 1,000, 3,000, 10,000, ...


@dataclass
class Largest:
    """The largest size that one of Feast's stores finished, and what ended its growth.

    Args:
        size: None when it finished none.
        runs: Feast's at that size.
        ours: each of our methods' at that size.
        rows_s: seconds of the job that wrote the rows Feast looked through.
        ended: why it went no further.
    """

    size: Size | None = None
    runs: Runs = field(default_factory=list)
    ours: dict[str, Runs] = field(default_factory=dict)
    rows_s: float = 0.0
    ended: str = ""

    def ratios(self, store: str) -> dict[str, float]:
        """Feast's seconds over ours, without and with its job."""
        found = {}
        for method, runs in self.ours.items():
            name, seconds = method.partition(",")[0].replace(" ", "_"), median(self.runs, "seconds")
            found[f"feast_{store}_over_{name}"] = seconds / median(runs, "seconds")
            found[f"feast_{store}_and_its_rows_over_{name}"] = (seconds + self.rows_s) / median(runs, "seconds")
        return found

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        size = {"labels": self.size.labels, "events": self.size.events} if self.size else None
        return {"size": size, "feast": self.runs, "rows_s": self.rows_s, "ours": self.ours, "ended": self.ended}


def sizes(most_labels: int) -> Iterator[Size]:
    """Growing sizes, ten payments a question, up to `most_labels` questions.

    >>> [size.labels for size in sizes(100_000)]
    [1000, 3000, 10000, 30000, 100000]
    """
    labels, step = float(_FIRST_LABELS), 0
    while labels <= most_labels:
        events = round(labels) * _EVENTS_A_LABEL
        yield Size(round(labels), events, max(events // PAYMENTS_A_CARD, 1))
        labels, step = labels * _STEPS[step % 2], step + 1


def grow(limits: Limits, runs: int, most_labels: int) -> tuple[dict[str, Largest], dict[str, str]]:
    """By store, how far Feast comes within the limits of one call of its script, and its versions.

    While sizes grow each is run once. A size is the largest when the next has reached a limit; there Feast and ours run `runs` times, or
    as often as fits into the limit on seconds.
    """
    found = {store: Largest() for store in STORES}
    versions: dict[str, str] = {}
    for size in sizes(most_labels):
        growing = [store for store, largest in found.items() if not largest.ended]
        if not growing:
            break
        with tempfile.TemporaryDirectory() as folder:
            draw(size, Path(folder))
            for store in growing:
                versions |= _once(found[store], store, (size, Path(folder)), limits)
    for store, largest in found.items():
        if largest.size is not None:
            largest.ended = largest.ended or "it finished every size"
            _again(largest, store, limits, runs)
    return found, versions


def _once(largest: Largest, store: str, drawn: tuple[Size, Path], limits: Limits) -> dict[str, str]:
    size, folder = drawn
    try:
        told = _ask(folder, store, 1, limits)
    except PeerLimitError as limit:
        largest.ended = (
            f"{size.labels:,} x {size.events:,}: over {limit.limit} after {limit.seconds:.0f} s with {limit.peak_rss_mb:,.0f} MiB"
        )
        return {}
    except PeerError as error:
        largest.ended = f"{size.labels:,} x {size.events:,}: {error}"
        return {}
    largest.size, largest.runs, largest.rows_s = size, _runs(told), told["rows_s"]
    return peer_versions("feast", told)


def _again(largest: Largest, store: str, limits: Limits, runs: int) -> None:
    """At the largest size, both sides on the same data."""
    assert largest.size is not None
    fitting = max(1, min(runs, int(limits.seconds / 1.5 / max(median(largest.runs, "process_s"), 0.1))))
    with tempfile.TemporaryDirectory() as folder:
        draw(largest.size, Path(folder))
        largest.ours = take_turns(OURS, Path(folder), runs)
        try:
            told = _ask(Path(folder), store, fitting, limits)
            largest.runs, largest.rows_s = _runs(told), told["rows_s"]
        except PeerError as error:  # once more is too much: what it took the first time stands
            largest.ended += f"; again: {error}"


def _ask(folder: Path, store: str, runs: int, limits: Limits) -> dict[str, Any]:
    arguments = {"payments": str(folder / "payments.parquet"), "labels": str(folder / "labels.parquet"), "offline": store, "runs": runs}
    return run_peer("feast", "history.py", arguments, limits)


def _runs(told: dict[str, Any]) -> Runs:
    """Feast's runs with the names ours have; `process_s` is the whole script's share of one, its start and its file of rows included."""
    a_run_s = told["process"]["seconds"] / len(told["runs"])
    return [{"seconds": run["seconds"], "peak_mb": run["peak_rss_mb"] * 1.048576, "process_s": a_run_s} for run in told["runs"]]
