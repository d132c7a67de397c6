"""What a finished run could have been: its questions and outcomes as arrays, and a model retrained every week as the yardstick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tidemill.clock import DAY_MS
from tidemill.errors import NotReadyError
from tidemill.kernels import Floats
from tidemill.learning import Model, TrainingSet, build_training_set, fit_all, predict
from tidemill.learning.outcomes import read_outcomes
from tidemill.project import Workspace, load_project
from tidemill.stores import Databases

WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True)
class Year:
    """Everything a run asked and learned, as it stands at its end.

    Args:
        model: what was asked.
        rows: (n,) labelled questions in time order; served ones with the vector that served them, those before computed.
        known_at_ms: (n,) int64, when each outcome became known.
        start_ms: time of the first question that was served.
    """

    model: Model
    rows: TrainingSet
    known_at_ms: npt.NDArray[np.int64]
    start_ms: int

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """(n,) which rows were served."""
        return self.rows.at_ms >= self.start_ms

    @property
    def weeks(self) -> list[int]:
        """The begin of each week of service, in ms."""
        return list(range(self.start_ms, int(self.rows.at_ms[-1]) + 1, WEEK_MS))

    def mature(self, now_ms: int) -> TrainingSet:
        """The rows one could have learned from at a time: asked before the maturity as it was known then, the outcome known."""
        known = self.known_at_ms <= now_ms
        lags = (self.known_at_ms - self.rows.at_ms)[known]
        if not len(lags):
            raise NotReadyError(f"model {self.model.name!r} has no outcome by {now_ms}")
        matured_ms = int(np.quantile(lags, 0.99))
        return self.rows.rows(known & (self.rows.at_ms <= now_ms - matured_ms))


def read_year(workspace: Workspace, model: Model) -> Year:
    """The year of a finished run; takes about ten seconds for 300,000 questions.

    Raises:
        NotReadyError: nothing was served, or nothing is labelled.
    """
    first = workspace.predictions.served(model.name, limit=1)
    if not len(first.ids):
        raise NotReadyError(f"model {model.name!r} has served nothing in {workspace.home}")
    end_ms = workspace.now_ms() + model.label.within_ms  # by then every question is old enough
    rows = build_training_set(model, workspace.lake, workspace.predictions, end_ms)
    outcomes = read_outcomes(model.label, workspace.lake.dataset(model.label.stream.name), rows.keys, end_ms, rows.at_ms)
    # a question without an outcome counts, where `absent` gives it one, from the moment none can come any more
    known_at_ms = np.where(outcomes.known_at_ms > rows.at_ms, outcomes.known_at_ms, rows.at_ms + model.label.within_ms)
    return Year(model, rows, known_at_ms, int(first.at_ms[0]))


def fit_week(year: Year, begin_ms: int) -> Floats:
    """What a model fitted at the begin of a week says of the week's questions: (n_week,) float64, or (n_week, n_classes)."""
    asked = week_of(year, begin_ms)
    n_classes = len(year.rows.classes)
    estimator = fit_all(year.model, year.mature(begin_ms))
    if not asked.any():
        return np.empty((0, n_classes) if n_classes else 0)
    return predict(year.model, estimator, year.rows.rows(asked).frame(), n_classes)


def week_of(year: Year, begin_ms: int) -> npt.NDArray[np.bool_]:
    """(n,) which rows were asked in a week."""
    return (year.rows.at_ms >= begin_ms) & (year.rows.at_ms < begin_ms + WEEK_MS)


def weekly_reference(
    workspace: Workspace, project: Path, model: Model, tell: Callable[[str], None] = lambda _line: None, workers: int = 2
) -> float:
    """The metric of a model retrained every week on all mature history, without any gate, over what the run served.

    44 fits for the whole flights year: about ten minutes on two cores.

    Args:
        workspace: of the finished run.
        project: the project file, for the worker processes.
        model: which.
        tell: called with a line for each week.
        workers: processes, one core each.

    Raises:
        NotReadyError: nothing was served.
    """
    year = read_year(workspace, model)
    said: list[Floats] = []  # week after week, as the rows are
    with pool(workers) as executor:
        for place, of_week in enumerate(_weeks(executor, project, workspace.databases, year), start=1):
            said.append(of_week)
            tell(f"weekly reference: week {place} of {len(year.weeks)}")
    objective = model.objective
    found = objective.loss(objective.quality(year.rows.outcome[year.live], np.concatenate(said)))
    if found is None:
        raise NotReadyError(f"model {model.name!r} has no labelled prediction")
    return found


def pool(workers: int) -> ProcessPoolExecutor:
    """Worker processes that start clean: forked ones would inherit locks of the threads of OpenMP, Arrow and DuckDB."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@cache
def year_of(project: Path, databases: Databases, model: str) -> Year:
    """A worker's year, read once a process."""
    workspace = Workspace.open(load_project(project), databases.home, database=databases.url)
    try:
        return read_year(workspace, workspace.project.model(model))
    finally:
        workspace.close()


def fit_week_of(project: Path, databases: Databases, model: str, begin_ms: int) -> Floats:
    """`fit_week` in a worker process."""
    return fit_week(year_of(project, databases, model), begin_ms)


def _weeks(executor: ProcessPoolExecutor, project: Path, databases: Databases, year: Year) -> Iterator[Floats]:
    futures = [executor.submit(fit_week_of, project, databases, year.model.name, begin_ms) for begin_ms in year.weeks]
    return (future.result() for future in futures)
