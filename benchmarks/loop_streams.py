"""The labelled streams of `make bench NAME=loop`: what is asked, what comes of it and when that is known, and a model to answer with.

| stream | rows | what changes | outcomes are known |
|---|---|---|---|
| agrawal, sea | 60,000, 5,000 a week | the concept, at once, three times | after 500 rows |
| employment | 277,677 people of Massachusetts, 2015 to 2018 | what it did | after four weeks |
| flights | the year of a finished demo | what it did | when the aircraft has landed |

The employment rows are the American Community Survey's as bundled with NannyML's package; a year's rows are taken to come evenly over
it. Ours has a heartbeat and otherwise the settings of a project by default, save that made rows are judged on two days, which is also the
cooldown; the flights have those of their project file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pydantic import BaseModel, create_model

from benchmarks.concepts import AGRAWAL_TELLING, SEA_THRESHOLDS, agrawal, sea
from tidemill import Label, Model, Monitor, Requests, RetrainPolicy, Stream, col
from tidemill.cli.reference import Year
from tidemill.clock import DAY_MS, HOUR_MS, to_ms
from tidemill.kernels import Floats
from tidemill.learning import TrainingSet

WEEK_ROWS = 5_000
ROW_MS = 7 * DAY_MS // WEEK_ROWS
FIRST_ROWS = 5_000  # what the first model learns from
CONCEPT_ROWS, CONCEPTS, DELAY_ROWS = 15_000, 4, 500
STEP_MS = HOUR_MS
HEARTBEAT = RetrainPolicy(on=("error", "schedule"), gate="2d", cooldown="2d")


@dataclass(frozen=True)
class Shape:
    """How long a stream of changing concepts is: rows of a concept, how many concepts, rows until an outcome is known."""

    concept_rows: int = CONCEPT_ROWS
    concepts: int = CONCEPTS
    delay_rows: int = DELAY_ROWS
    first_rows: int = FIRST_ROWS


@dataclass(frozen=True)
class Periodic:
    """Fitting at fixed times: on the last so many rows, or all, and how often."""

    rows: int | None
    every_ms: int


PERIODIC = {
    "agrawal": Periodic(5_000, 500 * ROW_MS),
    "sea": Periodic(5_000, 500 * ROW_MS),
    "employment": Periodic(70_000, 7 * DAY_MS),  # the last year
    "flights": Periodic(None, 7 * DAY_MS),
}


def changing(name: str, seed: int, shape: Shape | None = None, policy: RetrainPolicy = HEARTBEAT) -> Year:
    """A stream of `agrawal` or `sea` whose concepts, their order and rows follow from the seed."""
    shape = shape or Shape()
    rng = np.random.default_rng([len(name), seed])
    n_rows = shape.concept_rows * shape.concepts
    chosen = rng.permutation(SEA_THRESHOLDS if name == "sea" else AGRAWAL_TELLING)[: shape.concepts]  # each another one
    concept = chosen[np.arange(n_rows) // shape.concept_rows]
    columns, outcome = sea(concept, rng) if name == "sea" else agrawal(concept, rng)
    at_ms = (np.arange(n_rows, dtype=np.int64) + 1) * ROW_MS
    start_ms = (shape.first_rows + shape.delay_rows + 1) * ROW_MS
    return as_year(columns, outcome, (at_ms, at_ms + shape.delay_rows * ROW_MS), start_ms, policy)


def employment(folder: Path) -> Year:
    """The people of 2015 are known from the first; from 2016 on they are asked."""
    tables = [pq.read_table(folder / f"employment_MA_{part}.pq").to_pandas() for part in ("reference", "analysis", "analysis_target")]
    reference, analysis, told = (table.sort_values("id") for table in tables)
    year = np.concatenate([reference["year"], analysis["year"]])
    outcome = np.concatenate([reference["employed"], told["employed"]]).astype(np.float64)
    names = [name for name in analysis.columns if name not in ("id", "year", "prediction", "predicted_probability")]
    columns = {name: np.concatenate([part[name].astype(np.float64) for part in (reference, analysis)]) for name in names}
    at_ms = np.empty(len(year), dtype=np.int64)
    for each in np.unique(year).tolist():
        begin_ms, end_ms = (to_ms(datetime(number, 1, 1, tzinfo=UTC)) for number in (each, each + 1))
        mine = year == each
        at_ms[mine] = begin_ms + (end_ms - begin_ms) * np.arange(int(mine.sum())) // int(mine.sum())
    start_ms = to_ms(datetime(int(year.min()) + 1, 1, 1, tzinfo=UTC))
    return as_year(columns, outcome, (at_ms, at_ms + 28 * DAY_MS), start_ms, RetrainPolicy(on=("error", "schedule"), max_age="91d"))


def as_year(
    columns: dict[str, Floats], outcome: Floats, times_ms: Sequence[npt.NDArray[np.int64]], start_ms: int, policy: RetrainPolicy
) -> Year:
    """Numbers by column as what a run asked and learned; `times_ms` are (n,) when each was asked and when its outcome was known."""
    at_ms, known_at_ms = times_ms
    read = {name: column.astype(np.float32).astype(np.float64) for name, column in columns.items()}  # as `Model.assemble` does
    rows = TrainingSet(read, outcome, at_ms, [str(row) for row in range(len(at_ms))], len(at_ms), {}, int(at_ms[-1]), 0)
    return Year(_model(list(columns), policy), rows, known_at_ms, start_ms)


class _Outcome(BaseModel):
    outcome_id: str
    told: datetime
    key: str
    y: int


def _model(names: Sequence[str], policy: RetrainPolicy) -> Model:
    fields: dict[str, Any] = {"key": (str, ...), **{name: (float, ...) for name in names}}
    asked = create_model("Asked", asked=(datetime, ...), **fields)
    requests = Stream("asked", schema=asked, event_time="asked", event_id="key")
    outcomes = Stream("outcomes", schema=_Outcome, event_time="told", event_id="outcome_id")
    return Model(
        "outcome",
        request=create_model("Question", **fields),
        requests=Requests(requests, at=col("asked") + 0),
        features=list(names),
        label=Label(outcomes, key="key", value=col("y") >= 1, within="60d"),
        estimator=partial(estimator, names),
        monitor=Monitor(false_alarm_budget="1/30d"),
        policy=policy,
    )


def estimator(names: Sequence[str]) -> Any:
    """What every policy fits; small trees, as a change leaves few rows."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline

    table = ColumnTransformer([("numbers", "passthrough", list(names))])  # a served model is asked column by column
    return make_pipeline(table, HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=0))
