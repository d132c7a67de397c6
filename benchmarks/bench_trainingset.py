"""`make bench NAME=trainingset`: what a training set costs, beside a plain range join of the same questions and events, and beside Feast.

The load: payments of cards of even activity, a hundred each over 8.4 days (twelve a day), known up to an hour late; a question about a
card at a random moment, and its outcome some minutes later. One view, by card: count, sum and maximum over 10 min, 1 h and 24 h.
Even keys are what suits a range join best. With a hot key (a tenth of all payments and questions are of one card) it pairs each of its
questions with each of its payments.

- ours: `values_at` under each clock; `whole`: `TrainingSetBuilder`, with questions, outcomes and vectors.
- plain: one SQL query of DuckDB, pairs by card with the predicate as a filter a feature, as one would write it by hand, with as many
  threads as ours and 8 GB of memory; it need not answer the same bytes twice. Once it reads the files with DuckDB's own reader, as ours
  does; once through the Arrow dataset that the lake gives, as one who writes it by hand would.
- Feast: sizes that grow from 1,000 questions x 10,000 payments until its `get_historical_features` exceeds `--feast-limit`; at the largest
  size it finished, both times and the ratio. It has no windows to compute: it looks for the newest finished row of each card. The job that
  writes these rows, one query of DuckDB, is timed apart; a ratio of the same work counts it.

Each run is a process of its own, so its peak of memory is its own too; methods take turns. Every answer is compared row by row: count and
maximum exactly, sums to 1e-12.

For a quick look: ARGS="--labels 2000 --events 20000 --runs 2 --feast-most 3000".
Ten times ten million events, with the peak of memory: ARGS="--labels 1000000 --events 100000000 --runs 1 --only-ours". Drawing
them takes, reckoned from four million, 13 GB of memory, 7 GB of disk and seven minutes, before any method runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peer import Limits
from benchmarks.report import Report, show
from benchmarks.trainingset_feast import Largest, grow
from benchmarks.trainingset_methods import METHODS, PAYMENTS_A_CARD, Size, draw
from benchmarks.trainingset_turns import Runs, median, shown, take_turns

_FEAST_MEMORY_MB = 8_000
_TENTH, _HOT = "a tenth of the events: ", "hot key, a tenth of all: "
_OURS, _PLAIN, _WHOLE = "ours, known_at", "plain, known_at", "whole training set"
# what the goals are about: name, whose time, over whose, of which figure
_RATIOS = (
    ("ours_over_plain_known_at", _OURS, _PLAIN, "seconds"),
    ("ours_over_plain_known_at_cpu", _OURS, _PLAIN, "cpu_s"),
    ("ours_over_plain_through_the_dataset", _OURS, "plain through the dataset, known_at", "seconds"),
    ("ours_over_plain_offset", "ours, offset", "plain, offset", "seconds"),
    ("ours_over_plain_hot_key", _HOT + _OURS, _HOT + _PLAIN, "seconds"),
    ("ours_ten_times_the_events", _OURS, _TENTH + _OURS, "seconds"),
)
_PEAKS = (("ours_peak_gb", _OURS), ("whole_peak_gb", _WHOLE))


def main() -> int:
    """Run the benchmark; answers the exit code."""
    options = _options()
    size = Size(options.labels, options.events, max(options.events // PAYMENTS_A_CARD, 1))
    found = compare(size, options.runs, only_ours=options.only_ours)
    feast: dict[str, Largest] = {}
    versions: dict[str, str] = {}
    if not (options.no_feast or options.only_ours):
        feast, versions = grow(Limits(options.feast_limit, _FEAST_MEMORY_MB), options.runs, options.feast_most)
    ratios = ratios_of(found)
    for store, largest in feast.items():
        ratios |= largest.ratios(store)
    rows: list[tuple[str, ...]] = [(method, *shown(each)) for method, each in found.items()]
    rows += [row for store, largest in feast.items() for row in _feast_rows(store, largest)]
    notes = [f"feast ({store}) went no further: {largest.ended}" for store, largest in feast.items()]
    notes += [f"{name}: {value:.2f}" for name, value in ratios.items()]
    figures: dict[str, Any] = {"labels": size.labels, "events": size.events, "runs": found}
    figures["feast"] = {store: largest.figures() for store, largest in feast.items()}
    report = Report("trainingset", ("tidemill", "duckdb", "numpy", "pyarrow", "deltalake"), figures, ratios, versions)
    header = (f"{size.labels:,} questions x {size.events:,} events x 3 windows", "seconds (spread)", "CPU s", "peak MB")
    show(report, header, rows, notes)
    return 0


def _options() -> argparse.Namespace:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--labels", type=int, default=100_000, help="questions")
    given.add_argument("--events", type=int, default=1_000_000, help="payments, a hundred a card")
    given.add_argument("--runs", type=int, default=5, help="of each method, in turn")
    given.add_argument("--only-ours", action="store_true", help="neither the plain join nor Feast; a tenth of the events beside it")
    given.add_argument("--no-feast", action="store_true", help="leave the peer out")
    given.add_argument("--feast-limit", type=float, default=240.0, help="seconds that one size may take Feast, its start included")
    given.add_argument("--feast-most", type=int, default=1_000_000, help="questions at which growing ends; ten payments each")
    return given.parse_args()


def compare(size: Size, runs: int, *, only_ours: bool) -> dict[str, Runs]:
    """All methods at this size, ours at a tenth of the events too, and both with a hot key."""
    tenth = Size(size.labels, size.events // 10, size.cards)
    hot = Size(size.labels // 10, size.events // 10, max(size.cards // 10, 1), hot=True)
    steps = [("", size, (_OURS, _WHOLE) if only_ours else tuple(METHODS)), (_TENTH, tenth, (_OURS,))]
    steps += [] if only_ours else [(_HOT, hot, (_OURS, _PLAIN))]
    found: dict[str, Runs] = {}
    for prefix, some, methods in steps:
        with tempfile.TemporaryDirectory() as folder:
            draw(some, Path(folder))
            found |= {f"{prefix}{method}": each for method, each in take_turns(methods, Path(folder), runs).items()}
    return found


def ratios_of(found: Mapping[str, Runs]) -> dict[str, float]:
    """Times beside each other, where both were measured, and peaks of memory."""
    ratios = {
        name: median(found[one], figure) / median(found[other], figure)
        for name, one, other, figure in _RATIOS
        if one in found and other in found
    }
    return ratios | {name: max(one["peak_mb"] for one in found[method]) / 1_000 for name, method in _PEAKS}


def _feast_rows(store: str, largest: Largest) -> list[tuple[str, ...]]:
    if largest.size is None:
        return [(f"feast ({store})", "finished no size", "-", "-")]
    at = f"{largest.size.labels:,} x {largest.size.events:,}"
    ours = [(f"{method}, {at}", *shown(runs)) for method, runs in largest.ours.items()]
    job = (f"the rows that feast ({store}) looks through", f"{largest.rows_s:.2f}", "-", "-")
    return [*ours, (f"feast ({store}), newest row, {at}, {len(largest.runs)} runs", *shown(largest.runs)), job]


if __name__ == "__main__":
    sys.exit(main())
