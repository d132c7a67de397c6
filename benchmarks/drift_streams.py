"""Streams with a known truth: fifteen numeric and five categorical columns, a model that is right about them, and fifteen ways to drift.

`iid`: rows are independent. `cyclic`: each column has a cycle of 5,000 rows (a week) and remembers its last value by up to 0.9.
The model's score is the true probability of the outcome until something drifts, so that every label before it is drift-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Regime = Literal["iid", "cyclic"]
Floats = npt.NDArray[np.float64]

NUMERIC, CATEGORICAL = 15, 5
CYCLE_ROWS, CYCLE_MS = 5_000, 7 * 86_400_000
ROW_MS = CYCLE_MS // CYCLE_ROWS
REFERENCE_ROWS = 10 * CYCLE_ROWS
PERIOD_ROWS = 30 * 86_400_000 // ROW_MS  # of the budget 1/30d
_SHARES = ([0.5, 0.5], [0.6, 0.3, 0.1], [0.4, 0.3, 0.2, 0.1], [0.3, 0.25, 0.2, 0.15, 0.1], [0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
_WEIGHTS = np.array([1.6, -1.3, 1.1, -0.9, 0.8, 0.6, -0.5, 0.4, 0.3, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
_MIDDLE = 0.12
_GRADUAL_ROWS = 3_000

KINDS = (
    "shift 0.25 sd",
    "shift 0.5 sd",
    "shift 1 sd",
    "gradual 1 sd",
    "all 0.1 sd",
    "category 10 %",
    "category 30 %",
    "correlation",
    "concept flip",
    "concept half",
    "stuck",
    "missing 20 %",
    "missing 100 %",
    "scale x100",
    "unused column",
)


@dataclass(frozen=True)
class Rows:
    """Rows in time order: what was observed by column, what the model said of it, what came of it, and when."""

    columns: dict[str, npt.NDArray[Any]]
    scores: Floats
    outcomes: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]

    def part(self, first: int, end: int) -> Rows:
        """Rows `first` to `end`."""
        cut = slice(first, end)
        return Rows({name: values[cut] for name, values in self.columns.items()}, self.scores[cut], self.outcomes[cut], self.at_ms[cut])


class Drift(NamedTuple):
    """How a stream drifts, one of `KINDS`, and the first row that has."""

    kind: str
    change_at: int


def make_rows(regime: Regime, n_rows: int, seed: int, drift: Drift | None = None, first_row: int = 0) -> Rows:
    """A stream of one regime, which may drift from a row on.

    Args:
        regime: how rows hang together.
        n_rows: how many.
        seed: of everything.
        drift: how; None for a stream that does not.
        first_row: rows since the beginning of a cycle, from which the times follow too.

    >>> rows = make_rows("iid", 1_000, seed=1)
    >>> len(rows.columns), bool(abs(rows.outcomes.mean() - rows.scores.mean()) < 0.05)
    (20, True)
    """
    rng = np.random.default_rng(seed)
    numbers = _numbers(regime, n_rows, first_row, rng)
    kinds = _kinds(regime, n_rows, first_row, rng)
    kind, change_at = drift or (None, n_rows)
    after = np.arange(n_rows) >= change_at
    numbers, kinds = _move(kind, numbers, kinds, after, rng)
    seen = _break(kind, numbers, after, rng)
    logits, said = (_logit(side, kinds) for side in (numbers, np.nan_to_num(seen)))
    if kind == "concept flip":
        logits = np.where(after, -logits, logits)
    elif kind == "concept half":
        logits = np.where(after, _logit(numbers * (np.arange(NUMERIC) % 2 == 0), kinds), logits)
    columns: dict[str, npt.NDArray[Any]] = {f"x{place}": np.ascontiguousarray(seen[:, place]) for place in range(NUMERIC)}
    columns |= {f"k{place}": np.array([f"c{code}" for code in kinds[:, place]], dtype=object) for place in range(CATEGORICAL)}
    outcomes = (rng.random(n_rows) < 1.0 / (1.0 + np.exp(-logits))).astype(np.int64)
    at_ms = (first_row + np.arange(n_rows, dtype=np.int64)) * ROW_MS
    return Rows(columns, 1.0 / (1.0 + np.exp(-np.clip(said, -30.0, 30.0))), outcomes, at_ms)


def _numbers(regime: Regime, n_rows: int, first_row: int, rng: np.random.Generator) -> Floats:
    from scipy.signal import lfilter  # type: ignore[import-untyped]  # scipy ships no types

    noise = rng.normal(size=(n_rows, NUMERIC))
    if regime == "iid":
        return noise
    memory = 0.9 * np.arange(NUMERIC) / (NUMERIC - 1)
    for place, rho in enumerate(memory):
        start = rng.normal()
        noise[:, place], _ = lfilter([np.sqrt(1.0 - rho**2)], [1.0, -rho], noise[:, place], zi=[rho * start])
    phase = 2.0 * np.pi * (first_row + np.arange(n_rows)) / CYCLE_ROWS
    return np.asarray(noise + 0.5 * np.sin(phase[:, None] + np.arange(NUMERIC)))


def _kinds(regime: Regime, n_rows: int, first_row: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    phase = 2.0 * np.pi * (first_row + np.arange(n_rows)) / CYCLE_ROWS
    chosen = np.empty((n_rows, CATEGORICAL), dtype=np.int64)
    for place, shares in enumerate(_SHARES):
        often = np.tile(np.array(shares), (n_rows, 1))
        if regime == "cyclic":
            often[:, 0] *= 1.0 + 0.3 * np.sin(phase + place)
            often /= often.sum(axis=1, keepdims=True)
        chosen[:, place] = (rng.random((n_rows, 1)) > often.cumsum(axis=1)[:, :-1]).sum(axis=1)
    if regime == "cyclic":  # a column that often repeats itself
        repeats = rng.random(n_rows) < 0.5
        last = np.maximum.accumulate(np.where(repeats, 0, np.arange(n_rows)))
        chosen[:, 2] = chosen[last, 2]
    return chosen


def _move(
    kind: str | None, numbers: Floats, kinds: npt.NDArray[np.int64], after: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The world moves: the model sees it, and what comes of it follows."""
    moved = numbers.copy()
    if kind is None:
        return moved, kinds
    if kind.startswith("shift"):
        moved[after, 4] += float(kind.split()[1])
    elif kind == "gradual 1 sd":
        moved[after, 4] += np.minimum(np.arange(int(after.sum())) / _GRADUAL_ROWS, 1.0)
    elif kind == "all 0.1 sd":
        moved[after] += 0.1
    elif kind == "unused column":
        moved[after, 12] += 1.0
    elif kind == "correlation":
        moved[after, 3] = 0.8 * numbers[after, 2] + 0.6 * numbers[after, 3]
    elif kind.startswith("category"):
        other = after & (rng.random(len(after)) < float(kind.split()[1]) / 100.0)
        kinds = kinds.copy()
        kinds[other, 3] = len(_SHARES[3]) - 1
    return moved, kinds


def _break(kind: str | None, numbers: Floats, after: npt.NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """What is observed breaks: the world goes on as it was, and the model answers what it sees."""
    seen = numbers.copy()
    if kind == "stuck":
        seen[after, 4] = numbers[max(int(np.argmax(after)) - 1, 0), 4]
    elif kind == "missing 20 %":
        seen[after & (rng.random(len(after)) < 0.2), 4] = np.nan
    elif kind == "missing 100 %":
        seen[after, 4] = np.nan
    elif kind == "scale x100":
        seen[after, 4] *= 100.0
    return seen


def _logit(numbers: Floats, kinds: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(numbers @ _WEIGHTS + 0.4 * (kinds[:, 0] - 0.5) + _MIDDLE)
