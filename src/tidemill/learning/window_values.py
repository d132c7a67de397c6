"""The values of windows of the past, from a block of events: one by one where a window holds few, by tiles where it holds many.

What a question reads, and in which order, depends on the events alone: not on how they were cut into blocks, nor on the thread that
reads them. So the same question has the same answer, to the last bit, however it is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tidemill.features import View
from tidemill.features.aggregates import Aggregate
from tidemill.features.feature import Feature
from tidemill.features.sketch import Sketch
from tidemill.features.tiles import Layout
from tidemill.kernels import Floats, Ints, merge_known, read_values
from tidemill.learning.block import Asked, Events, Runs
from tidemill.learning.tile_history import TileHistory, lift


@dataclass(frozen=True)
class _Window:
    """The features, by column, of one window and bucket: they read the same events."""

    bucket_ms: int
    window_ms: int
    features: dict[str, Feature]

    @cached_property
    def layout(self) -> Layout:
        return Layout.of(list(self.features.values()))

    @property
    def tiles(self) -> int:
        return self.window_ms // self.bucket_ms

    def runs(self, places: Ints, origin: Ints, at_ms: Ints) -> Runs:
        """What each of n questions may read; `origin` is where their keys have the moment 0."""
        begin = origin + (at_ms // self.bucket_ms * self.bucket_ms - self.window_ms)
        return Runs.between(places, begin, begin + (self.window_ms + self.bucket_ms))

    def values(self, merged: Floats) -> dict[str, Floats]:
        """What (n, width) states say, but for sketches."""
        kept = {column: feature for column, feature in self.features.items() if isinstance(feature.aggregate, Aggregate)}
        if not kept:
            return {}
        values = read_values(self.layout.reads(list(kept.values()), [self.window_ms]), merged)
        return {column: values[:, place] for place, column in enumerate(kept)}


def answer(view: View, events: Events, asked: Asked) -> dict[str, Floats]:
    """The view's features at n moments, by `view__feature`: (n,) float64 with NaN for missing.

    Args:
        view: what to compute.
        events: among them every event of every window that is asked for.
        asked: the questions, ordered by key and time.
    """
    answers: dict[str, Floats] = {}
    origin = asked.key * events.axis.span - events.axis.begin  # the axis reaches beyond every window, so no edge has to be clipped
    for windows in _alike(view):
        covered, several = Runs.compact([window.runs(events.place, origin, asked.at_ms) for window in windows])
        read = events.rows(covered)
        several_few = [runs.where(runs.count <= window.tiles) for window, runs in zip(windows, several, strict=True)]
        states = lift(windows[0].layout, read) if any(few.count.any() for few in several_few) else windows[0].layout.neutral(0)
        for window, runs, few in zip(windows, several, several_few, strict=True):
            merged = window.layout.neutral(len(asked))
            merge_known(window.layout.merges, states, read.known, (few.low, few.count), asked.known_up_to, merged)
            many = runs.count > window.tiles
            if many.any():
                _merge_many(window, read, runs.where(many), asked, merged)
            answers |= window.values(merged)
            for name, feature in window.features.items():
                if isinstance(feature.aggregate, Sketch):
                    answers[name] = _sketched(feature, feature.aggregate, read, runs, asked)
    return answers


def _merge_many(window: _Window, events: Events, runs: Runs, asked: Asked, merged: Floats) -> None:
    """Put into (n, width) what the questions with anything to read know of it, by way of tiles."""
    covered, _ = Runs.compact([runs])
    history = TileHistory(window.layout, window.bucket_ms, events.rows(covered))
    many = np.flatnonzero(runs.count)
    merged[many] = history.read(asked.rows(many), window.window_ms)


def _sketched(feature: Feature, sketch: Sketch, events: Events, runs: Runs, asked: Asked) -> Floats:
    """(n,) values of a sketch. Every event of a window is read, as a sketch's state after each would not fit in memory."""
    values = np.full(len(asked), sketch.value(sketch.neutral))
    assert feature.expression is not None  # only a count has none
    codes = sketch.codes(feature.expression.read(events.fields))
    places = np.arange(len(asked))
    for part in runs.parts():
        seen = np.flatnonzero(events.known[part.row] <= part.each(asked.known_up_to))
        question, code = part.each(places)[seen], codes[part.row[seen]]
        order = np.lexsort((code, question))
        question, code = question[order], code[order]
        first = np.flatnonzero((np.diff(question, prepend=-1) != 0) | (np.diff(code, prepend=-1) != 0))
        met, count = code[first], np.diff(np.append(first, len(code)))
        edges = np.append(np.flatnonzero(np.diff(question[first], prepend=-1)), len(first))
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            values[question[first[begin]]] = sketch.value_of_counts(met[begin:end], count[begin:end])
    return values


def _alike(view: View) -> list[list[_Window]]:
    """The view's windows, those together whose states of an event are the same; one with a sketch is alone, as that reads every event."""
    windows: dict[tuple[int, int], _Window] = {}
    for name, feature in view.features.items():
        sizes_ms = feature.bucket_ms, feature.window_ms
        windows.setdefault(sizes_ms, _Window(*sizes_ms, {})).features[view.column(name)] = feature
    alike: dict[tuple[object, ...], list[_Window]] = {}
    for sizes_ms, window in windows.items():
        sketched = any(isinstance(feature.aggregate, Sketch) for feature in window.features.values())
        alike.setdefault(sizes_ms if sketched else window.layout.signature, []).append(window)
    return list(alike.values())
