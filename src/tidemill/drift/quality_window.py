"""One window of a model's predictions, judged: what was to be expected of it, what its labels say, and how many of them are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.drift.asked import read_texts
from tidemill.drift.estimates import Estimates, References, estimates_of
from tidemill.drift.statistics import Floats
from tidemill.learning import Model
from tidemill.learning.label_lag import LabelLag
from tidemill.learning.measured import Measured, by_class, measure, measure_values, predicted_class
from tidemill.learning.outcomes import settled
from tidemill.learning.slices import SlicedRows, SliceSums, sum_slices
from tidemill.stores import Followed


@dataclass(frozen=True)
class VersionQuality:
    """One version in one window: what its labels say, and what was to be expected of all its answers.

    `provisional` where the interval of what was to be expected is too short; see `QualityReference`.
    """

    version: int
    live: Measured
    estimated: Measured
    provisional: bool = False


@dataclass(frozen=True)
class QualityWindow:
    """The predictions asked in one window.

    Args:
        start_ms: stream time.
        closed: no outcome of them can count any more.
        n_asked: predictions of champions, one of each (key, version).
        n_corrected: of those that are labelled, how many were told an outcome more than once.
        expected_share: the share of them that is usually labelled by now; None while no closed window tells, and where no outcome
            means something, so that labels count all at once.
        lag: how long their labels took.
        live: the champions' metrics.
        frozen: those of the first model, on the same rows.
        estimated: the champions' metrics as they were to be expected of all answers, before any label.
        versions: the same by version, rising.
        slices: by slice; empty where the model names none.
    """

    start_ms: int
    closed: bool
    n_asked: int
    n_corrected: int
    expected_share: float | None
    lag: LabelLag
    live: Measured
    frozen: Measured
    estimated: Measured
    versions: tuple[VersionQuality, ...] = ()
    slices: tuple[SliceSums, ...] = ()

    @property
    def labelled_share(self) -> float | None:
        """The share of the champions' predictions whose outcome counts so far; None without any."""
        return self.live.n / self.n_asked if self.n_asked else None


@dataclass(frozen=True)
class Judging:
    """What windows of a model are judged with.

    Args:
        model: whose.
        references: tells what each version's answers are worth.
        now_ms: stream time.
        lag: of the closed windows.
    """

    model: Model
    references: References
    now_ms: int
    lag: LabelLag

    @property
    def is_value(self) -> bool:
        """Whether the model predicts a number."""
        return self.model.objective.kind == "value"


def judge_window(judging: Judging, rows: Followed, start_ms: int, *, closed: bool) -> QualityWindow:
    """One window of rows, which have their texts where the model has slices, and their vectors where it predicts a number."""
    outcome = settled(rows, judging.model.label, judging.now_ms)
    champion, frozen = rows.role == "champion", (rows.role == "frozen") & ~np.isnan(outcome)
    labelled, told = champion & ~np.isnan(outcome), champion & (rows.first_known_ms >= 0)
    estimates = estimates_of(judging.model, rows, judging.references)

    def live(which: npt.NDArray[np.bool_]) -> Measured:
        return (measure_values if judging.is_value else measure)(outcome[which], rows.said[which])

    def of_version(version: int) -> VersionQuality:
        mine, reference = champion & (rows.version == version), estimates.known.get(version)
        return VersionQuality(version, live(mine & labelled), estimates.expect(mine), reference is not None and reference.provisional)

    return QualityWindow(
        start_ms=start_ms,
        closed=closed,
        n_asked=int(champion.sum()),
        n_corrected=int((rows.n_told[labelled] > 1).sum()),
        expected_share=None if closed else _expected_share(judging, rows.at_ms[champion]),
        lag=LabelLag.of((rows.first_known_ms - rows.at_ms)[told], int(champion.sum())),
        live=live(labelled),
        frozen=live(frozen),
        estimated=estimates.expect(champion),
        versions=tuple(of_version(version) for version in np.unique(rows.version[champion]).tolist()),
        slices=_slices(judging, rows, labelled, (outcome, estimates)),
    )


def _expected_share(judging: Judging, at_ms: npt.NDArray[np.int64]) -> float | None:
    if not judging.lag.n or not len(at_ms) or judging.model.label.absent != "drop":
        return None
    ages_ms = np.minimum(judging.now_ms - at_ms, judging.model.label.within_ms)
    return float(judging.lag.shares_by(ages_ms).mean())


def _slices(judging: Judging, rows: Followed, which: npt.NDArray[np.bool_], judged: tuple[Floats, Estimates]) -> tuple[SliceSums, ...]:
    model, (outcome, estimates) = judging.model, judged
    if not model.slices or not which.any():
        return ()
    places = np.flatnonzero(which).tolist()
    texts = read_texts(model.slices, [rows.requests[place] for place in places], [rows.texts[place] for place in places])
    came, said = outcome[which], rows.said[which]
    right = np.full(len(places), np.nan) if judging.is_value else (predicted_class(by_class(said)) == came).astype(np.float64)
    return sum_slices(SlicedRows(texts, right, model.objective.losses(came, said), estimates.row_losses(which)))
