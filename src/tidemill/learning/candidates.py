"""The challengers of one retrain: one kind of estimator fitted on different windows of the past, none on the rows that judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.errors import UnfitRowsError
from tidemill.learning.fitting import MIN_ROWS, Fitted, fit_all, predict
from tidemill.learning.model import Model
from tidemill.learning.retrain_policy import Window
from tidemill.learning.training_set import TrainingSet

HELD_OUT = 0.3  # of the rows since a change; of those before, `policy.gate` says it in time
MIN_JUDGED = 200
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """An estimator fitted on one window."""

    window: Window
    fitted: Fitted


@dataclass(frozen=True)
class Candidates:
    """Those that could be fitted, and why the others could not, by window."""

    fitted: tuple[Candidate, ...]
    left_out: dict[str, str]


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
    model: Model, rows: TrainingSet, since_ms: int | None = None, most: int | None = None, windows: Sequence[Window] = ()
) -> Candidates:
    """One candidate a window, at most `most`; windows that hold the same rows are fitted once.

    Args:
        model: whose estimator and policy.
        rows: all rows one may learn from.
        since_ms: when the world is taken to have changed; without it there is no window `change`.
        most: how many fits may be spent.
        windows: which; those of the policy by default.

    Raises:
        UnfitRowsError: no window has rows enough to fit on, or there are too few to judge on.
    """
    gate = held_out(rows, model.policy.gate_ms, since_ms)
    judged = rows.rows(gate)
    if lack := _lack(judged, MIN_JUDGED):
        raise UnfitRowsError("TooFewLabels", f"model {model.name!r} cannot be judged on its newest rows: {lack}")
    found: list[Candidate] = []
    seen: dict[int, Window] = {}
    left_out: dict[str, str] = {}
    for window in windows or model.policy.windows:
        train = _window(rows, ~gate, window, (since_ms, model.policy.recent_ms))
        if train is None:
            left_out[window] = "nothing says when the world has changed"
        elif lack := _lack(train, MIN_ROWS):
            left_out[window] = lack
        elif len(train) in seen:  # windows end at the same row, so as many rows are the same rows
            left_out[window] = f"the same {len(train)} rows as {seen[len(train)]!r}"
        elif most is not None and len(found) >= most:
            left_out[window] = "max_fits is used up"
        else:
            seen[len(train)] = window
            found.append(Candidate(window, _fit(model, train, judged)))
    if not found:
        reasons = "; ".join(f"{window}: {reason}" for window, reason in left_out.items())
        raise UnfitRowsError("TooFewLabels", f"model {model.name!r} has no rows to fit on ({reasons})")
    return Candidates(tuple(found), left_out)


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
