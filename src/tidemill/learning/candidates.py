"""The challengers of one retrain: one kind of estimator fitted on different windows of the past, none on the rows that judge them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.errors import UnfitRowsError
from tidemill.learning.domain import told_apart
from tidemill.learning.fitting import MIN_ROWS, Fitted, fit_all, predict
from tidemill.learning.model import Model
from tidemill.learning.retrain_policy import Window
from tidemill.learning.training_set import TrainingSet

HELD_OUT = 0.3  # of the rows since a change; of those before, `policy.gate` says it in time
MIN_JUDGED = 200
_ANOTHER_KIND = 0.9  # AUC by which the rows of a window are told from the others; see `fit_candidates`
_ORDER: tuple[Window, ...] = ("change", "all", "recent")  # what an alarm names, then from most rows to fewest
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """An estimator fitted on one window."""

    window: Window
    fitted: Fitted


@dataclass(frozen=True)
class Wanted:
    """What candidates are wanted of.

    Args:
        since_ms: when the world is taken to have changed; without it there is no window `change`.
        windows: which; those of the policy by default.
        useful: is handed the rows that judge; answers whether what was learnt before is worth something on them.
    """

    since_ms: int | None = None
    windows: Sequence[Window] = ()
    useful: Callable[[TrainingSet], bool] = lambda _judged: False


def held_out(rows: TrainingSet, gate_ms: int, since_ms: int | None) -> Flags:
    """(n,) the newest rows, which judge: those of the last `gate_ms`; of the rows since a change at most the newest 30 %.

    A change is often younger than the gate is long. Were all rows since then held out, no challenger would have seen the new world.
    Where there are too few rows since the change to share, at least 200 of them to judge on, it is as if there had been no change.

    >>> at_ms = np.arange(10_000)
    >>> rows = TrainingSet({}, at_ms * 0.0, at_ms, [""] * 10_000, 0, {}, 0, 0)
    >>> int(held_out(rows, 5_000, None).sum()), int(held_out(rows, 5_000, 8_000).sum()), int(held_out(rows, 5_000, 9_900).sum())
    (5000, 600, 5000)
    """
    newest = rows.at_ms > rows.at_ms[-1] - gate_ms
    since = 0 if since_ms is None else int((rows.at_ms >= since_ms).sum())
    judged = max(MIN_JUDGED, int(since * HELD_OUT))
    if since < 2 * MIN_JUDGED or judged >= int(newest.sum()):
        return np.asarray(newest, dtype=np.bool_)
    return np.asarray(rows.at_ms >= rows.at_ms[-judged], dtype=np.bool_)


def fit_candidates(
    model: Model, rows: TrainingSet, wanted: Wanted | None = None, stop: Callable[[Candidate], str] = lambda _fitted: ""
) -> dict[str, str]:
    """Fit one candidate a window, one after the other; windows that hold the same rows are fitted once.

    After an alarm there is nothing to fit before the rows since the change are enough: what else there is is of the old world, and it
    would be judged by few rows of the new one. The alarm is followed up once there are more.

    Where other rows are asked than before and what was learnt before is still useful, nothing is fitted on the new ones alone: what
    knows only them has no answer when the others come back, and rows that can be told apart do not contradict one another, so that a
    model can keep what it knows of both. Then `all` stands in for a window that is left out.

    Args:
        model: whose estimator and policy.
        rows: all rows one may learn from.
        wanted: since when, on what, and what the past is worth; by default as if nothing had changed.
        stop: is handed each candidate once it is fitted; answers why no other one is needed, nothing to go on.

    Returns:
        By window that was left out, why.

    Raises:
        UnfitRowsError: no window has rows enough to fit on, since the change there are too few, or there are too few to judge on.
    """
    wanted = wanted or Wanted()
    since_ms, gate = wanted.since_ms, held_out(rows, model.policy.gate_ms, wanted.since_ms)
    judged = rows.rows(gate)
    if lack := _lack(judged, MIN_JUDGED):
        raise UnfitRowsError("TooFewLabels", f"model {model.name!r} cannot be judged on its newest rows: {lack}")
    chosen = sorted(wanted.windows or model.policy.windows, key=_ORDER.index)
    trains = {window: _window(rows, ~gate, window, (since_ms, model.policy.recent_ms)) for window in chosen}
    changed = trains.get("change")
    if changed is not None and len(changed) < MIN_ROWS:
        since = f"{len(changed)} rows since the change besides the {len(judged)} that judge, {MIN_ROWS} are needed"
        raise UnfitRowsError("TooFewLabels", f"model {model.name!r} has {since}; it is tried again once there are more")
    left_out: dict[str, str] = {}
    if "all" in model.policy.windows and wanted.useful(judged):
        whole = trains.get("all") or rows.rows(~gate)
        left_out = _of_another_kind(whole, trains)
        trains = {window: train for window, train in trains.items() if window not in left_out} or {"all": whole}
    return left_out | _fit_each(model, trains, judged, stop)


def _fit_each(
    model: Model, trains: Mapping[Window, TrainingSet | None], judged: TrainingSet, stop: Callable[[Candidate], str]
) -> dict[str, str]:
    """Fit one after the other until `stop` says why; answers why each other one was left out."""
    seen: dict[int, Window] = {}
    left_out: dict[str, str] = {}
    failures: dict[Window, Exception] = {}
    stopped = ""
    for window, train in trains.items():
        if reason := stopped or _reason(train, seen):
            left_out[window] = reason
        elif train is not None:
            seen[len(train)] = window
            try:
                fitted = _fit(model, train, judged)
            except Exception as error:  # whatever an estimator raises; a narrow window may have a column that is missing throughout
                left_out[window] = f"the estimator could not be fitted on it: {type(error).__name__}: {error}"
                failures[window] = error
            else:
                stopped = stop(Candidate(window, fitted))
    if len(seen) > len(failures):
        return left_out
    for failure in failures.values():
        raise failure
    reasons = "; ".join(f"{window}: {reason}" for window, reason in left_out.items())
    raise UnfitRowsError("TooFewLabels", f"model {model.name!r} has no rows to fit on ({reasons})")


def _of_another_kind(whole: TrainingSet, trains: Mapping[Window, TrainingSet | None]) -> dict[str, str]:
    """By window whose rows can be told from those that it leaves out, why it is left out."""
    found: dict[str, str] = {}
    for window, train in trains.items():
        if window == "all" or train is None or len(train) < MIN_ROWS:
            continue
        auc = told_apart(whole, whole.at_ms >= train.at_ms[0])
        if auc > _ANOTHER_KIND:
            found[window] = f"other rows are asked there (told apart with an AUC of {auc:.3f}), and what was learnt before is still useful"
    return found


def _reason(train: TrainingSet | None, seen: Mapping[int, Window]) -> str:
    """Why nothing is fitted on a window; empty where something is. Windows end at the same row, so as many rows are the same rows."""
    if train is None:
        return "nothing says when the world has changed"
    return _lack(train, MIN_ROWS) or (f"the same {len(train)} rows as {seen[len(train)]!r}" if len(train) in seen else "")


def rows_of(rows: TrainingSet, window: Window, since_ms: int | None, recent_ms: int) -> TrainingSet:
    """The rows of a window with the newest ones: what the winner is fitted on again. All of them where the window is not known."""
    return _window(rows, np.ones(len(rows), dtype=np.bool_), window, (since_ms, recent_ms)) or rows


def _window(rows: TrainingSet, kept: Flags, window: Window, since_recent_ms: Sequence[int | None]) -> TrainingSet | None:
    since_ms, recent_ms = since_recent_ms
    if window == "change":
        return None if since_ms is None else rows.rows(kept & (rows.at_ms >= since_ms))
    return rows.rows(kept & (rows.at_ms > rows.at_ms[-1] - (recent_ms or 0))) if window == "recent" else rows.rows(kept)


def _lack(rows: TrainingSet, least: int) -> str:
    """What keeps rows from being fitted or judged on; empty when nothing does."""
    if len(rows) < least:
        return f"{len(rows)} rows, {least} are needed"
    return "one outcome only" if len(np.unique(rows.outcome)) < 2 else ""


def _fit(model: Model, train: TrainingSet, judged: TrainingSet) -> Fitted:
    estimator = fit_all(model, train)
    said = predict(model, estimator, judged.frame(), len(judged.classes))
    return Fitted(estimator, train, judged, said, model.objective.quality(judged.outcome, said))
