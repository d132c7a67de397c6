"""Data that no model may learn from: books that do not balance, columns gone missing, a label feed that says one thing only, or nothing.

A detector cannot tell a changed world from a broken pipe; a retrain on the latter would teach the model the fault. Each check answers a
sentence, empty where it finds nothing, and only looks for what no world does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.clock import to_utc
from tidemill.drift import ReferenceProfile
from tidemill.events import Column
from tidemill.learning import Model, TrainingSet
from tidemill.learning.null_outcomes import NullOutcomes, count_null_outcomes
from tidemill.project import Workspace
from tidemill.registry.version import Version
from tidemill.stores import Class

NEWEST_LABELS = 5_000
LEAST_RUN = 500  # labels in a row: a calm day must not look like a broken feed
IMPOSSIBLE = 1e-12
_MISSING_BEFORE = 0.5  # a column that was missing as often as this before is no news
_LEAST_ROWS = 200
NULL_OUTCOMES = "null_outcomes"  # the tag of a version that says how many there were when it was trained
_ODDS = 20.0  # of a null: a storm that cancels every sixth flight instead of every fiftieth is a world still
_NULL_SHARE = 0.2


def book_fault(workspace: Workspace, model: Model) -> str:
    """Whether a stream's books do not balance, or more of it is rejected than applied."""
    books = workspace.books()
    for stream in sorted({model.label.stream.name, model.requests.stream.name, *(source.stream.name for source in model.sources)}):
        if not books[stream].balanced:
            return f"the books of stream {stream!r} do not balance"
        if books[stream].rejected > books[stream].applied:
            return f"stream {stream!r} has more rejected events ({books[stream].rejected}) than applied ones ({books[stream].applied})"
    return ""


def watched_fault(state: Mapping[str, object] | None) -> str:
    """What the monitor of the features holds to be broken just now; `state` is what it saved, which need not speak of faults."""
    faults = (state or {}).get("faults")
    told = [fault for fault in faults if isinstance(fault, Mapping)] if isinstance(faults, Sequence) else []
    if not told:
        return ""
    first = told[0]
    since = first.get("since_ms")
    when = f" since {to_utc(since):%Y-%m-%d %H:%M} UTC" if isinstance(since, int) else ""
    others = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return f"column {first.get('column')!r} is {first.get('what', 'broken')}{when}{others}"


def label_fault(newest: npt.NDArray[Any], reference: npt.NDArray[Any]) -> str:
    """Whether the newest labels have all been one value for so long that the reference calls it impossible.

    Args:
        newest: (n,) the newest outcomes, in the order in which they became known.
        reference: (m,) outcomes that the champion has learnt from.

    >>> feed, reference = np.ones(900), np.tile([0.0, 0.0, 1.0], 400)
    >>> label_fault(feed, reference)
    'the newest 900 labels are all 1, which 33 % of those that the champion learnt from were'
    >>> label_fault(np.tile([0.0, 1.0], 450), reference), label_fault(np.zeros(900), np.zeros(500))
    ('', '')
    """
    if not len(newest) or not len(reference):
        return ""
    value = newest[-1]
    others = np.flatnonzero(newest != value)
    run = len(newest) - (int(others[-1]) + 1 if len(others) else 0)
    share = float((np.sum(reference == value) + 1) / (len(reference) + 2))
    if run < LEAST_RUN or run * math.log(share) > math.log(IMPOSSIBLE):
        return ""
    known = 100 * np.mean(reference == value)
    return f"the newest {run} labels are all {_text(value)}, which {known:.0f} % of those that the champion learnt from were"


def null_fault(newest: NullOutcomes, reference: NullOutcomes) -> str:
    """Whether nulls among the newest label events are out of all proportion: many where there were few, or few where there were many.

    Outcomes that are left out are seldom left out at random, and what is filled in for them by a default is none.

    >>> null_fault(NullOutcomes(1_000, 400), NullOutcomes(9_000, 90))
    '40 % of the newest 1000 label events have no outcome, 1 % when the champion was trained'
    >>> null_fault(NullOutcomes(1_000, 100), NullOutcomes(9_000, 90)), null_fault(NullOutcomes(499, 499), NullOutcomes(9_000, 90))
    ('', '')
    """
    shares = [(one.nulls + 1) / (one.n + 2) for one in (newest, reference)]
    odds = [share / (1 - share) for share in shares]
    if min(newest.n, reference.n) < LEAST_RUN or max(odds) < _ODDS * min(odds) or max(shares) < _NULL_SHARE:
        return ""
    now, before = (f"{100 * one.nulls / one.n:.0f} %" for one in (newest, reference))
    return f"{now} of the newest {newest.n} label events have no outcome, {before} when the champion was trained"


def newest_null_fault(workspace: Workspace, model: Model, served: Version) -> str:
    """The same of the newest label events, those of the gate's length; a version that was trained before this was counted has none."""
    told = served.tags.get(NULL_OUTCOMES)
    if told is None:
        return ""
    now_ms, label = workspace.now_ms(), model.label
    events, _ = workspace.lake.read(label.stream.name)
    newest = count_null_outcomes(label, events, now_ms - model.policy.gate_ms, now_ms)
    return null_fault(newest, NullOutcomes(**json.loads(told)))


def row_fault(model: Model, rows: TrainingSet, reference: ReferenceProfile | None) -> str:
    """Whether a column is missing in all of the newest rows though it was not before.

    Args:
        model: whose vector.
        rows: the newest rows, those that would judge.
        reference: what the champion has learnt from; without one nothing is known of before.
    """
    if reference is None or len(rows) < _LEAST_ROWS:
        return ""
    before = {column.name: column.missing_rate for column in reference.columns}
    gone = [name for name in model.columns if before.get(name, 1.0) < _MISSING_BEFORE and _all_missing(rows.columns[name])]
    if not gone:
        return ""
    others = f", and so is {', '.join(gone[1:4])}" if len(gone) > 1 else ""
    return f"column {gone[0]!r} is missing in all {len(rows)} newest rows{others}"


def reference_outcomes(version: Version, model: Model) -> npt.NDArray[Any]:
    """(m,) outcomes that a version has learnt from: those of its sample."""
    told = np.asarray(version.sample["outcome"], dtype=np.float64)
    return outcomes_of(told, version.answers[1]) if model.objective.task == "multiclass" else told


def outcomes_of(places: npt.NDArray[np.float64], classes: Sequence[Class]) -> npt.NDArray[Any]:
    """(n,) the newest outcomes as label events tell them: of several classes their names, which training sets keep as places."""
    newest = places[-NEWEST_LABELS:]
    return np.array([classes[int(place)] for place in newest], dtype=object) if classes else newest


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _all_missing(column: Column) -> bool:
    return all(value is None for value in column) if column.dtype == object else bool(np.isnan(column).all())
