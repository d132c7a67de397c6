"""One window of a model's predictions, judged: what was to be expected of it, what its labels say, and how many of them are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tidemill.drift.estimate import QualityReference, estimate_quality, estimate_together
from tidemill.drift.expected import row_losses_expected
from tidemill.drift.statistics import Floats
from tidemill.learning import Model
from tidemill.learning.label_lag import LabelLag
from tidemill.learning.measured import Measured, by_class, measure, predicted_class, row_losses
from tidemill.learning.outcomes import settled
from tidemill.learning.slices import SlicedRows, SliceSums, sum_slices
from tidemill.stores import Followed

References = Callable[[int], QualityReference | None]  # of a version; None where this machine does not hold it


@dataclass(frozen=True)
class VersionQuality:
    """One version in one window: what its labels say, and what was to be expected of all its answers."""

    version: int
    live: Measured
    estimated: Measured


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


def judge_window(judging: Judging, rows: Followed, start_ms: int, *, closed: bool) -> QualityWindow:
    """One window of rows, which have their texts where the model has slices."""
    label = judging.model.label
    outcome = settled(label, rows.outcome, rows.at_ms, judging.now_ms)
    champion, frozen = rows.role == "champion", (rows.role == "frozen") & ~np.isnan(outcome)
    versions = np.unique(rows.version[champion]).tolist()
    parts = {version: champion & (rows.version == version) for version in versions}
    known = {version: reference for version in versions if (reference := judging.references(version)) is not None}
    labelled = champion & ~np.isnan(outcome)
    told = champion & (rows.first_known_ms >= 0)
    return QualityWindow(
        start_ms=start_ms,
        closed=closed,
        n_asked=int(champion.sum()),
        n_corrected=int((rows.n_told[labelled] > 1).sum()),
        expected_share=None if closed else _expected_share(judging, rows.at_ms[champion]),
        lag=LabelLag.of((rows.first_known_ms - rows.at_ms)[told], int(champion.sum())),
        live=measure(outcome[labelled], rows.probability[labelled]),
        frozen=measure(outcome[frozen], rows.probability[frozen]),
        estimated=estimate_together([(by_class(rows.probability[parts[version]]), known[version]) for version in known]),
        versions=tuple(
            VersionQuality(
                version=version,
                live=measure(outcome[mine & labelled], rows.probability[mine & labelled]),
                estimated=estimate_quality(rows.probability[mine], known[version]) if version in known else Measured(),
            )
            for version, mine in parts.items()
        ),
        slices=_slices(judging.model, rows, np.flatnonzero(labelled), (outcome, known)),
    )


def _expected_share(judging: Judging, at_ms: npt.NDArray[np.int64]) -> float | None:
    if not judging.lag.n or not len(at_ms) or judging.model.label.absent != "drop":
        return None
    ages_ms = np.minimum(judging.now_ms - at_ms, judging.model.label.within_ms)
    return float(judging.lag.shares_by(ages_ms).mean())


def _slices(
    model: Model, rows: Followed, places: npt.NDArray[np.int64], known: tuple[Floats, Mapping[int, QualityReference]]
) -> tuple[SliceSums, ...]:
    if not model.monitor.slices or not len(places):
        return ()
    outcome, references = known
    said = by_class(rows.probability[places])
    classes, versions = outcome[places].astype(np.int64), rows.version[places]
    expected = np.full(len(places), np.nan)
    for version, reference in references.items():
        mine = versions == version
        expected[mine] = row_losses_expected(said[mine], reference.calibrator.apply(said[mine]))
    texts = slice_texts(model.monitor.slices, [rows.requests[place] for place in places], [rows.texts[place] for place in places])
    right = (predicted_class(said) == classes).astype(np.float64)
    return sum_slices(SlicedRows(texts, right, row_losses(classes, said), expected))


def slice_texts(slices: Sequence[str], requests: Sequence[str], texts: Sequence[bytes | None]) -> dict[str, list[str | None]]:
    """The text of each row by column, from its request, or from what was logged beside it.

    >>> slice_texts(["port", "maker"], ['{"port": "north"}'], [b'{"maker": "ann"}'])
    {'port': ['north'], 'maker': ['ann']}
    """
    read: list[Mapping[str, Any]] = [
        {**orjson.loads(beside or b"{}"), **orjson.loads(request)} for request, beside in zip(requests, texts, strict=True)
    ]
    return {column: [None if (text := row.get(column)) is None else str(text) for row in read] for column in slices}
