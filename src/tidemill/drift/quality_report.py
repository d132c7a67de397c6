"""All that is known of a model's quality, as plain values: by version, by slice, over time, and how far the estimate is to be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.drift.quality_memory import QualityWindows
from tidemill.drift.quality_window import QualityWindow
from tidemill.learning.intervals import Figures, Interval, mean_of_blocks
from tidemill.learning.measured import Measured, possible
from tidemill.learning.slices import SliceQuality, slice_quality

LEAST_LABELS = 10  # of a window, to hold its estimate against them


@dataclass(frozen=True)
class Trust:
    """How the estimates of one metric have fared once the labels were there, over `n_windows` closed windows.

    Args:
        n_windows: how many.
        error: the mean distance of estimate and real value.
        bias: the mean of estimate minus real value.
        n_held: how many real values lay within the 95 % interval.
        plain_error: the mean distance of the real values from their mean: what a guess would be off by that always says the same. An
            estimate that is no closer says nothing.
    """

    n_windows: int
    error: float
    bias: float
    n_held: int
    plain_error: float


@dataclass(frozen=True)
class VersionFigures:
    """One version over all its windows: labelled rows, and each metric as the mean over windows, which share their luck."""

    version: str
    from_ms: int
    to_ms: int
    n: int
    figures: Figures


@dataclass(frozen=True)
class Labels:
    """How far the labels have come.

    Args:
        n_asked: predictions of the champions in the windows.
        n_labelled: those whose outcome counts so far.
        n_expected: about how many are usually labelled by now; None while no closed window tells.
        n_corrected: those told an outcome more than once; the last one known counts.
        final_share: the share of the closed windows that got an outcome at all.
        lag_ms: the time from question to first outcome, by quantile, over the closed windows; empty while there are none.
    """

    n_asked: int
    n_labelled: int
    n_expected: int | None
    n_corrected: int
    final_share: float | None
    lag_ms: Mapping[str, int]


@dataclass(frozen=True)
class QualityReport:
    """See the fields; `windows` oldest first, `complete` False while older ones still have to be read.

    `provisional` are the versions whose estimates have too short an interval: they were judged on too few windows to tell how much these
    differ, so that only the luck of drawing rows is in it.
    """

    window_ms: int
    now_ms: int
    complete: bool
    labels: Labels
    trust: Mapping[str, Trust]
    versions: tuple[VersionFigures, ...]
    frozen: VersionFigures | None
    slices: tuple[SliceQuality, ...]
    windows: tuple[QualityWindow, ...]
    provisional: tuple[int, ...] = ()

    @property
    def has_estimate(self) -> bool:
        """Whether any window could be estimated."""
        return any(window.estimated.n for window in self.windows)


def report_quality(read: QualityWindows) -> QualityReport:
    """What the windows come to."""
    windows = read.windows
    versions = sorted({one.version for window in windows for one in window.versions})
    return QualityReport(
        window_ms=read.window_ms,
        now_ms=read.now_ms,
        complete=read.complete,
        labels=_labels(read),
        trust=trust_of(windows),
        versions=tuple(found for version in versions if (found := _figures(str(version), windows, _of(version)))),
        frozen=_figures("frozen", windows, lambda window: window.frozen),
        slices=tuple(slice_quality(window.slices for window in windows)),
        windows=windows,
        provisional=tuple(sorted({one.version for window in windows for one in window.versions if one.provisional})),
    )


def trust_of(windows: Sequence[QualityWindow]) -> dict[str, Trust]:
    """By metric; only closed windows with at least 10 labels count, as a few labels say little of the real value."""
    judged = [window for window in windows if window.closed and window.live.n >= LEAST_LABELS]
    pairs: dict[str, list[tuple[float, Interval]]] = {}
    for window in judged:
        for name in window.live.figures.keys() & window.estimated.figures.keys():
            pairs.setdefault(name, []).append((window.live.figures[name].value, window.estimated.figures[name]))
    return {name: _trust(pairs[name]) for name in sorted(pairs)}


def _trust(pairs: Sequence[tuple[float, Interval]]) -> Trust:
    real = np.array([value for value, _ in pairs])
    gap = np.array([estimated.value for _, estimated in pairs]) - real
    return Trust(
        n_windows=len(pairs),
        error=float(np.abs(gap).mean()),
        bias=float(gap.mean()),
        n_held=sum(estimated.holds(value) for value, estimated in pairs),
        plain_error=float(np.abs(real - real.mean()).mean()),
    )


def _of(version: int) -> Callable[[QualityWindow], Measured]:
    def find(window: QualityWindow) -> Measured:
        return next((one.live for one in window.versions if one.version == version), Measured())

    return find


def _figures(name: str, windows: Sequence[QualityWindow], find: Callable[[QualityWindow], Measured]) -> VersionFigures | None:
    found = [(window, measured) for window in windows if (measured := find(window)).n]
    if not found:
        return None
    metrics = {metric for _, measured in found for metric in measured.figures}
    return VersionFigures(
        version=name,
        from_ms=found[0][0].start_ms,
        to_ms=found[-1][0].start_ms,
        n=sum(measured.n for _, measured in found),
        figures={metric: _pooled([measured for _, measured in found], metric) for metric in sorted(metrics)},
    )


def _pooled(measured: Sequence[Measured], metric: str) -> Interval:
    known = [one for one in measured if metric in one.figures]
    sizes = np.array([one.n for one in known], dtype=np.float64)
    return mean_of_blocks(sizes, np.array([one.figures[metric].value for one in known]), possible(metric))


def _labels(read: QualityWindows) -> Labels:
    lag, windows = read.lag, read.windows
    open_windows = [window for window in windows if not window.closed]
    expected = [window.expected_share * window.n_asked for window in open_windows if window.expected_share is not None]
    n_closed = sum(window.live.n for window in windows if window.closed)
    quantiles = {f"p{round(100 * q)}": lag.quantile(q) for q in (0.5, 0.9, 0.99)}
    return Labels(
        n_asked=sum(window.n_asked for window in windows),
        n_labelled=sum(window.live.n for window in windows),
        n_expected=n_closed + round(sum(expected)) if len(expected) == len(open_windows) else None,
        n_corrected=sum(window.n_corrected for window in windows),
        final_share=lag.share,
        lag_ms={name: lag_ms for name, lag_ms in quantiles.items() if lag_ms is not None},
    )
